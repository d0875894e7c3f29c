"""What waits is worked off: all of it, in whatever state it is found, by however many."""

import os
import signal
from datetime import timedelta
from queue import SimpleQueue
from threading import Barrier, Thread

import pytest
from django.db import connections
from django.utils import timezone

from accounts.tests.factories import make_member
from crm import jobs
from crm.models import ChangedLead, Connection, Creation, Deal, InboxEvent, Link, TokenMeter
from crm.pipedrive.runs import draining
from crm.pipedrive.syncing import syncing
from crm.tests.events import deliver, drains
from crm.tests.factories import make_connection
from leads import editing
from leads.history import Author
from leads.models import Lead
from leads.tests.factories import make_lead


@pytest.fixture
def connection(pipedrive_server, member):
    return make_connection(member.workspace, pipedrive_server)


def drain(connection, **how):
    connection.refresh_from_db()
    return draining.drain(connection, **{"threads": 1, **how})


def edit(lead, by, **fields):
    editing.update(lead.pk, fields, workspace=lead.workspace, by=Author("human", by.user_id))


def let_time_pass():
    """As if what was put off were due by now."""
    for model in (ChangedLead, InboxEvent, Link, Deal, Connection):
        model.objects.exclude(retry_at=None).update(retry_at=timezone.now() - timedelta(seconds=1))


def names(server):
    return sorted(person["name"] for person in server.people.persons.all())


@pytest.mark.django_db
def test_leads_that_were_changed_here_arrive_there(connection, pipedrive_server, member):
    lead = make_lead(member.workspace, name="Ann", email="ann@x.example")
    left = drain(connection)
    edit(lead, member, name="Anna")
    drain(connection)

    assert left is False
    assert names(pipedrive_server) == ["Anna"]
    assert not ChangedLead.objects.exists()


@pytest.mark.django_db
def test_what_changed_there_arrives_here(connection, pipedrive_server, member):
    lead = make_lead(member.workspace, name="Ann", email="ann@x.example")
    drain(connection)
    person = pipedrive_server.people.persons.all()[0]
    pipedrive_server.people.persons.edit(person["id"], name="Anna")
    pipedrive_server.people.persons.create(name="New", email="new@x.example")
    deliver(pipedrive_server)

    drain(connection)

    assert sorted(Lead.objects.for_workspace(member.workspace).values_list("name", flat=True)) == ["Anna", "New"]
    assert not InboxEvent.objects.filter(outcome="waiting").exists()
    assert Link.objects.get(lead=lead).person_id == person["id"]


@pytest.mark.django_db
def test_nothing_that_waits_costs_nothing(connection, pipedrive_server):
    assert drain(connection) is False

    assert pipedrive_server.requests == []


@pytest.mark.django_db
def test_leads_that_were_never_sent_concern_nobody_where_only_linked_ones_do(connection, pipedrive_server, member):
    Connection.objects.update(scope=Connection.Scope.LINKED)
    make_lead(member.workspace)

    drain(connection)

    assert not ChangedLead.objects.exists()
    assert pipedrive_server.requests == []


@pytest.mark.django_db
def test_for_many_new_leads_everybody_there_is_listed_once_and_nobody_searched_for(
    connection, pipedrive_server, member, monkeypatch
):
    monkeypatch.setattr(draining, "_MANY", 2)
    known = pipedrive_server.people.persons.create(name="Ann", emails=[{"value": "ann@x.example", "primary": True}])
    leads = [
        make_lead(member.workspace, name=name, email=f"{name}@x.example".lower()) for name in ("Ann", "Ben", "Cem")
    ]
    before = len(pipedrive_server.requests)

    drain(connection)

    asked = [path for _method, path, _cost in pipedrive_server.requests[before:]]
    assert [path for path in asked if "search" in path] == []
    assert asked.count("/api/v2/persons") == 1 + 2  # the list, and two who are new
    assert Link.objects.get(lead=leads[0]).person_id == known["id"]
    assert names(pipedrive_server) == ["Ann", "Ben", "Cem"]


@pytest.mark.django_db
def test_what_one_lead_is_refused_stops_no_other(connection, pipedrive_server, member):
    first, second = (make_lead(member.workspace, name=name) for name in ("Ann", "Bob"))
    pipedrive_server.fail(how="feature_capping", on="POST /api/v2/persons")

    drain(connection)

    assert names(pipedrive_server) == ["Bob"]
    assert Link.objects.get(lead=first).problem
    assert Link.objects.get(lead=second).problem == ""
    assert not ChangedLead.objects.exists()


@pytest.mark.django_db
def test_what_is_not_answered_is_tried_again_later_and_later(connection, pipedrive_server, member):
    make_lead(member.workspace, name="Ann")
    waits = []
    pipedrive_server.fail(how="403_html", on="*", times=1000)
    for _ in range(3):
        drain(connection)
        row = ChangedLead.objects.get()
        waits.append((row.retry_at - timezone.now()).total_seconds())
        let_time_pass()
        TokenMeter.objects.update(closed_until=None)
    row = ChangedLead.objects.get()
    pipedrive_server.heal()
    drain(connection)

    assert row.attempts == 3
    assert "Pipedrive" in row.problem
    assert 3 < waits[0] < 7 < waits[1] < 13 < waits[2] < 25
    assert names(pipedrive_server) == ["Ann"]
    assert not ChangedLead.objects.exists()


@pytest.mark.django_db
def test_a_lead_that_was_put_off_has_its_turn_when_somebody_changes_it(connection, pipedrive_server, member):
    lead = make_lead(member.workspace, name="Ann")
    pipedrive_server.fail(how="503", on="*", times=1000)
    drain(connection)
    pipedrive_server.heal()

    edit(lead, member, name="Anna")
    drain(connection)

    assert names(pipedrive_server) == ["Anna"]


@pytest.mark.django_db
def test_where_nobody_is_answered_the_connection_rests(connection, pipedrive_server, member):
    for _ in range(9):
        make_lead(member.workspace)
    pipedrive_server.down()

    left = drain(connection)

    connection.refresh_from_db()
    assert left is False
    assert connection.retry_at > timezone.now() + timedelta(seconds=20)
    assert "can't be reached" in connection.problem
    assert ChangedLead.objects.filter(attempts=0).count() == 4
    assert draining.due_connections() == []

    pipedrive_server.up()
    let_time_pass()
    drain(connection)

    connection.refresh_from_db()
    assert (connection.problem, connection.retry_at) == ("", None)
    assert len(pipedrive_server.people.persons.all()) == 9


@pytest.mark.django_db
def test_without_tokens_the_connection_waits_for_the_next_day(connection, pipedrive_server, member):
    for _ in range(3):
        make_lead(member.workspace)
    today = timezone.now().date()
    TokenMeter.objects.update(day=today, spent=30_000, daily_limit=30_000)

    left = drain(connection)

    connection.refresh_from_db()
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert left is False
    assert (connection.state, connection.retry_at) == (Connection.State.ACTIVE, midnight)
    assert connection.problem.startswith("Pipedrive's tokens of today are used up")
    assert ChangedLead.objects.filter(attempts=0).count() == 3
    assert pipedrive_server.requests == []


@pytest.mark.django_db
def test_a_dead_token_breaks_the_connection_and_is_tried_again_later(connection, pipedrive_server, member):
    for _ in range(3):
        make_lead(member.workspace)
    right, pipedrive_server.token = pipedrive_server.token, "another"

    drain(connection)
    asked = len(pipedrive_server.requests)
    drain(connection)

    connection.refresh_from_db()
    assert connection.state == Connection.State.BROKEN
    assert "token" in connection.problem
    assert len(pipedrive_server.requests) == asked == 1
    assert ChangedLead.objects.count() == 3

    pipedrive_server.token = right
    let_time_pass()
    drain(connection)

    connection.refresh_from_db()
    assert (connection.state, connection.problem) == (Connection.State.ACTIVE, "")
    assert len(pipedrive_server.people.persons.all()) == 3


@pytest.mark.django_db
def test_an_account_that_may_not_be_read_has_the_connection_rest_and_say_so(connection, pipedrive_server, member):
    make_lead(member.workspace)
    Connection.objects.update(account={}, account_read_at=None)
    pipedrive_server.fail(how="403", on="*", times=100)

    drain(connection)

    connection.refresh_from_db()
    assert connection.problem
    assert connection.retry_at > timezone.now() + timedelta(minutes=10)


@pytest.mark.django_db
def test_a_paused_connection_is_left_alone_and_catches_up_later(connection, pipedrive_server, member):
    Connection.objects.update(state=Connection.State.PAUSED)
    make_lead(member.workspace, name="Ann")
    paused = drain(connection)
    asked = list(pipedrive_server.requests)
    Connection.objects.update(state=Connection.State.ACTIVE)
    drain(connection)

    assert (paused, asked) == (False, [])
    assert names(pipedrive_server) == ["Ann"]


@pytest.mark.django_db
def test_a_piece_ends_in_time_and_says_that_there_is_more(connection, pipedrive_server, member):
    for _ in range(3):
        make_lead(member.workspace)

    assert drain(connection, seconds=0) is True
    assert drain(connection, leave_off=lambda: True) is True
    assert drain(connection) is False
    assert len(pipedrive_server.people.persons.all()) == 3


@pytest.mark.django_db
def test_a_lead_that_changes_while_it_is_worked_off_is_looked_at_again(connection, pipedrive_server, member):
    lead = make_lead(member.workspace, name="Ann")
    noted = ChangedLead.objects.get()
    syncing.sync_lead(lead.pk, account=draining.accounts.open(connection, lane="background"))
    edit(lead, member, name="Anna")

    assert syncing.settled(lead.pk, noted.changed_at) is False
    drain(connection)
    assert names(pipedrive_server) == ["Anna"]


@pytest.mark.django_db
def test_deals_that_wait_are_made(connection, pipedrive_server, member):
    lead = make_lead(member.workspace, name="Ann")
    Deal.objects.create(workspace=member.workspace, connection=connection, lead=lead, title="A deal")

    drain(connection)

    assert [deal["title"] for deal in pipedrive_server.people.deals.all()] == ["A deal"]
    assert Deal.objects.get().status == Deal.Status.OPEN


@pytest.mark.django_db
def test_another_workspaces_leads_stay_where_they_are(connection, pipedrive_server, stranger):
    make_lead(stranger.workspace)
    theirs = make_connection(stranger.workspace, pipedrive_server)
    lead = make_lead(stranger.workspace)

    drain(connection)

    assert list(ChangedLead.objects.values_list("lead_id", flat=True)) == [lead.pk]
    assert draining.due_connections() == [theirs.pk]


# Killed, and many at once -------------------------------------------------------------------------------------------------


def drain_in_a_process_that_dies(connection, server, nth):
    """Killed outright while it waits for the answer to its nth request, which has had its effect. Returns whether it came so far."""
    child: SimpleQueue[int] = SimpleQueue()
    server.kills(lambda: os.kill(child.get(timeout=5), signal.SIGKILL))
    server.fail(how="kill", on="*", skip=nth)
    connections.close_all()
    pid = os.fork()
    if not pid:
        draining.drain(Connection.objects.get(pk=connection.pk), threads=1)
        os._exit(0)
    child.put(pid)
    status = os.waitpid(pid, 0)[1]
    server.heal()
    return os.WIFSIGNALED(status)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nth", [0, 1, 2, 3, 5, 8])
def test_killed_in_its_midst_nothing_is_lost_and_nothing_made_twice(nth, pipedrive_server, settings):
    settings.PIPEDRIVE_UNCERTAIN = timedelta(0)
    member = make_member()
    connection = make_connection(member.workspace, pipedrive_server)
    for number in range(4):
        make_lead(member.workspace, name=f"Person {number}", company=f"Practice {number % 2}")

    is_killed = drain_in_a_process_that_dies(connection, pipedrive_server, nth)
    for _ in range(3):
        for model in (Link, Creation):
            model.objects.exclude(leased_until=None).update(leased_until=timezone.now())
        let_time_pass()
        drain(connection)

    assert is_killed
    assert names(pipedrive_server) == [f"Person {number}" for number in range(4)]
    assert sorted(one["name"] for one in pipedrive_server.people.organizations.all()) == ["Practice 0", "Practice 1"]
    assert not ChangedLead.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_drains_of_one_connection_at_once_make_nothing_twice(pipedrive_server):
    member = make_member()
    connection = make_connection(member.workspace, pipedrive_server)
    for number in range(20):
        make_lead(member.workspace, name=f"Person {number}", company="One practice")
    barrier = Barrier(2)

    def work():
        barrier.wait()
        draining.drain(Connection.objects.get(pk=connection.pk), threads=3)
        connections.close_all()

    workers = [Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for _ in range(3):
        let_time_pass()
        drain(connection)

    assert len(names(pipedrive_server)) == len(set(names(pipedrive_server))) == 20
    assert len(pipedrive_server.people.organizations.all()) == 1
    assert not ChangedLead.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_several_threads_share_the_work_and_leave_no_connection_behind(pipedrive_server):
    member = make_member()
    connection = make_connection(member.workspace, pipedrive_server)
    for number in range(12):
        make_lead(member.workspace, name=f"Person {number}")

    drain(connection, threads=4)

    assert len(names(pipedrive_server)) == 12


# Jobs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_look_queues_the_drain_of_those_for_whom_something_waits(connection, pipedrive_server, member, stranger):
    make_connection(stranger.workspace, pipedrive_server)
    make_lead(member.workspace)

    jobs.look(0)
    jobs.look(0)

    lock = f"pipedrive:{connection.pk}"
    assert list(drains().values_list("args", "lock", "queueing_lock")) == [
        ({"connection_id": connection.pk}, lock, lock)
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 3])
def test_a_look_costs_one_query_however_many_are_connected(count, pipedrive_server, django_assert_num_queries):
    for _ in range(count):
        make_connection(make_member().workspace, pipedrive_server)

    with django_assert_num_queries(1):
        jobs.look(0)


@pytest.mark.django_db
def test_unconnected_workspaces_note_nothing(stranger):
    make_lead(stranger.workspace)

    assert not ChangedLead.objects.exists()
