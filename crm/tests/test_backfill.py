"""``manage.py pipedrive_backfill``"""

import os
import signal
from datetime import timedelta
from queue import SimpleQueue

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from accounts.tests.factories import make_member
from crm.models import ChangedLead, Creation, Link, SyncRun, TokenMeter
from crm.tests.factories import make_connection
from leads.models import Lead
from leads.tests.factories import make_lead


@pytest.fixture
def connection(pipedrive_server, member):
    return make_connection(member.workspace, pipedrive_server)


def make_leads(workspace, count):
    return [make_lead(workspace, name=f"Person {number}", company=f"Practice {number % 3}") for number in range(count)]


def backfill(*arguments, **options):
    call_command("pipedrive_backfill", *arguments, **{"threads": 1, **options})


def names(server):
    return sorted(person["name"] for person in server.people.persons.all())


@pytest.mark.django_db
def test_every_lead_arrives_once(connection, pipedrive_server, member, capsys):
    make_leads(member.workspace, 7)

    backfill()
    backfill()

    assert names(pipedrive_server) == [f"Person {number}" for number in range(7)]
    assert len(pipedrive_server.people.organizations.all()) == 3
    assert capsys.readouterr().out.splitlines() == [
        "7 of 7 leads: 7 created in Pipedrive, 0 changed there, 0 changed here; 0 conflicts; 0 with a problem",
        "7 of 7 leads: 0 created in Pipedrive, 0 changed there, 0 changed here; 0 conflicts; 0 with a problem",
    ]
    assert list(SyncRun.objects.values_list("kind", "status")) == [("backfill", "completed")] * 2


@pytest.mark.django_db
def test_who_is_there_already_is_found_without_a_search(connection, pipedrive_server, member):
    pipedrive_server.people.persons.create(name="Ann", email="ann@x.example")
    make_lead(member.workspace, name="Ann", email="ANN@x.example", company="")
    pipedrive_server.requests.clear()

    backfill()

    assert names(pipedrive_server) == ["Ann"]
    assert not any("search" in request[1] for request in pipedrive_server.requests)


@pytest.mark.django_db
def test_a_dry_run_tells_and_writes_nothing(connection, pipedrive_server, member, capsys):
    make_leads(member.workspace, 2)
    before = list(Lead.objects.order_by("pk").values())

    backfill(dry_run=True)

    assert capsys.readouterr().out == (
        "2 of 2 leads: 2 would be created in Pipedrive, 0 would be changed there, 0 would be changed here; 0 conflicts; 0 with a problem\n"
    )
    assert names(pipedrive_server) == []
    assert list(Lead.objects.order_by("pk").values()) == before
    assert (Link.objects.count(), Creation.objects.count()) == (0, 0)
    assert {request[0] for request in pipedrive_server.requests} <= {"GET"}


@pytest.mark.django_db
def test_leads_that_are_refused_are_named_and_the_command_fails(connection, pipedrive_server, member, capsys):
    first, *_rest = make_leads(member.workspace, 3)
    pipedrive_server.fail(how="feature_capping", on="POST /api/v2/persons")

    with pytest.raises(SystemExit) as ended:
        backfill()

    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.err.splitlines()[0].startswith(f"lead {first.pk}: ")
    assert said.out.endswith(
        "3 of 3 leads: 2 created in Pipedrive, 0 changed there, 0 changed here; 0 conflicts; 1 with a problem\n"
    )


@pytest.mark.django_db
def test_without_tokens_it_says_until_when_and_what_is_left_and_goes_on_later(
    connection, pipedrive_server, member, capsys
):
    make_leads(member.workspace, 6)
    TokenMeter.objects.update(day=timezone.now().date(), spent=0, daily_limit=60)

    with pytest.raises(CommandError, match="--wait"):
        backfill()
    said = capsys.readouterr().err
    arrived = len(names(pipedrive_server))
    TokenMeter.objects.update(daily_limit=30_000)
    backfill()

    assert "used up" in said
    assert f"Left: {6 - arrived} of 6 leads." in said
    assert 0 < arrived < 6
    assert len(names(pipedrive_server)) == 6
    assert SyncRun.objects.filter(kind="backfill").count() == 1


@pytest.mark.django_db
def test_out_of_reach_it_says_so_and_goes_on_later(connection, pipedrive_server, member):
    make_leads(member.workspace, 2)
    pipedrive_server.down()

    with pytest.raises(CommandError, match="can't be reached"):
        backfill()
    pipedrive_server.up()
    backfill()

    assert len(names(pipedrive_server)) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["500", "503", "timeout_before", "timeout_after", "cut"])
def test_a_request_that_fails_once_is_tried_again(how, connection, pipedrive_server, member, settings):
    settings.PIPEDRIVE_UNCERTAIN = timedelta(0)
    settings.PIPEDRIVE_TIMEOUT = 0.5
    make_leads(member.workspace, 3)
    pipedrive_server.fail(how=how, on="POST /api/v2/persons")

    backfill()

    assert names(pipedrive_server) == ["Person 0", "Person 1", "Person 2"]


@pytest.mark.django_db
def test_only_one_at_a_time(connection, pipedrive_server):
    SyncRun.objects.create(
        workspace=connection.workspace, connection=connection, kind="backfill", status="running", beat_at=timezone.now()
    )

    with pytest.raises(CommandError, match="running already"):
        backfill()


@pytest.mark.django_db
@pytest.mark.parametrize("named", ["id", "name", "email"])
def test_a_workspace_is_named_as_elsewhere(named, connection, pipedrive_server, member, stranger):
    make_connection(stranger.workspace, pipedrive_server)
    make_leads(member.workspace, 1)
    make_leads(stranger.workspace, 3)
    workspace = {"id": str(member.workspace_id), "name": member.workspace.name, "email": member.user.email}[named]

    backfill(workspace=workspace)

    assert names(pipedrive_server) == ["Person 0"]


@pytest.mark.django_db
def test_which_workspace_is_meant_must_be_clear(pipedrive_server, member, stranger):
    with pytest.raises(CommandError, match="No workspace is connected"):
        backfill()
    with pytest.raises(CommandError, match="There is no workspace"):
        backfill(workspace="nobody")
    with pytest.raises(CommandError, match="not connected"):
        backfill(workspace=str(member.workspace_id))
    for one in (member, stranger):
        make_connection(one.workspace, pipedrive_server)
    with pytest.raises(CommandError, match="Several workspaces"):
        backfill()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nth", [3, 8, 13])
def test_killed_outright_it_goes_on_where_it_was(nth, pipedrive_server, settings):
    settings.PIPEDRIVE_UNCERTAIN = timedelta(0)
    member = make_member()
    connection = make_connection(member.workspace, pipedrive_server)
    make_leads(member.workspace, 6)
    child: SimpleQueue[int] = SimpleQueue()
    pipedrive_server.kills(lambda: os.kill(child.get(timeout=5), signal.SIGKILL))
    pipedrive_server.fail(how="kill", on="*", skip=nth)

    connections.close_all()
    pid = os.fork()
    if not pid:
        backfill()
        os._exit(0)
    child.put(pid)
    status = os.waitpid(pid, 0)[1]
    for model in (Link, Creation):
        model.objects.exclude(leased_until=None).update(leased_until=timezone.now())
    SyncRun.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    backfill()

    assert os.WIFSIGNALED(status)
    assert names(pipedrive_server) == [f"Person {number}" for number in range(6)]
    assert len(pipedrive_server.people.organizations.all()) == 3
    assert SyncRun.objects.get().status == "completed"
    assert SyncRun.objects.get().done_count == 6
    assert connection.pk
    assert ChangedLead.objects.count() == 6  # the drain finds that nothing is left to do


@pytest.mark.django_db(transaction=True)
def test_several_threads_make_nothing_twice(pipedrive_server):
    member = make_member()
    make_connection(member.workspace, pipedrive_server)
    make_leads(member.workspace, 30)

    backfill(threads=6)

    assert len(names(pipedrive_server)) == len(set(names(pipedrive_server))) == 30
    assert len(pipedrive_server.people.organizations.all()) == 3
    assert SyncRun.objects.get().cursor == Lead.objects.latest("pk").pk
