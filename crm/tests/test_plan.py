"""What a run would do, and what it does."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Membership
from crm.models import ChangedLead, Conflict, Connection, Creation, Deal, InboxEvent, Link, SyncRun, TokenMeter
from crm.pipedrive.runs import draining, planning, running
from crm.tests.factories import make_connection
from leads import editing
from leads.history import Author
from leads.models import Lead, LeadVersion
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db

PATH = "/api/v1/crm/sync"


@pytest.fixture
def connection(pipedrive_server, member):
    return make_connection(member.workspace, pipedrive_server)


@pytest.fixture
def of_each_kind(connection, pipedrive_server, member):
    """Leads by what a run would do with them."""
    names = ("unchanged", "pushed", "pulled", "both", "clashing")
    leads = {
        name: make_lead(member.workspace, name=name, email=f"{name}@x.example", phone="+493012345", company="")
        for name in names
    }
    drain(connection)
    persons = {person["name"]: person["id"] for person in pipedrive_server.people.persons.all()}
    edit(leads["pushed"], name="pushed by us")
    edit(leads["both"], name="both by us")
    edit(leads["clashing"], name="ours")
    pipedrive_server.people.persons.edit(persons["pulled"], name="pulled by them")
    pipedrive_server.people.persons.edit(persons["both"], phone="+493054321")
    pipedrive_server.people.persons.edit(persons["clashing"], name="theirs")
    leads["new"] = make_lead(member.workspace, name="new", email="new@x.example", company="")
    pipedrive_server.requests.clear()
    return leads


def drain(connection):
    connection.refresh_from_db()
    draining.drain(connection, threads=1)


def edit(lead, **fields):
    member = Membership.objects.filter(workspace=lead.workspace).first()
    editing.update(lead.pk, fields, workspace=lead.workspace, by=Author("human", member.user_id))


def ours():
    """Everything of ours that a plan must leave as it is."""
    tables = (Lead, LeadVersion, Link, Creation, Conflict, Deal, ChangedLead, InboxEvent, Event, Connection)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in tables}


def theirs(server):
    return {kind: [dict(row) for row in table.values()] for kind, table in server.world.tables.items()}


def summary(plan):
    return {name: plan[name] for name in ("create", "push", "pull", "conflicts", "unchanged")}


def work_off(run, **how):
    """A piece of it, as the worker does it."""
    running.go_on(run, threads=1, **how)
    run.refresh_from_db()


def test_a_plan_tells_of_each_lead_what_would_be_done(api, of_each_kind):
    answer = api.post(f"{PATH}/plan")

    plan = answer.json()
    assert answer.status_code == 200
    assert summary(plan) == {"create": 1, "push": 2, "pull": 2, "conflicts": 1, "unchanged": 1}
    assert plan["tokens"] == 35 + 2 * 6 + 3 * 0.3
    items = {item["name"]: item for item in plan["items"]}
    assert {name: item["action"] for name, item in items.items()} == {
        "pushed by us": "push", "pulled": "pull", "both by us": "both", "ours": "conflict", "new": "create",
    }  # fmt: skip
    assert items["pushed by us"] == {
        "lead_id": of_each_kind["pushed"].pk,
        "name": "pushed by us",
        "action": "push",
        "fields": [{"field": "name", "ours": "pushed by us", "theirs": "pushed", "action": "push"}],
        "problem": "",
    }
    assert items["both by us"]["fields"] == [
        {"field": "name", "ours": "both by us", "theirs": "both", "action": "push"},
        {"field": "phone", "ours": "+493012345", "theirs": "+493054321", "action": "pull"},
    ]
    assert items["ours"]["fields"] == [{"field": "name", "ours": "ours", "theirs": "theirs", "action": "conflict"}]


def test_a_plan_writes_nothing_on_either_side(api, of_each_kind, pipedrive_server):
    before = ours(), theirs(pipedrive_server)

    api.post(f"{PATH}/plan")

    assert (ours(), theirs(pipedrive_server)) == before
    assert {request[0] for request in pipedrive_server.requests} == {"GET"}


def test_what_was_planned_is_what_a_run_does(api, of_each_kind, pipedrive_server):
    planned = summary(api.post(f"{PATH}/plan").json())

    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    work_off(run)

    assert (run.status, run.total_count, run.done_count, run.progress) == ("completed", 6, 6, 100)
    assert planned == {
        "create": run.created_count, "push": run.pushed_count, "pull": run.pulled_count, "conflicts": run.conflict_count,
        "unchanged": 1,
    }  # fmt: skip
    assert {person["name"] for person in pipedrive_server.people.persons.all()} == {
        "unchanged", "pushed by us", "pulled by them", "both by us", "theirs", "new",
    }  # fmt: skip


def test_after_a_run_there_is_nothing_to_do(api, of_each_kind):
    work_off(SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"]))

    plan = api.post(f"{PATH}/plan").json()

    assert summary(plan) == {"create": 0, "push": 0, "pull": 0, "conflicts": 1, "unchanged": 5}


def test_linked_leads_are_read_by_lists_and_not_one_by_one(api, of_each_kind, pipedrive_server):
    api.post(f"{PATH}/plan", {"lead_ids": [of_each_kind[name].pk for name in ("unchanged", "pushed", "pulled")]})

    assert [f"{request[0]} {request[1]}" for request in pipedrive_server.requests] == ["GET /api/v2/persons"]


def test_a_plan_of_some_leads_is_about_these_alone(api, of_each_kind, stranger):
    theirs = make_lead(stranger.workspace)

    plan = api.post(f"{PATH}/plan", {"lead_ids": [of_each_kind["pushed"].pk, theirs.pk, 2**62]}).json()

    assert summary(plan) == {"create": 0, "push": 1, "pull": 0, "conflicts": 0, "unchanged": 0}


def test_a_plan_that_takes_long_goes_on_in_the_background(api, of_each_kind, monkeypatch):
    monkeypatch.setattr(planning, "_INLINE", 0.0)

    answer = api.post(f"{PATH}/plan")

    run = SyncRun.objects.get()
    assert (answer.status_code, answer.json()["id"], answer.headers["Location"]) == (
        202,
        run.pk,
        f"{PATH}/runs/{run.pk}",
    )
    assert api.get(f"{PATH}/runs/{run.pk}").json()["plan"] is None

    work_off(run)
    plan = api.get(f"{PATH}/runs/{run.pk}").json()["plan"]
    assert summary(plan) == {"create": 1, "push": 2, "pull": 2, "conflicts": 1, "unchanged": 1}
    assert plan["run_id"] == run.pk


def test_many_leads_that_were_never_sent_are_planned_in_the_background_by_listing_all(
    api, connection, pipedrive_server, member
):
    pipedrive_server.people.persons.create(name="Known", email="known@x.example")
    make_lead(member.workspace, name="Known", email="known@x.example", company="")
    for number in range(50):
        make_lead(member.workspace, name=f"Person {number}", company="")
    pipedrive_server.requests.clear()

    answer = api.post(f"{PATH}/plan")
    run = SyncRun.objects.get()
    work_off(run)

    assert answer.status_code == 202
    assert summary(api.get(f"{PATH}/runs/{run.pk}").json()["plan"]) == {
        "create": 50, "push": 0, "pull": 0, "conflicts": 0, "unchanged": 1,
    }  # fmt: skip
    assert not any("search" in request[1] for request in pipedrive_server.requests)


def test_out_of_reach_there_is_no_plan(api, of_each_kind, pipedrive_server):
    pipedrive_server.down()

    answer = api.post(f"{PATH}/plan")

    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert SyncRun.objects.get().status == "failed"


def test_leads_out_of_scope_are_run_when_they_are_named(api, connection, pipedrive_server, member):
    Connection.objects.update(scope=Connection.Scope.LINKED)
    lead = make_lead(member.workspace, name="Ann", company="")

    work_off(SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"]))
    assert pipedrive_server.people.persons.all() == []

    work_off(SyncRun.objects.get(pk=api.post(f"{PATH}/run", {"lead_ids": [lead.pk]}).json()["id"]))
    assert [person["name"] for person in pipedrive_server.people.persons.all()] == ["Ann"]


def test_a_run_names_the_leads_that_failed_and_goes_on(api, connection, pipedrive_server, member):
    first, _second = (make_lead(member.workspace, name=name, company="") for name in ("Ann", "Bob"))
    pipedrive_server.fail(how="feature_capping", on="POST /api/v2/persons")

    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    work_off(run)

    shown = api.get(f"{PATH}/runs/{run.pk}").json()
    assert (shown["status"], shown["created_count"], shown["failed_count"]) == ("completed", 1, 1)
    assert [problem["lead_id"] for problem in shown["problems"]] == [first.pk]
    assert shown["problems"][0]["message"]


def test_without_tokens_a_run_waits_and_says_until_when(api, connection, member):
    make_lead(member.workspace)
    TokenMeter.objects.update(day=timezone.now().date(), spent=30_000, daily_limit=30_000)

    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    work_off(run)

    assert run.is_open
    assert run.failure.startswith("Pipedrive's tokens of today are used up")


def test_a_paused_connection_is_not_run_and_a_run_waits(api, connection, pipedrive_server, member):
    make_lead(member.workspace)
    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    Connection.objects.update(state="paused")
    refused = api.post(f"{PATH}/run")

    run.connection.refresh_from_db()
    work_off(run)

    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert (run.status, run.failure) == ("queued", "The connection with Pipedrive is paused. Let it go on first.")
    assert pipedrive_server.people.persons.all() == []


def test_a_run_gives_up_after_three_days(api, connection, pipedrive_server, member):
    make_lead(member.workspace)
    pipedrive_server.down()
    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    SyncRun.objects.update(created_at=timezone.now() - timedelta(days=3, minutes=1))
    run.refresh_from_db()

    work_off(run)

    assert run.status == "failed"
    assert run.failure.startswith("It was given up after three days")


def test_a_dead_token_ends_a_run(api, connection, pipedrive_server, member):
    make_lead(member.workspace)
    pipedrive_server.token = "another"

    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    work_off(run)

    assert (run.status, bool(run.failure)) == ("failed", True)


def test_a_piece_of_a_run_that_is_broken_off_is_gone_on_with(api, connection, pipedrive_server, member):
    for number in range(5):
        make_lead(member.workspace, name=f"Person {number}", company="")
    run = SyncRun.objects.get(pk=api.post(f"{PATH}/run").json()["id"])
    times = iter([False, False])

    work_off(run, leave_off=lambda: next(times, True))
    run.refresh_from_db()
    halfway = run.status, run.done_count
    work_off(run)

    assert halfway == ("running", 2)
    assert (run.status, run.done_count, run.created_count) == ("completed", 5, 5)
