"""What random programs of `both_sides` have found, each as the shortest story."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Membership
from crm.models import Conflict, Connection, Creation, Link
from crm.pipedrive.syncing import linking, syncing
from crm.tests.engine import edit, in_step, opened, sync
from crm.tests.factories import make_connection
from crm.tests.pipedrive_server import PipedriveServer
from leads.models import Lead
from leads.tests.factories import make_lead
from zevix.errors import Unanswered

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(pipedrive_server: PipedriveServer) -> PipedriveServer:
    return pipedrive_server


@pytest.fixture
def connection(member: Membership, server: PipedriveServer) -> Connection:
    return make_connection(member.workspace, server, by=member.user)


def test_conflicts_end_with_the_person_that_they_are_about(connection: Connection, server: PipedriveServer) -> None:
    lead, link = in_step(connection, name="Anna")
    person_id = link.person_id or 0
    edit(lead, name="Anna Adams")
    server.people.edit(person_id, name="A. Adams")
    sync(lead, connection)
    assert Conflict.objects.filter(resolved_at=None).count() == 1

    server.people.delete(person_id)
    linking.person_changed(person_id, account=opened(connection))

    ended = Conflict.objects.get()
    assert (ended.choice, ended.by_rule, ended.theirs) == ("zevix", True, "A. Adams")
    assert ended.resolved_at is not None


def test_a_lead_whose_person_is_another_leads_makes_no_organization(
    connection: Connection, server: PipedriveServer
) -> None:
    in_step(connection, email="anna@adams.example", company="Adams")
    twin = make_lead(connection.workspace, email="Anna@adams.example", company="Another")
    server.requests.clear()

    outcome = sync(twin, connection)

    assert "Merge the two leads" in outcome.problem
    assert ([each["name"] for each in server.people.organizations.all()], server.requests) == (["Adams"], [])


def test_a_lead_gets_its_person_whose_address_another_lead_has_given_up(
    connection: Connection, server: PipedriveServer
) -> None:
    first, _link = in_step(connection, email="anna@adams.example")
    second = make_lead(connection.workspace, email="anna@adams.example")
    sync(second, connection)
    edit(first, email="other@adams.example")
    sync(first, connection)

    outcome = sync(second, connection)

    addresses = {each["id"]: each["emails"][0]["value"] for each in server.people.all()}
    assert (outcome.problem, addresses) == ("", {1: "other@adams.example", 2: "anna@adams.example"})


def test_a_person_that_was_asked_for_long_ago_and_never_heard_of_is_its_leads_and_no_other_becomes_it(
    connection: Connection, server: PipedriveServer
) -> None:
    lead = make_lead(connection.workspace, name="Anna", email="", company="")
    server.fail(how="timeout_after", on="POST /api/v2/persons")
    with pytest.raises(Unanswered):
        sync(lead, connection)
    _long_ago(Creation, server)

    linking.person_changed(1, account=opened(connection))

    assert Lead.objects.for_workspace(connection.workspace).count() == 1
    assert (Link.objects.get().lead_id, Link.objects.get().person_id) == (lead.pk, 1)
    syncing.sync_lead(lead.pk, account=opened(connection), must_read=True)
    assert len(server.people.all()) == 1


def _long_ago(table: Any, server: PipedriveServer) -> None:
    server.age(7200)
    table.objects.update(sent_at=timezone.now() - timedelta(hours=2))
