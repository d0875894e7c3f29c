"""Nothing is made twice in Pipedrive, however many want it at once and whatever breaks in between."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db.models import F
from django.utils import timezone

from crm.errors import Busy
from crm.models import Conflict, Creation, Link
from crm.pipedrive.creating import creating, leases
from crm.tests.engine import edit, link_of, opened, sync
from crm.tests.factories import make_connection
from leads import history
from leads.models import Lead
from leads.tests.factories import make_lead
from zevix.errors import Rejected, Unanswered, Unreachable

pytestmark = pytest.mark.django_db(transaction=True)

PERSONS = "POST /api/v2/persons"


class Killed(BaseException):
    """The process ends here: nothing of ours runs any more."""


@pytest.fixture
def server(pipedrive_server):
    return pipedrive_server


@pytest.fixture
def connection(member, server, settings):
    settings.PIPEDRIVE_TIMEOUT = 2
    return make_connection(member.workspace, server, by=member.user)


@pytest.fixture
def lead(connection):
    return make_lead(connection.workspace, name="Anna Adams", email="anna@adams.example", company="Adams")


def at_once(count: int, act: Callable[[], object]) -> list[object]:
    """What so many threads got of the same act, begun together; what it raised in the place of what it returned."""
    results: list[object] = []
    together = threading.Barrier(count)

    def run() -> None:
        try:
            together.wait()
            results.append(act())
        except Exception as error:
            results.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def time_passes(**delta):
    """Leases run out, and what was asked for is long ago."""
    past = timedelta(**delta)
    Creation.objects.update(sent_at=F("sent_at") - past, leased_until=F("leased_until") - past)
    Link.objects.update(leased_until=F("leased_until") - past)


def person(account, key="anna@adams.example", name="Anna"):
    body = {"name": name, "emails": [{"value": key, "primary": True}]}
    return creating.person(key, body, account=account, is_it=lambda found: found["name"] == name)


def test_eight_that_want_the_same_person_at_once_get_one(connection, server):
    server.search_lags(60)
    account = opened(connection)

    results = at_once(8, lambda: person(account).id)

    assert results == [1] * 8
    assert len(server.people.all()) == 1


def test_eight_that_want_the_same_organization_at_once_get_one_however_it_is_written(connection, server):
    server.search_lags(60)
    account = opened(connection)
    names = iter(["Adams GmbH", "ADAMS  gmbh", " Adams GmbH ", "adams gmbh"] * 2)

    results = at_once(8, lambda: creating.organization(next(names), account=account).id)

    assert results == [1] * 8
    assert len(server.people.organizations.all()) == 1


def test_two_that_sync_the_same_lead_at_once_make_one_person(connection, server, lead):
    server.slow(0.05)

    results = at_once(2, lambda: sync(lead, connection).person_id)

    assert len(server.people.all()) == 1
    assert all(result == 1 or isinstance(result, Busy) for result in results)


@pytest.mark.parametrize("how", ["timeout_after", "cut", "500_after", "504_after"])
@pytest.mark.parametrize("email", ["anna@adams.example", ""])
def test_a_person_that_was_made_without_an_answer_is_found(connection, server, lead, how, email):
    edit(lead, email=email)
    server.search_lags(60)
    server.fail(on=PERSONS, how=how)

    with pytest.raises(Unanswered):
        sync(lead, connection)
    outcome = sync(lead, connection)

    assert [one["id"] for one in server.people.all()] == [1]
    assert (outcome.person_id, link_of(lead).person_id) == (1, 1)
    assert server.people.get(1)["name"] == "Anna Adams"


@pytest.mark.parametrize("email", ["anna@adams.example", ""])
def test_what_may_still_come_through_is_not_asked_for_again_before_its_time(connection, server, lead, email):
    edit(lead, email=email)
    server.fail(on=PERSONS, how="timeout_before")

    with pytest.raises(Unanswered):
        sync(lead, connection)
    with pytest.raises(Busy):
        sync(lead, connection)
    time_passes(seconds=61)
    outcome = sync(lead, connection)

    assert outcome.created
    assert len(server.people.all()) == 1


@pytest.mark.parametrize("how", ["429", "503"])
def test_what_was_surely_not_done_can_be_asked_for_again_at_once(connection, server, lead, how):
    server.fail(on=PERSONS, how=how, times=5)

    with pytest.raises(Unreachable):
        sync(lead, connection)
    server.heal()
    time_passes(seconds=61)
    connection.meter.__class__.objects.update(closed_until=None)
    outcome = sync(lead, connection)

    assert outcome.person_id == 1
    assert len(server.people.all()) == 1


def test_a_person_is_one_though_its_maker_was_killed_before_the_id_was_kept(connection, server, lead, monkeypatch):
    account = opened(connection)
    create = account.pipedrive.create_person

    def killed(body):
        create(body)
        raise Killed

    monkeypatch.setattr(account.pipedrive, "create_person", killed)
    with pytest.raises(Killed):
        person(account)
    with pytest.raises(Busy):
        person(opened(connection))
    time_passes(seconds=61)

    found = person(opened(connection))

    assert (found.id, found.is_new) == (1, False)
    assert len(server.people.all()) == 1


def test_a_lead_that_got_another_address_while_its_person_was_being_made_is_still_that_person(connection, server, lead):
    server.fail(on=PERSONS, how="timeout_after")
    with pytest.raises(Unanswered):
        sync(lead, connection)
    edit(lead, email="anna@bauer.example")

    outcome = sync(lead, connection)

    assert (outcome.person_id, outcome.pushed) == (1, ["email"])
    assert [one["emails"][0]["value"] for one in server.people.all()] == ["anna@bauer.example"]


def test_two_nameless_that_were_made_without_an_answer_are_not_taken_for_one(connection, server):
    leads = [make_lead(connection.workspace, name="Anna", email="", company="") for _ in range(2)]
    for lead in leads:
        server.fail(on=PERSONS, how="timeout_after")
        with pytest.raises(Unanswered):
            sync(lead, connection)

    results = [sync(lead, connection).person_id for lead in leads]

    assert sorted(results) == [1, 2]
    assert len(server.people.all()) == 2


def test_a_refused_person_is_told_of_and_can_be_tried_again(connection, server, lead):
    server.fail(on=PERSONS, how="feature_capping")

    refused = sync(lead, connection)
    outcome = sync(lead, connection)

    assert refused.person_id is None
    assert refused.problem != ""
    assert outcome.created


def test_what_is_known_is_not_looked_for_again(connection, server):
    server.search_lags(7200)
    account = opened(connection)
    person(account)
    creating.organization("Adams", account=account)
    server.age(3600)
    server.requests.clear()

    again = person(account), creating.organization("Adams", account=account)

    assert [(one.id, one.is_new) for one in again] == [(1, False), (1, False)]
    assert [path for _method, path, _cost in server.requests] == ["/api/v2/persons/1", "/api/v2/organizations/1"]


def test_of_eight_that_want_a_lease_one_gets_it_and_after_its_time_another_does(connection, lead):
    link = Link.objects.create(workspace=connection.workspace, connection=connection, lead=lead)

    first = at_once(8, lambda: leases.take(Link.objects.get(pk=link.pk)))
    time_passes(seconds=61)
    second = leases.take(link)

    assert len([lease for lease in first if lease]) == 1
    assert second is not None


def test_a_lease_that_ran_out_writes_nothing_more(connection, lead):
    link = Link.objects.create(workspace=connection.workspace, connection=connection, lead=lead)
    late = leases.take(link)
    time_passes(seconds=61)
    leases.take(Link.objects.get(pk=link.pk))

    with pytest.raises(Busy):
        late.keep(problem="too late")

    assert Link.objects.get(pk=link.pk).problem == ""


def test_six_that_change_and_sync_the_same_lead_leave_both_sides_alike(connection, server, lead):
    sync(lead, connection)
    server.slow(0.02)
    numbers = iter(range(6))

    def change_and_sync():
        mine = Lead.objects.get(pk=lead.pk)
        edit(mine, name=f"Anna {next(numbers)}")
        with suppress(Busy):
            sync(mine, connection)

    at_once(6, change_and_sync)
    sync(lead, connection)

    assert server.people.get(1)["name"] == lead.name
    assert lead.name.startswith("Anna ")
    assert not Conflict.objects.exists()
    assert history.provenance(Lead.objects.filter(pk=lead.pk))[lead.pk]["name"].source == "human"


def test_a_known_person_that_has_another_address_by_now_is_not_taken(connection, server):
    account = opened(connection)
    person(account)
    server.people.edit(1, email="anna@bauer.example")

    found = person(account)

    assert (found.id, found.is_new) == (2, True)


def test_a_known_organization_that_was_renamed_or_deleted_is_not_taken(connection, server):
    account = opened(connection)
    creating.organization("Adams", account=account)
    server.people.organizations.edit(1, name="Bauer")
    second = creating.organization("Adams", account=account)
    server.people.organizations.delete(second.id)

    third = creating.organization("Adams", account=account)

    assert (second.id, third.id) == (2, 3)


def test_waiting_for_another_ends_by_the_deadline(connection, server):
    server.slow(0.5)
    account = opened(connection)

    def wait():
        began = time.monotonic()
        try:
            creating.organization("Adams", account=account, deadline=time.monotonic() + 0.3)
        except (Busy, Unreachable, Rejected):
            return time.monotonic() - began
        return 0.0

    first = threading.Thread(target=lambda: (creating.organization("Adams", account=account), database.close()))
    first.start()
    time.sleep(0.1)
    took = wait()
    first.join()

    assert took < 1
    assert len(server.people.organizations.all()) == 1


def test_listed_knows_who_is_there_and_who_came_since(connection, server, monkeypatch):
    server.people.create(name="Anna", email="Anna@Adams.example")
    server.people.organizations.create(name="Adams  GmbH")
    told = []
    listed = creating.Listed(opened(connection), progress=told.append)
    server.people.create(name="Bert", email="bert@adams.example")
    monkeypatch.setattr("crm.pipedrive.creating.directories._FRESH", 0.0)
    listed._fresh_until = 0

    assert listed.person_ids("ANNA@adams.example") == [1]
    assert listed.person_ids("bert@adams.example") == [2]
    assert listed.person_ids("cleo@adams.example") == []
    assert listed.organization_ids("adams gmbh") == [1]
    assert told == [2]


def test_another_connections_creations_are_none_of_ours(connection, stranger, server):
    theirs = make_connection(stranger.workspace, server, by=stranger.user)
    Creation.objects.create(
        workspace=stranger.workspace,
        connection=theirs,
        kind="person",
        key="anna@adams.example",
        remote_id=77,
        sent_at=timezone.now(),
    )

    found = person(opened(connection))

    assert found.id == 1
