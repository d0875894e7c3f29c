"""Persons that are new, deleted or merged there, and what becomes of their leads."""

import pytest

from crm.errors import Busy
from crm.models import Connection, Creation, Link
from crm.pipedrive.creating import creating
from crm.pipedrive.mapping import Remote
from crm.pipedrive.syncing import linking
from crm.tests.engine import edit, in_step, link_of, opened, sync
from crm.tests.factories import make_connection
from leads import editing, history
from leads.history import Author
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import Lead, Merge
from leads.tests.factories import make_lead
from zevix.errors import Unanswered

pytestmark = pytest.mark.django_db(transaction=True)

BY = Author("human")


@pytest.fixture
def server(pipedrive_server):
    return pipedrive_server


@pytest.fixture
def connection(member, server):
    return make_connection(member.workspace, server, by=member.user)


def changed(person_id, connection):
    linking.person_changed(person_id, account=opened(connection))


# New ones -------------------------------------------------------------------------------------------------------------------


def test_a_new_person_there_becomes_a_lead(connection, server):
    organization = server.people.organizations.create(name="Adams GmbH", website="adams.example")
    person = server.people.create(
        name="Anna Adams", email="anna@adams.example", phone="+49 30 123456", org_id=organization["id"]
    )

    changed(person["id"], connection)

    lead = Lead.objects.for_workspace(connection.workspace_id).get()
    assert (lead.name, lead.email, lead.phone) == ("Anna Adams", "anna@adams.example", "+49 30 123456")
    assert (lead.company, lead.website, lead.source) == ("Adams GmbH", "adams.example", "pipedrive")
    assert lead.origin["source"] == "crm"
    link = link_of(lead)
    assert (link.person_id, link.organization_id) == (person["id"], organization["id"])


def test_a_lead_that_came_from_there_is_in_step_and_asks_nothing(connection, server):
    person = server.people.create(name="Anna Adams", email="anna@adams.example")
    changed(person["id"], connection)
    server.requests.clear()

    sync(Lead.objects.get(), connection)

    assert server.requests == []


def test_a_person_that_came_twice_becomes_one_lead(connection, server):
    person = server.people.create(name="Anna Adams", email="anna@adams.example")

    changed(person["id"], connection)
    changed(person["id"], connection)

    assert Lead.objects.for_workspace(connection.workspace_id).count() == 1


def test_a_person_from_before_the_connection_becomes_no_lead(connection, server):
    person = server.people.create(name="Anna Adams", email="anna@adams.example")
    server.age(3600)

    changed(person["id"], connection)

    assert not Lead.objects.for_workspace(connection.workspace_id).exists()


def test_where_new_persons_are_not_taken_none_becomes_a_lead(connection, server):
    Connection.objects.update(takes_new=False)
    person = server.people.create(name="Anna Adams", email="anna@adams.example")

    changed(person["id"], connection)

    assert not Lead.objects.for_workspace(connection.workspace_id).exists()


def test_a_new_person_meets_the_lead_with_its_address(connection, server):
    Connection.objects.update(scope=Connection.Scope.LINKED)
    lead = make_lead(connection.workspace, name="Anna Adams", email="Anna@Adams.example", company="")
    person = server.people.create(name="Anna Adams", email="anna@adams.example", phone="+49 30 123456")

    changed(person["id"], connection)

    lead.refresh_from_db()
    assert link_of(lead).person_id == person["id"]
    assert lead.phone == "+49 30 123456"
    assert len(server.people.all()) == 1


def test_a_twin_that_somebody_makes_there_becomes_no_second_lead(connection, server):
    lead, link = in_step(connection)
    twin = server.people.create(name="Anna Adams", email="anna@adams.example")

    changed(twin["id"], connection)

    assert Lead.objects.for_workspace(connection.workspace_id).count() == 1
    assert link_of(lead).person_id == link.person_id


def test_another_workspaces_lead_with_the_address_is_not_met(connection, stranger, server):
    theirs = make_lead(stranger.workspace, name="Anna", email="anna@adams.example")
    person = server.people.create(name="Anna Adams", email="anna@adams.example")

    changed(person["id"], connection)

    assert not Link.objects.filter(lead=theirs.pk).exists()
    assert Lead.objects.for_workspace(connection.workspace_id).count() == 1


@pytest.mark.parametrize("email", ["anna@adams.example", ""])
def test_an_event_of_a_person_that_we_are_making_waits_until_that_is_known(connection, server, email):
    lead = make_lead(connection.workspace, name="Anna", email=email, company="")
    server.fail(on="POST /api/v2/persons", how="timeout_after")
    with pytest.raises(Unanswered):
        sync(lead, connection)

    with pytest.raises(Busy):
        changed(1, connection)
    sync(lead, connection)
    changed(1, connection)

    assert Lead.objects.for_workspace(connection.workspace_id).count() == 1
    assert link_of(lead).person_id == 1


def test_a_person_whose_maker_was_killed_before_the_link_was_written_is_linked_by_its_event(connection, server):
    lead = make_lead(connection.workspace, name="Anna", email="", company="")
    made = creating.person(f"lead:{lead.pk}", {"name": "Anna"}, account=opened(connection), is_it=lambda person: True)
    Link.objects.create(workspace=connection.workspace, connection=connection, lead=lead, sent_as=f"lead:{lead.pk}")

    changed(made.id, connection)

    assert link_of(lead).person_id == made.id
    assert Lead.objects.for_workspace(connection.workspace_id).count() == 1


def test_what_a_lead_can_not_hold_is_left_out(connection, server):
    person = server.people.create(name="Anna", email="this is no address")

    changed(person["id"], connection)

    lead = Lead.objects.for_workspace(connection.workspace_id).get()
    assert lead.email == ""


# Deleted ones ---------------------------------------------------------------------------------------------------------------


def test_a_person_that_was_deleted_leaves_its_lead_which_is_not_sent_again_by_itself(connection, server):
    lead, link = in_step(connection)
    server.people.delete(link.person_id)

    changed(link.person_id, connection)
    edit(lead, name="Anna Bauer")
    outcome = sync(lead, connection)

    assert link_of(lead).state == Link.State.DELETED
    assert "deleted in Pipedrive" in outcome.problem
    assert server.people.all() == []
    assert Lead.objects.filter(pk=lead.pk).exists()


def test_a_deleted_persons_lead_can_be_sent_again(connection, server):
    lead, link = in_step(connection)
    server.people.delete(link.person_id)
    changed(link.person_id, connection)

    outcome = sync(lead, connection, send=True)

    assert outcome.created
    assert link_of(lead).state == Link.State.ACTIVE
    assert link_of(lead).problem == ""
    assert [person["name"] for person in server.people.all()] == ["Anna Adams"]


def test_a_person_that_is_brought_back_there_is_in_step_again(connection, server):
    lead, link = in_step(connection)
    server.people.delete(link.person_id)
    changed(link.person_id, connection)
    server.people.restore(link.person_id)
    server.people.edit(link.person_id, name="Anna Bauer")

    changed(link.person_id, connection)

    lead.refresh_from_db()
    assert (link_of(lead).state, lead.name) == (Link.State.ACTIVE, "Anna Bauer")


def test_a_lead_with_the_address_of_a_deleted_person_gets_one_of_its_own(connection, server):
    _lead, link = in_step(connection)
    server.people.delete(link.person_id)
    changed(link.person_id, connection)
    other = make_lead(connection.workspace, name="Anna", email="anna@adams.example", company="")

    outcome = sync(other, connection)

    assert outcome.created
    assert len(server.people.all()) == 1


# Merged ones ----------------------------------------------------------------------------------------------------------------


def test_a_link_follows_its_person_into_another(connection, server):
    lead, link = in_step(connection)
    other = server.people.create(name="A. Adams", email="other@adams.example")
    server.people.merge(link.person_id, into=other["id"])

    linking.person_merged(link.person_id, other["id"], account=opened(connection))

    assert link_of(lead).person_id == other["id"]
    assert Creation.objects.get(kind="person").remote_id == other["id"]


def test_a_merge_that_nobody_told_of_is_seen_by_the_address(connection, server):
    lead, link = in_step(connection)
    other = server.people.create(name="A. Adams", email="other@adams.example")
    server.people.merge(link.person_id, into=other["id"])

    sync(lead, connection, must_read=True)

    assert (link_of(lead).person_id, link_of(lead).state) == (other["id"], Link.State.ACTIVE)


def test_a_merge_that_is_told_of_after_the_person_was_found_gone_is_followed_all_the_same(connection, server):
    lead, link = in_step(connection)
    other = server.people.create(name="A. Adams", email="other@adams.example")
    server.search_lags(60)
    server.people.merge(link.person_id, into=other["id"])
    sync(lead, connection, must_read=True)
    gone = link_of(lead).state

    linking.person_merged(link.person_id, other["id"], account=opened(connection))

    assert gone == Link.State.DELETED
    assert (link_of(lead).state, link_of(lead).person_id, link_of(lead).problem) == ("active", other["id"], "")


def test_the_leads_of_two_persons_that_were_merged_are_merged_and_it_can_be_undone(connection, server):
    one, link = in_step(connection)
    other, other_link = in_step(connection, name="A. Adams", email="a@adams.example", notes="Knows Bert")
    server.people.merge(other_link.person_id, into=link.person_id)

    linking.person_merged(other_link.person_id, link.person_id, account=opened(connection))

    assert not Lead.objects.filter(pk=other.pk).exists()
    one.refresh_from_db()
    assert one.notes == "Knows Bert"
    assert link_of(one).person_id == link.person_id
    merge = Merge.objects.get()
    unmerging.undo(merge.pk, workspace=connection.workspace, by=BY)
    assert Lead.objects.filter(pk=other.pk).exists()


def test_a_merge_that_is_told_of_twice_and_in_any_order_is_done_once(connection, server):
    _one, link = in_step(connection)
    _other, other_link = in_step(connection, name="A. Adams", email="a@adams.example")
    server.people.merge(other_link.person_id, into=link.person_id)
    account = opened(connection)

    linking.person_changed(link.person_id, account=account)
    linking.person_merged(other_link.person_id, link.person_id, account=account)
    linking.person_merged(other_link.person_id, link.person_id, account=account)
    linking.person_changed(other_link.person_id, account=account)

    assert Merge.objects.count() == 1
    assert Lead.objects.for_workspace(connection.workspace_id).count() == 1


def test_of_merged_persons_the_lead_that_is_in_the_bin_gives_way(connection, server):
    one, link = in_step(connection)
    other, other_link = in_step(connection, name="A. Adams", email="a@adams.example")
    editing.delete_one(one.pk, workspace=connection.workspace_id, by=BY)
    server.people.merge(other_link.person_id, into=link.person_id)

    linking.person_merged(other_link.person_id, link.person_id, account=opened(connection))

    assert link_of(other).person_id == link.person_id
    assert not Merge.objects.exists()


# Merged and deleted here ----------------------------------------------------------------------------------------------------


def test_merging_the_two_leads_of_one_person_frees_it_for_the_survivor(connection, server):
    first, link = in_step(connection)
    second = make_lead(connection.workspace, name="Anna A.", email="ANNA@adams.example", company="")
    sync(second, connection)
    merging.merge([Wish(second.pk, (first.pk,))], workspace=connection.workspace, by=BY)

    outcome = sync(second, connection)

    assert outcome.problem == ""
    assert link_of(second).person_id == link.person_id
    assert server.people.get(link.person_id)["name"] == "Anna A."


def test_a_lead_that_is_deleted_for_a_new_one_gives_its_person_up(connection, server):
    first, link = in_step(connection)
    editing.delete_one(first.pk, workspace=connection.workspace_id, by=BY)
    second = make_lead(connection.workspace, name="Anna Adams", email="anna@adams.example", company="")

    outcome = sync(second, connection)

    assert (outcome.created, outcome.person_id) == (False, link.person_id)
    assert link_of(first).person_id is None


def test_another_lead_takes_the_address_that_the_first_one_gave_up(connection, server):
    first, _link = in_step(connection)
    second = make_lead(connection.workspace, name="Anna A.", email="anna@adams.example", company="")
    waiting = sync(second, connection)
    edit(first, email="anna@bauer.example")

    sync(first, connection)
    outcome = sync(second, connection)

    assert waiting.person_id is None
    assert outcome.created
    assert [person["emails"][0]["value"] for person in server.people.all()] == [
        "anna@bauer.example",
        "anna@adams.example",
    ]


def test_a_person_that_is_in_step_is_not_read_again(connection, server):
    lead, link = in_step(connection)
    known = Remote(person=server.people.get(link.person_id))
    server.requests.clear()

    linking.person_changed(link.person_id, account=opened(connection), known=known)

    assert server.requests == []
    assert history.provenance(Lead.objects.filter(pk=lead.pk))[lead.pk]["name"].source == "system"
