"""One lead into step with what it is in Pipedrive, whatever changed on either side."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from crm.errors import Busy, TokenRefused
from crm.models import ChangedLead, Conflict, Connection, Creation, Deal, InboxEvent, Link
from crm.pipedrive.deals import mirroring
from crm.pipedrive.syncing import syncing
from crm.tests.engine import edit, in_step, link_of, opened, sync
from crm.tests.factories import make_connection
from leads import history
from leads.models import Lead
from leads.tests.factories import make_lead
from zevix.errors import Unanswered, Unreachable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(pipedrive_server):
    return pipedrive_server


@pytest.fixture
def connection(member, server):
    return make_connection(member.workspace, server, by=member.user)


def asked(server):
    return [f"{method} {path.partition('?')[0]}" for method, path, _cost in server.requests]


def test_a_lead_becomes_a_person_with_its_organization(connection, server):
    lead = make_lead(
        connection.workspace,
        name="Anna Adams",
        email="Anna@Adams.example",
        phone="+49 30 123456",
        company="Adams GmbH",
        website="https://adams.example",
    )

    outcome = sync(lead, connection)

    person = server.people.get(outcome.person_id)
    assert outcome.created
    assert person["name"] == "Anna Adams"
    assert [(one["value"], one["primary"]) for one in person["emails"]] == [("Anna@Adams.example", True)]
    assert [one["value"] for one in person["phones"]] == ["+49 30 123456"]
    organization = server.people.organizations.get(person["org_id"])
    assert (organization["name"], organization["website"]) == ("Adams GmbH", "https://adams.example")
    assert link_of(lead).person_id == person["id"]
    assert link_of(lead).problem == ""


def test_a_lead_that_did_not_change_asks_nothing(connection, server):
    lead, _link = in_step(connection)
    server.requests.clear()

    sync(lead, connection)

    assert server.requests == []


def test_what_changed_here_goes_there_and_only_that(connection, server):
    lead, link = in_step(connection, phone="+49 30 123456")
    edit(lead, name="Anna Bauer")
    server.requests.clear()

    outcome = sync(lead, connection)

    assert outcome.pushed == ["name"]
    assert asked(server) == ["GET /api/v2/persons/1", "PATCH /api/v2/persons/1"]
    person = server.people.get(link.person_id)
    assert (person["name"], person["phones"][0]["value"]) == ("Anna Bauer", "+49 30 123456")


def test_what_changed_there_comes_here(connection, server):
    lead, link = in_step(connection)
    server.people.edit(link.person_id, name="Anna Bauer", email="anna@bauer.example")

    outcome = sync(lead, connection, must_read=True)

    assert sorted(outcome.pulled) == ["email", "name"]
    assert (lead.name, lead.email) == ("Anna Bauer", "anna@bauer.example")
    assert history.provenance(Lead.objects.filter(pk=lead.pk))[lead.pk]["name"].source == "crm"


def test_what_came_from_there_is_not_sent_back(connection, server):
    lead, link = in_step(connection)
    server.people.edit(link.person_id, name="Anna Bauer")
    sync(lead, connection, must_read=True)
    server.requests.clear()

    sync(lead, connection)

    assert server.requests == []


def test_different_fields_that_both_sides_changed_both_move(connection, server):
    lead, link = in_step(connection)
    edit(lead, phone="+49 30 999999")
    server.people.edit(link.person_id, name="Anna Bauer")

    outcome = sync(lead, connection)

    assert (outcome.pushed, outcome.pulled, outcome.conflicts) == (["phone"], ["name"], [])
    assert lead.name == "Anna Bauer"
    assert server.people.get(link.person_id)["phones"][0]["value"] == "+49 30 999999"


def test_a_field_that_both_changed_alike_is_agreed_on_without_a_request_to_write(connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Bauer")
    server.people.edit(link.person_id, name="Anna Bauer")
    server.requests.clear()

    outcome = sync(lead, connection)

    assert outcome.changes == []
    assert asked(server) == ["GET /api/v2/persons/1"]
    assert link_of(lead).snapshot["name"] == ["Anna Bauer", "Anna Bauer"]


def test_a_field_that_both_changed_at_nearly_the_same_time_is_listed_and_moves_nowhere(connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    server.people.edit(link.person_id, name="Anna There")

    outcome = sync(lead, connection)
    again = sync(lead, connection, must_read=True)

    assert outcome.conflicts == again.conflicts == ["name"]
    conflict = Conflict.objects.get()
    assert (conflict.ours, conflict.theirs, conflict.resolved_at) == ("Anna Here", "Anna There", None)
    assert lead.name == "Anna Here"
    assert server.people.get(link.person_id)["name"] == "Anna There"


def test_the_later_of_two_changes_wins_where_it_is_certain_which_that_is(connection, server):
    lead, link = in_step(connection)
    server.people.edit(link.person_id, name="Anna There")
    server.age(3600)
    edit(lead, name="Anna Here")

    outcome = sync(lead, connection)

    assert outcome.pushed == ["name"]
    assert server.people.get(link.person_id)["name"] == "Anna Here"
    ruled = Conflict.objects.get()
    assert (ruled.theirs, ruled.choice, ruled.by_rule) == ("Anna There", "zevix", True)


@pytest.mark.parametrize(("minutes", "name"), [(0, "Anna Here"), (3, "Anna There")])
def test_an_event_that_tells_when_theirs_was_written_makes_it_certain_that_it_is_the_later_one(
    connection, server, minutes, name
):
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    server.people.edit(link.person_id, name="Anna There")
    InboxEvent.objects.create(
        workspace=connection.workspace,
        connection=connection,
        event_id="1",
        entity="person",
        entity_id=link.person_id,
        action="change",
        sent_at=timezone.now() + timedelta(minutes=minutes),
        body={"data": {"name": "Anna There"}, "previous": {"name": "Anna Adams"}},
    )

    sync(lead, connection)

    assert lead.name == name


def test_what_an_import_changed_gives_way_to_what_somebody_changed_there(connection, server):
    lead, link = in_step(connection)
    edit(lead, source="import", name="ANNA ADAMS DR")
    server.people.edit(link.person_id, name="Anna There")

    sync(lead, connection)

    assert lead.name == "Anna There"


def test_a_conflict_is_closed_when_both_agree(connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    server.people.edit(link.person_id, name="Anna There")
    sync(lead, connection)
    edit(lead, name="Anna There")

    sync(lead, connection)

    conflict = Conflict.objects.get()
    assert (conflict.choice, conflict.by_rule) == ("agreed", False)
    assert conflict.resolved_at is not None


def test_a_person_that_is_there_is_met_and_fills_what_is_empty_on_either_side(connection, server):
    person = server.people.create(name="Anna Adams", email="anna@adams.example", phone="+49 30 123456")
    lead = make_lead(connection.workspace, name="", email="ANNA@adams.example", company="Adams")

    outcome = sync(lead, connection)

    assert (outcome.created, outcome.person_id) == (False, person["id"])
    assert (lead.name, lead.phone) == ("Anna Adams", "+49 30 123456")
    assert server.people.organizations.all()[0]["name"] == "Adams"
    assert server.people.get(person["id"])["org_id"] == 1


def test_a_person_is_met_though_the_search_does_not_know_it_yet(connection, server):
    server.search_lags(60)
    person = server.people.create(name="Anna Adams", email="anna@adams.example")

    outcome = sync(make_lead(connection.workspace, name="Anna", email="anna@adams.example"), connection)

    assert (outcome.created, outcome.person_id) == (False, person["id"])


def test_what_an_import_brought_gives_way_when_a_lead_meets_its_person(connection, server):
    server.people.create(name="Anna Adams", email="anna@adams.example")
    with transaction.atomic(), history.written_by(history.Author("import")):
        lead = make_lead(connection.workspace, name="ADAMS ANNA", email="anna@adams.example", company="")

    sync(lead, connection)

    assert lead.name == "Anna Adams"


def test_two_leads_with_one_address_share_the_person_and_the_second_is_told_to_merge(connection, server):
    first, link = in_step(connection)
    second = make_lead(connection.workspace, name="Anna A.", email="ANNA@adams.example")

    outcome = sync(second, connection)

    assert len(server.people.all()) == 1
    assert f"Lead {first.pk}" in outcome.problem
    assert link_of(second).person_id is None
    assert link_of(second).problem == outcome.problem
    assert link_of(first).person_id == link.person_id


def test_leads_without_an_address_each_become_a_person(connection, server):
    one, other = (make_lead(connection.workspace, name="Anna", email="", company="") for _ in range(2))

    sync(one, connection)
    sync(other, connection)

    assert [person["name"] for person in server.people.all()] == ["Anna", "Anna"]
    assert link_of(one).person_id != link_of(other).person_id


def test_a_changed_company_moves_the_person_and_renames_nobody(connection, server):
    lead, link = in_step(connection, company="Adams GmbH", website="adams.example")
    other = server.people.organizations.create(name="Bauer AG")
    edit(lead, company="Bauer AG")

    outcome = sync(lead, connection)

    assert "company" in outcome.pushed
    assert server.people.get(link.person_id)["org_id"] == other["id"]
    assert [one["name"] for one in server.people.organizations.all()] == ["Adams GmbH", "Bauer AG"]
    assert link_of(lead).organization_id == other["id"]
    assert lead.website == "adams.example"
    assert server.people.organizations.get(other["id"])["website"] == "adams.example"


def test_a_company_that_is_emptied_takes_the_person_out_of_its_organization(connection, server):
    lead, link = in_step(connection, company="Adams GmbH")
    edit(lead, company="")

    sync(lead, connection)

    assert server.people.get(link.person_id)["org_id"] is None


def test_an_organization_that_is_renamed_there_renames_the_company_of_all_its_leads(connection, server):
    from crm.pipedrive.syncing import linking

    one, link = in_step(connection, company="Adams GmbH")
    other, _ = in_step(connection, name="Bert", email="bert@adams.example", company="Adams GmbH")
    server.people.organizations.edit(link.organization_id, name="Adams SE")
    ChangedLead.objects.all().delete()

    linking.organization_changed(link.organization_id, account=opened(connection))
    noted = list(ChangedLead.objects.order_by("lead_id").values_list("lead_id", flat=True))
    sync(one, connection)
    sync(other, connection)

    assert noted == [one.pk, other.pk]
    assert (one.company, other.company) == ("Adams SE", "Adams SE")


def test_what_one_lead_changes_of_the_organization_reaches_the_others(connection, server):
    one, _link = in_step(connection, company="Adams GmbH", website="old.example")
    other, _ = in_step(connection, name="Bert", email="bert@adams.example", company="Adams GmbH", website="old.example")
    edit(one, website="new.example")

    sync(one, connection)
    sync(other, connection)

    assert other.website == "new.example"


def test_a_lead_out_of_scope_is_left_alone_until_it_is_sent(connection, server):
    Connection.objects.update(scope=Connection.Scope.LINKED)
    lead = make_lead(connection.workspace, name="Anna", email="anna@adams.example")

    left = sync(lead, connection)
    sent = sync(lead, connection, send=True)

    assert left.person_id is None
    assert sent.created


def test_a_lead_in_the_bin_sleeps_and_wakes_when_it_is_back(connection, server):
    from crm.pipedrive.syncing import linking
    from leads import editing

    lead, link = in_step(connection)
    editing.delete_one(lead.pk, workspace=connection.workspace_id, by=history.SYSTEM)
    asleep = sync(lead, connection, must_read=True)
    server.people.edit(link.person_id, name="Anna Bauer")
    linking.person_changed(link.person_id, account=opened(connection))
    editing.restore_deleted([lead.pk], workspace=connection.workspace, by=history.SYSTEM)

    sync(lead, connection)

    assert asleep.person_id == link.person_id
    assert lead.name == "Anna Bauer"
    assert server.people.get(link.person_id) is not None


def test_another_workspaces_lead_is_none(connection, stranger, server):
    theirs = make_lead(stranger.workspace, email="anna@adams.example")

    outcome = syncing.sync_lead(theirs.pk, account=opened(connection), send=True)

    assert outcome.person_id is None
    assert server.people.all() == []


# The leading deal -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_deal(connection, server):
    """A lead in step, and the deal that leads it."""
    lead, link = in_step(connection, status="NEW")
    deal = server.people.deals.create(title="Adams deal", person_id=link.person_id)
    mirroring.deal_changed(deal["id"], account=opened(connection))
    lead.refresh_from_db()
    return lead, deal["id"]


def test_a_status_that_changes_here_moves_the_leading_deal_and_its_mirror(connection, server, with_deal):
    lead, deal_id = with_deal
    edit(lead, status="QUALIFIED")

    outcome = sync(lead, connection)
    server.requests.clear()
    sync(lead, connection)
    sync(lead, connection)

    stage = opened(connection).mapping.stage_for("QUALIFIED")
    assert outcome.pushed == ["status"]
    assert server.people.deals.get(deal_id)["stage_id"] == stage
    assert Deal.objects.get(remote_id=deal_id).stage_id == stage
    assert [method for method, _path, _cost in server.requests] == ["GET", "GET"]


def test_a_deal_that_moves_there_changes_the_status_here(connection, server, with_deal):
    lead, deal_id = with_deal
    server.people.deals.edit(deal_id, stage_id=opened(connection).mapping.stage_for("PROPOSAL"))

    outcome = sync(lead, connection, must_read=True)

    assert outcome.pulled == ["status"]
    assert lead.status == "PROPOSAL"


def test_a_lead_that_is_won_wins_its_deal(connection, server, with_deal):
    lead, deal_id = with_deal
    edit(lead, status="WON")

    sync(lead, connection)

    assert server.people.deals.get(deal_id)["status"] == "won"
    assert Deal.objects.get(remote_id=deal_id).status == "won"


def test_a_deal_that_is_gone_leaves_the_status_as_it_is(connection, server, with_deal):
    lead, deal_id = with_deal
    server.people.deals.delete(deal_id)
    edit(lead, status="QUALIFIED", name="Anna Bauer")

    outcome = sync(lead, connection)

    assert (outcome.pushed, outcome.problem) == (["name"], "")
    assert lead.status == "QUALIFIED"


# What goes wrong ------------------------------------------------------------------------------------------------------------


def test_a_write_without_an_answer_is_found_done_the_next_time(connection, server, settings):
    settings.PIPEDRIVE_TIMEOUT = 0.5
    lead, link = in_step(connection)
    edit(lead, name="Anna Bauer")
    server.fail(on="PATCH /api/v2/persons/*", how="timeout_after")

    with pytest.raises(Unanswered):
        sync(lead, connection)
    outcome = sync(lead, connection)

    assert outcome.changes == []
    assert server.people.get(link.person_id)["name"] == "Anna Bauer"
    assert link_of(lead).snapshot["name"] == ["Anna Bauer", "Anna Bauer"]


def test_a_field_that_is_refused_is_told_of_and_the_others_go_on(member, server):
    fields = [("name", "name"), ("email", "email"), ("channel", "Channel")]
    mapping = [{"lead": lead, "entity": "person", "field": there, "owner": "latest"} for lead, there in fields]
    connection = make_connection(member.workspace, server, by=member.user, mapping=mapping)
    lead, link = in_step(connection)
    server.people.fields.delete_option("person", "Channel", "Web")
    edit(lead, name="Anna Bauer", channel="Web")

    outcome = sync(lead, connection)

    assert outcome.pushed == ["name"]
    assert outcome.problem.startswith("Channel: ")
    assert link_of(lead).problem == outcome.problem
    assert server.people.get(link.person_id)["name"] == "Anna Bauer"


def test_a_new_person_is_made_without_the_field_that_is_refused(member, server):
    fields = [("name", "name"), ("email", "email"), ("channel", "Channel")]
    mapping = [{"lead": lead, "entity": "person", "field": there, "owner": "latest"} for lead, there in fields]
    connection = make_connection(member.workspace, server, by=member.user, mapping=mapping)
    server.people.fields.delete_option("person", "Channel", "Web")
    lead = make_lead(connection.workspace, name="Anna", email="anna@adams.example", channel="Web")

    outcome = sync(lead, connection)

    assert outcome.created
    assert outcome.problem.startswith("Channel: ")
    assert server.people.get(outcome.person_id)["name"] == "Anna"


def test_a_lead_that_somebody_else_is_at_is_busy(connection, server):
    lead, link = in_step(connection)
    Link.objects.filter(pk=link.pk).update(
        lease="6ba7b810-9dad-11d1-80b4-00c04fd430c8", leased_until=timezone.now() + timedelta(seconds=60)
    )

    with pytest.raises(Busy):
        sync(lead, connection, must_read=True)
    Link.objects.filter(pk=link.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    outcome = sync(lead, connection, must_read=True)

    assert outcome.problem == ""


def test_pipedrive_out_of_reach_leaves_the_lead_as_it_is(connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Bauer")
    server.fail(times=9, on="GET /api/v2/persons/*", how="503")

    with pytest.raises(Unreachable):
        sync(lead, connection)

    assert link_of(lead).lease is None
    assert link_of(lead).snapshot == link.snapshot


def test_a_dead_token_stops_everything(connection, server):
    lead, _link = in_step(connection)
    edit(lead, name="Anna Bauer")
    server.fail(on="GET /api/v2/persons/*", how="401")

    with pytest.raises(TokenRefused):
        sync(lead, connection)


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Bauer")
    server.people.edit(link.person_id, phone="+49 30 123456")
    new = make_lead(connection.workspace, name="Bert", email="bert@x.example", company="X")
    before = list(Link.objects.order_by("pk").values()), list(Creation.objects.values()), server.people.all()

    known = sync(lead, connection, dry_run=True)
    unknown = sync(new, connection, dry_run=True)

    assert (known.pushed, known.pulled) == (["name"], ["phone"])
    assert unknown.created
    assert sorted(unknown.pushed) == ["company", "email", "name"]
    assert (list(Link.objects.order_by("pk").values()), list(Creation.objects.values()), server.people.all()) == before


def test_what_changed_again_meanwhile_stays_noted(connection):
    lead = make_lead(connection.workspace)
    seen = ChangedLead.objects.get(lead_id=lead.pk).changed_at
    edit(lead, name="Somebody")

    assert not syncing.settled(lead.pk, seen)
    assert syncing.settled(lead.pk, ChangedLead.objects.get(lead_id=lead.pk).changed_at)


def test_what_somebody_wrote_there_while_ours_was_on_its_way_is_listed(connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    sync(lead, connection)

    syncing.echoed(link.person_id, {"name": "Anna Slipped"}, account=opened(connection), at=timezone.now())
    syncing.echoed(link.person_id, {"name": "Anna Adams"}, account=opened(connection), at=timezone.now())

    conflict = Conflict.objects.get()
    assert (conflict.field, conflict.ours, conflict.theirs) == ("name", "Anna Here", "Anna Slipped")
    assert conflict.is_overwritten
