"""Pipedrive's events: who may bring them, and that they are kept once and answered at once."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.tests.factories import make_workspace
from crm.models import Connection, InboxEvent
from crm.pipedrive.events import inbox
from crm.tests.events import PASSWORD, drains, event, make_quiet_connection, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(db):
    return make_quiet_connection(make_workspace())


def test_an_event_is_kept_and_the_drain_is_queued(connection):
    body = event("person", 12, "change", data={"id": 12, "name": "Ann"})

    answer = post(connection, body)

    kept = InboxEvent.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert (kept.workspace_id, kept.connection_id) == (connection.workspace_id, connection.pk)
    assert (kept.event_id, kept.entity, kept.entity_id, kept.action) == (body["meta"]["id"], "person", 12, "change")
    assert (kept.body, kept.outcome) == (body, InboxEvent.Outcome.WAITING)
    assert kept.sent_at == datetime(2026, 3, 1, 10, 20, 30, 500_000, tzinfo=UTC)
    lock = f"pipedrive:{connection.pk}"
    assert list(drains().values_list("args", "lock", "queueing_lock")) == [
        ({"connection_id": connection.pk}, lock, lock)
    ]


def test_an_event_costs_few_queries_and_the_next_one_fewer(connection, django_assert_num_queries):
    first, second = event(), event()

    # the connection, the event, a look for the job, the job; a savepoint set and released
    with django_assert_num_queries(6):
        post(connection, first)
    with django_assert_num_queries(3):
        post(connection, second)


def test_the_same_event_is_kept_once_however_often_it_comes(connection):
    body = event()

    answers = [post(connection, body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert InboxEvent.objects.count() == 1
    assert drains().count() == 1


def test_two_accounts_may_have_an_event_of_one_id(connection):
    other = make_quiet_connection(make_workspace())
    body = event()

    post(connection, body)
    post(other, body)

    assert set(InboxEvent.objects.values_list("connection_id", flat=True)) == {connection.pk, other.pk}


@pytest.mark.parametrize("secret", ["unknown", "-", "0" * 500])
def test_a_path_that_no_connection_has_is_not_found(secret, connection):
    answer = post(connection, event(), secret=secret)

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert not InboxEvent.objects.exists()


def test_a_connection_without_a_webhook_has_no_path(connection):
    Connection.objects.update(webhook_secret="")

    assert post(connection, event(), secret="").status_code == 404
    assert post(connection, event()).status_code == 404


def test_anothers_password_is_refused_at_ones_own_path(connection):
    other = make_quiet_connection(make_workspace())
    Connection.objects.filter(pk=other.pk).update(sealed_webhook_password="")

    answers = [post(connection, event(), password="another"), post(other, event(), password="")]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"] == "invalid_credentials"
    assert answers[0].headers["WWW-Authenticate"] == "Basic"
    assert not InboxEvent.objects.exists()


@pytest.mark.parametrize(
    "header",
    [
        "", "Basic", "Basic ", "Basic !!!", "Basic " + "A" * 10_000, "Bearer x", "Basic \xff",
        "Basic " + base64.b64encode(PASSWORD.encode()).decode(),
        "Basic " + base64.b64encode(f"other:{PASSWORD}".encode()).decode(),
        "Basic " + base64.b64encode(f"zevix:{PASSWORD} ".encode()).decode(),
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
    ],
)  # fmt: skip
def test_without_the_right_user_and_password_nothing_is_kept(header, connection):
    answer = post(connection, event(), headers={"Authorization": header})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_credentials")
    assert not InboxEvent.objects.exists()


def test_a_password_that_no_key_opens_any_more_refuses_all(connection, settings):
    settings.SECRET_KEY = "another-key-that-has-taken-its-place-and-is-long-enough"

    assert post(connection, event(), password=PASSWORD).status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post_is_taken(method, connection, anonymous):
    answer = getattr(anonymous, method)(f"/api/crm/webhooks/pipedrive/{connection.webhook_secret}")

    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        event("activity"), event("note"), event("product"), event("something-new"),
        event("lead", "adf21080-0e10-11eb-879b-05d71fb426ec"),
        event(action="renamed"), event(company_id="78"), event(company_id=None), event(company_id=[]),
    ],
)  # fmt: skip
def test_what_is_of_no_interest_is_answered_and_not_kept(body, connection):
    answer = post(connection, body)

    assert answer.status_code == 200
    assert not InboxEvent.objects.exists()
    assert not drains().exists()


@pytest.mark.parametrize("entity", ["pipeline", "stage", "user", "organization", "deal"])
def test_changes_of_the_account_and_of_all_that_is_kept_in_step_are_kept(entity, connection):
    post(connection, event(entity, 5, "create", previous=None))
    post(connection, event(entity, 5, "delete", data=None))

    assert list(InboxEvent.objects.order_by("pk").values_list("entity", "entity_id", "action")) == [
        (entity, 5, "create"),
        (entity, 5, "delete"),
    ]


def test_a_paused_connection_keeps_events_for_later(connection):
    Connection.objects.update(state=Connection.State.PAUSED)

    post(connection, event())

    assert InboxEvent.objects.count() == 1
    assert not drains().exists()


WRONG: list[dict[str, Any]] = [
    {"id": 7}, {"id": ""}, {"id": "e" * 300}, {"id": "a\x00b"}, {"id": None}, {"entity": ["person"]}, {"entity": None},
    {"action": {}}, {"entity_id": "x"}, {"entity_id": "-1"}, {"entity_id": "0"}, {"entity_id": "٣"},
    {"entity_id": "9" * 19}, {"entity_id": "9" * 5000}, {"entity_id": 1.5}, {"entity_id": True}, {"entity_id": None},
    {"data": []}, {"data": "x"}, {"previous": 3},
]  # fmt: skip


def _without(name):
    body = event()
    del body["meta"][name]
    return body


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"1", b'"x"', b"{}", b"{", b"[" * 100_000, b"NaN", b'{"meta": 1}', b'{"meta": {}}', b"\xff\xfe",
        b'{"meta": {"entity": "\\ud800"}}',
        *(json.dumps(_without(name)).encode() for name in ("id", "entity", "entity_id", "action")),
        *(json.dumps(event(**wrong)).encode() for wrong in WRONG),
    ],
)  # fmt: skip
def test_what_is_no_event_is_malformed(body, connection):
    answer = post(connection, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "malformed_request")
    assert not InboxEvent.objects.exists()


def test_a_body_beyond_all_measure_is_refused(connection):
    answer = post(connection, event(data={"id": 1, "name": "x" * 3_000_000}))

    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_an_id_may_come_as_a_number(connection):
    body = event(company_id=77)
    body["meta"]["entity_id"] = 12

    post(connection, body)

    assert InboxEvent.objects.get().entity_id == 12


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2026-03-01T10:20:30Z", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-03-01T10:20:30", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("1772360430", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        (1772360430, datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-99-01T10:20:30Z", None), ("soon", None), ("9" * 400, None), (1e300, None), ([], None), (None, None),
        ("0001-01-01T00:00:00+14:00", None), ("9999-12-31T23:59:59-14:00", None), (True, None),
    ],
)  # fmt: skip
def test_a_moment_in_whatever_form_does_no_harm(timestamp, moment, connection):
    answer = post(connection, event(timestamp=timestamp))

    assert answer.status_code == 200
    assert InboxEvent.objects.get().sent_at == moment


def test_a_text_that_the_database_can_not_hold_is_kept_without_the_offending_character(connection):
    answer = post(connection, event(data={"id": 12, "na\x00me": ["Zo\x00e", 10**40]}))

    assert answer.status_code == 200
    assert InboxEvent.objects.get().body["data"] == {"id": 12, "name": ["Zoe", 10**40]}


def test_worked_off_events_are_forgotten_after_a_week(connection):
    for outcome in InboxEvent.Outcome.values:
        InboxEvent.objects.create(
            workspace=connection.workspace, connection=connection, event_id=outcome, entity="person", entity_id=1,
            action="change", outcome=outcome,
        )  # fmt: skip
    young = InboxEvent.objects.get(event_id="done")
    InboxEvent.objects.exclude(pk=young.pk).update(received_at=timezone.now() - timedelta(days=7, minutes=1))

    forgotten = inbox.forget_old()

    assert forgotten == 2
    assert set(InboxEvent.objects.values_list("event_id", flat=True)) == {"waiting", "done"}
