"""``Idempotency-Key`` where the act calls a vendor: claimed, done and kept, each by itself."""

from datetime import timedelta
from threading import Event

import pytest
from django.db import connection
from django.db.models import F
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from zevix.api.idempotency import IdempotentAbroad
from zevix.errors import Refusal, Rejected, Unanswered, Unreachable
from zevix.models import IdempotentAnswer
from zevix.urls import urlpatterns

pytestmark = pytest.mark.django_db


class Abroad(IdempotentAbroad, APIView):
    """Calls a vendor, in a manner of speaking; fails as told, the first time."""

    acts: list[str] = []
    within: list[bool] = []
    failures: list[Exception] = []
    waiting: Event | None = None

    def post(self, request):
        self.acts.append(self.act)
        self.within.append(connection.in_atomic_block)
        if self.waiting:
            self.waiting.wait(10)
        if self.failures:
            raise self.failures.pop()
        return Response({"done": len(self.acts)}, status=201)


urlpatterns = [*urlpatterns, path("abroad", Abroad.as_view())]


@pytest.fixture(autouse=True)
def abroad(settings):
    settings.ROOT_URLCONF = __name__
    Abroad.acts, Abroad.within, Abroad.failures, Abroad.waiting = [], [], [], None
    return Abroad


def ask(client, key="k1", body=None):
    return client.post("/abroad", body or {}, **({"HTTP_IDEMPOTENCY_KEY": key} if key else {}))


def replayed(answer):
    return answer.get("Idempotent-Replayed") == "true"


def test_the_same_key_and_body_give_the_first_answer_again(abroad, api):
    first, second = ask(api), ask(api)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert (replayed(first), replayed(second)) == (False, True)
    assert len(abroad.acts) == 1


def test_another_body_is_refused_and_another_workspace_has_keys_of_its_own(abroad, api, stranger, client_of):
    answers = [ask(api), ask(api, body={"a": 1}), ask(client_of(stranger), body={"a": 1})]

    assert [answer.status_code for answer in answers] == [201, 422, 201]
    assert len(set(abroad.acts)) == 2


def test_without_a_key_every_request_is_an_act_of_its_own(abroad, api):
    answers = [ask(api, key=""), ask(api, key="")]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert len(set(abroad.acts)) == 2


def test_what_is_refused_is_refused_again(abroad, api):
    abroad.failures = [Refusal()]

    first, second = ask(api), ask(api)

    assert (first.status_code, second.status_code, replayed(second)) == (409, 409, True)


def test_an_act_that_nobody_answered_for_is_the_same_act_at_the_vendor_when_it_is_asked_for_again(abroad, api):
    abroad.failures = [Unanswered(vendor="Stripe", reason="timeout")]

    first, second = ask(api), ask(api)

    assert (first.status_code, second.status_code, replayed(second)) == (502, 201, False)
    assert abroad.acts[0] == abroad.acts[1]


@pytest.mark.parametrize("failure", [Unreachable, Rejected])
def test_an_act_that_failed_over_there_is_another_act_the_next_time(failure, abroad, api):
    abroad.failures = [failure(vendor="Stripe", reason="no")]

    first, second = ask(api), ask(api)

    assert (first.status_code, second.status_code) == (502, 201)
    assert abroad.acts[0] != abroad.acts[1]


def test_a_crash_holds_the_key_for_a_minute_and_then_it_is_the_same_act(abroad, api):
    abroad.failures = [ZeroDivisionError()]
    crashed, early = ask(api), ask(api)
    IdempotentAnswer.objects.update(created_at=F("created_at") - timedelta(minutes=1))

    late, again = ask(api), ask(api)

    assert (crashed.status_code, early.status_code, early["Retry-After"]) == (500, 409, "5")
    assert (late.status_code, replayed(late)) == (201, False)
    assert replayed(again)
    assert len(abroad.acts) == 2
    assert abroad.acts[0] == abroad.acts[1]


def test_a_caller_who_is_not_recognised_uses_up_no_key(abroad, api, anonymous):
    assert (ask(anonymous).status_code, ask(api).status_code) == (401, 201)


@pytest.mark.django_db(transaction=True)
def test_of_parallel_requests_with_one_key_one_acts_and_the_others_are_told_to_come_again(abroad, client_of):
    member = make_member()
    abroad.waiting = Event()
    clients = [client_of(member) for _ in range(4)]
    refused = []

    def ask_and_release(client):
        answer = ask(client)
        if answer.status_code == 409:
            refused.append(answer)
        if len(refused) == 3:  # whoever comes after the act is over gets its answer
            abroad.waiting.set()
        return answer

    answers = at_once([lambda one=one: ask_and_release(one) for one in clients])

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer["Retry-After"] for answer in answers if answer.status_code == 409} == {"5"}
    assert len(abroad.acts) == 1


@pytest.mark.django_db(transaction=True)
def test_the_act_is_in_no_transaction(abroad, client_of):
    client = client_of(make_member())

    assert [ask(client).status_code, ask(client, "k2").status_code] == [201, 201]
    assert abroad.within == [False, False]
