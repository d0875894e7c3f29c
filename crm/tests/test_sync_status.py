"""How the sync stands, and its runs, over the API."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connections
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from crm.models import ChangedLead, Conflict, Connection, Deal, InboxEvent, Link, SyncRun, TokenMeter
from crm.pipedrive.runs import running
from crm.tests.events import make_quiet_connection
from leads.tests.factories import make_lead

PATH = "/api/v1/crm/sync"


@pytest.fixture
def connection(member):
    return make_quiet_connection(member.workspace)


def link(connection, person_id=None, **fields):
    lead = make_lead(connection.workspace)
    ChangedLead.objects.all().delete()
    return Link.objects.create(
        workspace=connection.workspace, connection=connection, lead=lead, person_id=person_id or lead.pk, **fields
    )


def note_event(connection, event_id="e1", **fields):
    return InboxEvent.objects.create(
        workspace=connection.workspace, connection=connection, event_id=event_id, entity="person", entity_id=1, action="change",
        **fields,
    )  # fmt: skip


@pytest.mark.django_db
def test_a_workspace_without_a_connection_is_told_how_to_get_one(api):
    answer = api.get(PATH)

    assert answer.status_code == 200
    assert answer.json() == {
        "state": "not_connected",
        "message": "This workspace is not connected to Pipedrive. Connect it with an API token.",
        "lag_seconds": 0,
        "waiting": {"leads": 0, "events": 0, "deals": 0},
        "linked": 0,
        "conflicts": 0,
        "last_synced_at": None,
        "swept_until": None,
        "webhook": {"state": "none", "message": ""},
        "budget": None,
        "errors": [],
        "run": None,
    }


@pytest.mark.django_db
def test_everything_in_step(api, connection):
    synced_at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    link(connection, synced_at=synced_at)
    TokenMeter.objects.create(
        workspace=connection.workspace, connection=connection, day=timezone.now().astimezone(UTC).date(), spent=100, burst_limit=40
    )  # fmt: skip
    midnight = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    answer = api.get(PATH).json()

    assert answer == {
        "state": "in_step",
        "message": "Both sides are in step.",
        "lag_seconds": 0,
        "waiting": {"leads": 0, "events": 0, "deals": 0},
        "linked": 1,
        "conflicts": 0,
        "last_synced_at": "2026-03-01T10:00:00Z",
        "swept_until": None,
        "webhook": {"state": "active", "message": "Pipedrive tells of changes at once."},
        "budget": {
            "limit": 30000, "spent": 100, "left": 29900, "resets_at": midnight.isoformat().replace("+00:00", "Z"), "burst": 40,
        },
        "errors": [],
        "run": None,
    }  # fmt: skip


@pytest.mark.django_db
def test_what_was_spent_yesterday_counts_no_more(api, connection):
    yesterday = timezone.now().astimezone(UTC).date() - timedelta(days=1)
    TokenMeter.objects.create(
        workspace=connection.workspace, connection=connection, day=yesterday, spent=100, daily_limit=500
    )

    budget = api.get(PATH).json()["budget"]

    assert (budget["limit"], budget["spent"], budget["left"]) == (500, 0, 500)


@pytest.mark.django_db
def test_what_waits_is_counted_and_its_age_told(api, connection):
    make_lead(connection.workspace)
    note_event(connection)
    note_event(connection, "e2", outcome="done")
    Deal.objects.create(
        workspace=connection.workspace, connection=connection, lead=make_lead(connection.workspace), title="x"
    )
    InboxEvent.objects.update(received_at=timezone.now() - timedelta(minutes=7, seconds=30))

    answer = api.get(PATH).json()

    assert (answer["state"], answer["waiting"]) == ("behind", {"leads": 2, "events": 1, "deals": 1})
    assert 450 <= answer["lag_seconds"] <= 460
    assert answer["message"] == "4 changes wait, the oldest for 7 minutes by now."


@pytest.mark.django_db
def test_what_came_just_now_is_on_its_way(api, connection):
    make_lead(connection.workspace)

    assert api.get(PATH).json()["message"] == "1 change is on its way."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "state", "message"),
    [
        (
            {"state": "paused"},
            "paused",
            "The sync is paused. Changes on both sides are kept for when it goes on.",
        ),
        ({"state": "broken", "problem": "The token is dead."}, "broken", "The token is dead."),
        ({"problem": "Tokens are used up."}, "behind", "Tokens are used up."),
    ],
)
def test_a_connection_in_trouble_says_which(changes, state, message, api, connection):
    make_lead(connection.workspace)
    Connection.objects.update(**changes)

    answer = api.get(PATH).json()

    assert (answer["state"], answer["message"]) == (state, message)


@pytest.mark.django_db
def test_a_webhook_in_trouble_says_which(api, connection):
    Connection.objects.update(webhook_problem="It is out of reach.")
    broken = api.get(PATH).json()["webhook"]
    Connection.objects.update(webhook_problem="", webhook_id=None)
    none = api.get(PATH).json()["webhook"]

    assert broken == {"state": "broken", "message": "It is out of reach."}
    assert none == {"state": "none", "message": "Changes in Pipedrive are looked for every 15 minutes."}


@pytest.mark.django_db
def test_conflicts_are_counted_as_long_as_they_are_open(api, connection):
    for field, resolved_at in (("name", None), ("phone", timezone.now())):
        Conflict.objects.create(
            workspace=connection.workspace, connection=connection, lead=link(connection).lead, field=field, resolved_at=resolved_at
        )  # fmt: skip

    answer = api.get(PATH).json()

    assert answer["conflicts"] == 1
    assert answer["message"] == "Both sides are in step, except for 1 conflict that somebody has to resolve."


@pytest.mark.django_db
def test_the_latest_twenty_errors_are_told(api, connection):
    start = datetime(2026, 3, 1, tzinfo=UTC)
    links = [
        link(connection, problem=f"Problem {number}", problem_at=start + timedelta(minutes=number))
        for number in range(22)
    ]

    errors = api.get(PATH).json()["errors"]

    assert [error["message"] for error in errors] == [f"Problem {number}" for number in range(21, 1, -1)]
    assert errors[0] == {"lead_id": links[-1].lead_id, "message": "Problem 21", "at": "2026-03-01T00:21:00Z"}


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 3])
def test_the_state_costs_the_same_queries_however_many_leads_there_are(
    count, api, connection, django_assert_num_queries
):
    for number in range(count):
        link(connection, problem="x", problem_at=timezone.now())
        note_event(connection, f"e{number}")
        SyncRun.objects.create(workspace=connection.workspace, connection=connection, kind="plan")
    api.get(PATH)

    # the caller's membership, the connection, the figures, the tokens, members and fields of the mapping, errors, the latest run
    with django_assert_num_queries(8):
        api.get(PATH)


@pytest.mark.django_db
def test_nothing_of_another_workspace_is_counted(api, connection, stranger):
    theirs = make_quiet_connection(stranger.workspace)
    link(theirs, problem="secret", problem_at=timezone.now())
    make_lead(stranger.workspace)
    note_event(theirs)
    SyncRun.objects.create(workspace=stranger.workspace, connection=theirs, kind="plan")

    answer = api.get(PATH).json()

    assert (answer["state"], answer["linked"], answer["errors"], answer["run"]) == ("in_step", 0, [], None)
    assert answer["waiting"] == {"leads": 0, "events": 0, "deals": 0}


# Runs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_run_is_queued_and_shown(api, connection, member):
    answer = api.post(f"{PATH}/run")

    run = SyncRun.objects.get()
    body = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{PATH}/runs/{run.pk}")
    assert {name: body[name] for name in ("id", "kind", "status", "progress", "message", "user_id")} == {
        "id": run.pk, "kind": "sync", "status": "queued", "progress": 0, "message": "", "user_id": member.user_id,
    }  # fmt: skip
    assert api.get(PATH).json()["run"] == body
    assert api.get(f"{PATH}/runs").json()["results"] == [body]
    assert api.get(f"{PATH}/runs/{run.pk}").json() == body | {"problems": [], "plan": None}


@pytest.mark.django_db
def test_a_run_of_some_leads_knows_which(api, connection):
    lead = make_lead(connection.workspace)

    api.post(f"{PATH}/run", {"lead_ids": [lead.pk, lead.pk]})

    assert SyncRun.objects.get().lead_ids == [lead.pk]


@pytest.mark.django_db
def test_a_second_request_answers_the_run_that_is_open(api, connection):
    first, second = (api.post(f"{PATH}/run").json() for _ in range(2))
    SyncRun.objects.update(status="completed")
    third = api.post(f"{PATH}/run").json()

    assert first["id"] == second["id"] != third["id"]


@pytest.mark.django_db(transaction=True)
def test_ten_requests_at_once_start_one_run(member):
    connection = make_quiet_connection(member.workspace)
    barrier, found = Barrier(10), []

    def ask():
        barrier.wait()
        found.append(running.start(connection.workspace, by=member.user).pk)
        connections.close_all()

    threads = [Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [SyncRun.objects.get().pk] * 10


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["plan", "run"])
def test_only_managers_have_leads_planned_and_run(path, connection, member, client_of):
    agent = make_member(Role.AGENT, member.workspace)

    answer = client_of(agent).post(f"{PATH}/{path}")

    assert (answer.status_code, answer.json()["error"]) == (403, "permission_denied")
    assert client_of(agent).get(PATH).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["plan", "run"])
def test_without_a_connection_there_is_nothing_to_run(path, api):
    answer = api.post(f"{PATH}/{path}")

    assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["plan", "run"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lead_ids": []}, "lead_ids"), ({"lead_ids": "1"}, "lead_ids"), ({"lead_ids": ["x"]}, "lead_ids.0"),
        ({"lead_ids": [2**63]}, "lead_ids.0"), ({"lead_ids": [0]}, "lead_ids.0"), ({"lead_ids": list(range(1, 10_002))}, "lead_ids"),
        ({"leads": [1]}, "leads"), ({"lead_ids": None}, "lead_ids"), ({"lead_ids": ["\x00"]}, "lead_ids.0"),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_checked(path, body, field, api, connection):
    answer = api.post(f"{PATH}/{path}", body)

    assert (answer.status_code, answer.json()["error"], list(answer.json()["fields"])) == (
        400,
        "validation_error",
        [field],
    )


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 3])
def test_a_page_of_runs_costs_the_same_queries(count, api, connection, django_assert_num_queries):
    for _ in range(count):
        SyncRun.objects.create(workspace=connection.workspace, connection=connection, kind="plan")

    with django_assert_num_queries(2):
        runs = api.get(f"{PATH}/runs").json()["results"]

    assert len(runs) == count


@pytest.mark.django_db
def test_anothers_run_is_not_found(api, connection, stranger):
    theirs = make_quiet_connection(stranger.workspace)
    run = SyncRun.objects.create(
        workspace=stranger.workspace, connection=theirs, kind="plan", result={"items": ["secret"]}
    )

    answers = [api.get(f"{PATH}/runs/{number}") for number in (run.pk, run.pk + 1, 2**70)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert api.get(f"{PATH}/runs").json()["results"] == []


@pytest.mark.django_db
def test_the_same_key_starts_one_run(api, connection):
    first = api.post(f"{PATH}/run", headers={"Idempotency-Key": "k"})
    SyncRun.objects.update(status="completed")
    second = api.post(f"{PATH}/run", headers={"Idempotency-Key": "k"})

    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json() == second.json()
    assert SyncRun.objects.count() == 1
