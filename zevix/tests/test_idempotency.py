"""``Idempotency-Key``: an act is done once, and answered the same way each time."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads.models import ExportedLead, Lead, Usage
from leads.tests.factories import give_plan, make_catalogue, make_lead
from zevix import jobs
from zevix.api.idempotency import Idempotent
from zevix.errors import RateLimited, Refusal
from zevix.models import IdempotentAnswer
from zevix.urls import urlpatterns

pytestmark = pytest.mark.django_db


class Upstream(Refusal):
    code, status = "upstream_error", 502


class Unsteady(Idempotent, APIView):
    """Adds a lead, then fails as told, the first time."""

    failures: list[Exception] = []

    def post(self, request):
        lead = make_lead(request.workspace)
        time.sleep(request.data.get("seconds", 0))
        if self.failures:
            raise self.failures.pop()
        return Response({"id": lead.pk}, status=201)

    put = post


urlpatterns = [*urlpatterns, path("unsteady", Unsteady.as_view())]


@pytest.fixture
def unsteady(settings):
    settings.ROOT_URLCONF = __name__
    Unsteady.failures = []
    return Unsteady


def add(client, key, company="A", url="/api/v1/leads", **headers):
    return client.post(url, {"company": company}, HTTP_IDEMPOTENCY_KEY=key, **headers)


def export(client, key, *ids):
    return client.post("/zevix/export-leads-batch", {"lead_ids": list(ids)}, HTTP_IDEMPOTENCY_KEY=key)


def replayed(answer):
    return answer.get("Idempotent-Replayed") == "true"


def test_the_same_key_and_body_give_the_first_answer_again(api):
    first, second = add(api, "k1"), add(api, "k1")

    assert (first.status_code, replayed(first)) == (201, False)
    assert (second.status_code, replayed(second)) == (201, True)
    assert second.content == first.content
    assert Lead.objects.count() == 1


def test_an_export_is_charged_once_and_told_the_same_way_twice(api):
    make_catalogue(3)

    first, second = export(api, "k1", "id1", "id2"), export(api, "k1", "id1", "id2")

    assert first.json()["new_ids"] == ["id1", "id2"]
    assert second.json() == first.json()
    assert Usage.objects.get().used == ExportedLead.objects.count() == 2


def test_the_same_key_with_another_body_is_refused(api):
    add(api, "k1")

    answer = add(api, "k1", "B")

    assert answer.status_code == 422
    assert answer.json() == {
        "success": False,
        "error": "idempotency_key_reused",
        "message": "This Idempotency-Key came before with another request.",
        "request_id": answer["X-Request-ID"],
    }
    assert Lead.objects.count() == 1


def test_the_same_key_for_another_route_is_refused(api):
    add(api, "k1")

    assert add(api, "k1", url="/api/leads/add").status_code == 422
    assert add(api, "k1", url="/api/v1/leads?a=1").status_code == 422


def test_a_reused_key_leaves_the_first_answer_in_place(api):
    first = add(api, "k1")
    add(api, "k1", "B")

    assert add(api, "k1").content == first.content


def test_another_workspace_has_keys_of_its_own(api, stranger, client_of):
    first, second = add(api, "k1"), add(client_of(stranger), "k1", "B")

    assert (first.status_code, second.status_code) == (201, 201)
    assert not replayed(second)
    assert Lead.objects.count() == 2


def test_another_key_and_no_key_are_other_acts(api):
    answers = [add(api, "k1"), add(api, "k2"), api.post("/api/v1/leads", {"company": "A"})]

    assert [(answer.status_code, replayed(answer)) for answer in answers] == [(201, False)] * 3
    assert Lead.objects.count() == 3


def test_colleagues_share_the_keys_of_their_workspace(api, member, client_of):
    colleague = client_of(make_member(workspace=member.workspace))

    first, second = add(api, "k1"), add(colleague, "k1")

    assert second.content == first.content
    assert replayed(second)


def test_a_refusal_is_repeated_even_when_the_act_would_succeed_by_now(api, member):
    make_catalogue(1)
    give_plan(member.workspace, 0)
    first = export(api, "k1", "id1")
    give_plan(member.workspace, 10)

    second = export(api, "k1", "id1")

    assert (first.status_code, first.json()["error"]) == (403, "monthly_limit_exceeded")
    assert second.status_code == 403
    assert replayed(second)
    assert second.content == first.content
    assert ExportedLead.objects.count() == 0


def test_a_validation_error_is_repeated_too(api):
    first, second = (api.post("/api/v1/leads", {"score": 101}, HTTP_IDEMPOTENCY_KEY="k1") for _ in range(2))

    assert (first.status_code, second.status_code) == (400, 400)
    assert replayed(second)
    assert second.content == first.content


@pytest.mark.parametrize(
    "failure", [Upstream(), ZeroDivisionError(), RateLimited(seconds=5)], ids=["502", "500", "429"]
)
def test_what_says_nothing_about_the_act_is_not_kept_and_undoes_it(unsteady, api, failure):
    unsteady.failures = [failure]

    first = add(api, "k1", url="/unsteady")
    left = Lead.objects.count()
    second = add(api, "k1", url="/unsteady")

    assert first.status_code in {429, 500, 502}
    assert left == 0
    assert (second.status_code, replayed(second)) == (201, False)
    assert Lead.objects.count() == 1


def test_a_caller_who_is_not_recognised_uses_up_no_key(api, anonymous):
    refused = add(anonymous, "k1")

    answer = add(api, "k1")

    assert refused.status_code == 401
    assert (answer.status_code, replayed(answer)) == (201, False)


def test_a_replay_is_for_those_who_may_ask(api, member, anonymous):
    add(api, "k1")
    User.objects.filter(pk=member.user_id).update(is_active=False)

    assert add(api, "k1").status_code == 401
    assert add(anonymous, "k1").status_code == 401


def test_after_24_hours_a_key_is_new(api):
    add(api, "k1")
    IdempotentAnswer.objects.update(created_at=F("created_at") - timedelta(hours=24, seconds=1))

    answer = add(api, "k1", "B")

    assert (answer.status_code, replayed(answer)) == (201, False)
    assert replayed(add(api, "k1", "B"))
    assert Lead.objects.count() == 2


def test_before_24_hours_it_is_not(api):
    add(api, "k1")
    IdempotentAnswer.objects.update(created_at=F("created_at") - timedelta(hours=23, minutes=59))

    assert replayed(add(api, "k1"))


def test_answers_past_their_time_are_cleared_away(api):
    add(api, "old")
    IdempotentAnswer.objects.update(created_at=F("created_at") - timedelta(hours=24, seconds=1))
    add(api, "new")

    jobs.forget_old_answers(0)

    assert list(IdempotentAnswer.objects.values_list("key", flat=True)) == ["new"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "a\x7f", "a\x00", "a\r\nb", "a\x85b", "ä" * 256])
def test_a_key_that_is_none_is_refused(api, key):
    answer = add(api, key)

    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert answer.json()["fields"] == {"Idempotency-Key": ["A text of 1 to 255 characters."]}
    assert Lead.objects.count() == 0


@pytest.mark.parametrize(
    "key", ["x", "x" * 255, " ", "a b", '"quoted"', "Ä" * 255, "ключ-🔑", "Ä".encode().decode("latin-1")]
)
def test_any_other_text_is_a_key(api, key):
    first, second = add(api, key), add(api, key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert replayed(second)


def test_a_key_means_the_same_however_the_server_hands_it_over(api):
    as_text, as_bytes = "Ärger", "Ärger".encode().decode("latin-1")

    first, second = add(api, as_text), add(api, as_bytes)

    assert first.status_code == 201
    assert replayed(second)


def test_only_posts_are_done_once(unsteady, api):
    answers = [api.put("/unsteady", {}, HTTP_IDEMPOTENCY_KEY="k1") for _ in range(2)]

    assert [replayed(answer) for answer in answers] == [False, False]
    assert Lead.objects.count() == 2


def test_a_body_that_cannot_be_read_is_refused_alike(api):
    headers: dict[str, Any] = {"content_type": "application/json", "HTTP_IDEMPOTENCY_KEY": "k1"}

    answers = [api.generic("POST", "/api/v1/leads", b"{", **headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert [answer.json()["error"] for answer in answers] == ["malformed_request"] * 2


def test_a_body_that_is_too_large_is_refused_and_not_kept(api):
    headers: dict[str, Any] = {"content_type": "application/json", "HTTP_IDEMPOTENCY_KEY": "k1"}

    large = api.generic("POST", "/api/v1/leads", b" " * 3_000_000, **headers)

    assert large.status_code == 413
    assert add(api, "k1").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_with_one_key_do_one_act_and_get_one_answer(unsteady, client_of):
    member = make_member()
    clients = [client_of(member) for _ in range(6)]
    acts = [
        lambda client=client: client.post("/unsteady", {"seconds": 0.2}, HTTP_IDEMPOTENCY_KEY="k1")
        for client in clients
    ]

    answers = at_once(acts)

    assert [answer.status_code for answer in answers] == [201] * 6
    assert len({answer.content for answer in answers}) == 1
    assert sorted(map(replayed, answers)) == [False] + [True] * 5
    assert Lead.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_when_the_first_of_parallel_requests_fails_the_next_one_acts(unsteady, client_of):
    member = make_member()
    clients = [client_of(member) for _ in range(4)]
    unsteady.failures = [Upstream()]
    acts = [
        lambda client=client: client.post("/unsteady", {"seconds": 0.1}, HTTP_IDEMPOTENCY_KEY="k1")
        for client in clients
    ]

    answers = at_once(acts)

    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 502]
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert Lead.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_parallel_exports_with_one_key_are_charged_once(client_of):
    member = make_member()
    make_catalogue(5)
    clients = [client_of(member) for _ in range(6)]
    acts = [lambda client=client: export(client, "k1", "id1", "id2") for client in clients]

    answers = at_once(acts)

    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["new_ids"] == ["id1", "id2"]
    assert Usage.objects.get().used == ExportedLead.objects.count() == 2
