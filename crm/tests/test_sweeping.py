"""Sweeps find what no webhook told."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from crm import jobs
from crm.models import Connection, Deal, InboxEvent, Link, SyncRun, TokenMeter
from crm.pipedrive.events import sweeping
from crm.pipedrive.runs import draining
from crm.tests.events import drains
from crm.tests.factories import make_connection
from leads.models import Lead
from leads.tests.factories import make_lead
from zevix.errors import Unreachable

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(pipedrive_server, member):
    return make_connection(member.workspace, pipedrive_server)


@pytest.fixture
def lead(connection, pipedrive_server, member):
    """One in step; no webhook tells anything any more."""
    lead = make_lead(member.workspace, name="Ann", email="ann@x.example", company="Acme")
    drain(connection)
    pipedrive_server.lose_webhooks()
    pipedrive_server.requests.clear()
    return lead


def drain(connection):
    connection.refresh_from_db()
    draining.drain(connection, threads=1)


def sweep(connection):
    connection.refresh_from_db()
    run = sweeping.sweep(connection)
    drain(connection)
    return run


def the_person(server):
    return server.people.persons.all()[0]


def test_what_is_in_step_is_not_news(connection, pipedrive_server, lead):
    run = sweep(connection)

    assert (run.status, run.done_count, InboxEvent.objects.count()) == ("completed", 0, 0)


def test_changes_that_no_webhook_told_are_found(connection, pipedrive_server, lead):
    people = pipedrive_server.people
    people.persons.edit(the_person(pipedrive_server)["id"], name="Anna")
    people.organizations.edit(people.organizations.all()[0]["id"], name="Acme International")
    people.deals.create(title="A deal", person_id=the_person(pipedrive_server)["id"])
    people.persons.create(name="New", email="new@x.example")

    sweep(connection)

    lead.refresh_from_db()
    assert (lead.name, lead.company) == ("Anna", "Acme International")
    assert list(Deal.objects.values_list("title", flat=True)) == ["A deal"]
    assert Lead.objects.for_workspace(connection.workspace).filter(name="New").count() == 1


def test_a_second_sweep_finds_nothing_new(connection, pipedrive_server, lead):
    pipedrive_server.people.persons.edit(the_person(pipedrive_server)["id"], name="Anna")
    sweep(connection)

    run = sweep(connection)

    assert run.done_count == 0
    assert InboxEvent.objects.count() == 1


def test_persons_and_deals_that_are_no_more_are_found(connection, pipedrive_server, lead):
    deal = pipedrive_server.people.deals.create(title="A deal", person_id=the_person(pipedrive_server)["id"])
    sweep(connection)
    pipedrive_server.people.deals.delete(deal["id"])
    pipedrive_server.people.persons.delete(the_person(pipedrive_server)["id"])

    sweep(connection)

    assert Deal.objects.get().status == Deal.Status.DELETED
    assert Link.objects.get().state == Link.State.DELETED


def test_a_merge_that_nobody_told_is_followed(connection, pipedrive_server, lead):
    person = the_person(pipedrive_server)
    other = pipedrive_server.people.persons.create(name="Ann again")
    pipedrive_server.people.persons.merge(person["id"], into=other["id"])

    sweep(connection)

    assert Link.objects.get(lead=lead).person_id == other["id"]


def test_the_webhook_is_registered_again_where_it_is_gone(connection, pipedrive_server, lead):
    sweep(connection)

    connection.refresh_from_db()
    assert [hook["id"] for hook in pipedrive_server.webhooks] == [connection.webhook_id]
    assert connection.webhook_problem == ""


@pytest.mark.parametrize("on", ["GET /api/v2/persons", "GET /api/v2/organizations", "GET /api/v2/deals"])
def test_a_sweep_that_was_broken_off_begins_again_where_it_began(on, connection, pipedrive_server, lead):
    sweep(connection)
    connection.refresh_from_db()
    until = connection.swept_until
    pipedrive_server.people.persons.edit(the_person(pipedrive_server)["id"], name="Anna")
    pipedrive_server.fail(how="403_html", on=on, times=100)

    with pytest.raises(Unreachable):
        sweeping.sweep(connection)

    connection.refresh_from_db()
    assert connection.swept_until == until
    assert SyncRun.objects.latest("pk").status == "failed"
    assert SyncRun.objects.latest("pk").failure

    pipedrive_server.heal()
    TokenMeter.objects.update(closed_until=None)
    sweep(connection)
    lead.refresh_from_db()
    assert lead.name == "Anna"


def test_what_stands_in_the_way_is_noted(connection, pipedrive_server, lead):
    pipedrive_server.token = "another"

    jobs.sweep(connection.pk)

    connection.refresh_from_db()
    assert connection.state == Connection.State.BROKEN
    assert connection.swept_until is None


def test_a_broken_connection_is_tried_again_though_nothing_waits(connection, pipedrive_server, lead):
    Connection.objects.update(state="broken", problem="Dead.", retry_at=timezone.now() - timedelta(seconds=1))

    jobs.sweep(connection.pk)

    connection.refresh_from_db()
    assert (connection.state, connection.problem) == (Connection.State.ACTIVE, "")


def test_links_are_looked_at_in_turns(connection, pipedrive_server, member, monkeypatch):
    monkeypatch.setattr(sweeping, "_CHUNK", 2)
    monkeypatch.setattr(sweeping, "_LINKS_A_NIGHT", 2)
    for number in range(5):
        make_lead(member.workspace, name=f"Person {number}")
    drain(connection)
    persons = pipedrive_server.people.persons.all()
    pipedrive_server.people.persons.delete(persons[-1]["id"])

    states = []
    for _ in range(3):
        sweep(connection)
        states.append(Link.objects.filter(state=Link.State.DELETED).count())

    assert states == [0, 0, 1]
    assert SyncRun.objects.latest("pk").cursor == 0


@pytest.mark.parametrize(
    ("fields", "is_due"),
    [
        ({"swept_until": None}, True),
        ({"swept_until": timedelta(hours=30)}, True),
        ({"swept_until": timedelta(minutes=1)}, False),
        ({"swept_until": timedelta(minutes=16), "webhook_problem": "Out of reach."}, True),
        ({"swept_until": timedelta(minutes=16), "webhook_id": None}, True),
        ({"swept_until": timedelta(minutes=5), "webhook_id": None}, False),
        ({"swept_until": timedelta(hours=30), "state": "paused"}, False),
        ({"swept_until": timedelta(hours=30), "state": "disconnected"}, False),
        ({"swept_until": timedelta(hours=30), "state": "broken", "retry_at": -timedelta(hours=1)}, False),
        ({"swept_until": timedelta(hours=30), "state": "broken", "retry_at": timedelta(hours=1)}, True),
        ({"swept_until": timedelta(minutes=1), "state": "broken", "retry_at": timedelta(hours=1)}, True),
        ({"swept_until": timedelta(hours=30), "retry_at": -timedelta(hours=1)}, False),
    ],
)
def test_who_is_swept_when(fields, is_due, connection):
    now = timezone.now()
    moments = {name: now - value if isinstance(value, timedelta) else value for name, value in fields.items()}
    Connection.objects.update(connected_at=now - timedelta(days=2), **moments)

    jobs.look_for_sweeps(0)

    assert (sweeping.due_connections() == [connection.pk]) is is_due
    assert drains().exists() is False


def test_old_sweeps_are_forgotten_but_for_the_latest(connection):
    for kind in ("sweep", "sweep", "plan"):
        SyncRun.objects.create(workspace=connection.workspace, connection=connection, kind=kind)
    SyncRun.objects.update(created_at=timezone.now() - timedelta(days=8))

    forgotten = sweeping.forget_old()

    assert forgotten == 1
    assert sorted(SyncRun.objects.values_list("kind", flat=True)) == ["plan", "sweep"]


@pytest.mark.parametrize(
    ("hour", "night"), [(1, datetime(2026, 3, 1, 2, tzinfo=UTC)), (2, datetime(2026, 3, 2, 2, tzinfo=UTC))]
)
def test_a_night_begins_at_two(hour, night):
    assert sweeping._last_night(datetime(2026, 3, 2, hour, 30, tzinfo=UTC)) == night
