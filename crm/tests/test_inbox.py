"""What comes of events: the object is read anew, once, unless the event tells nothing new."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import Conflict, Connection, Deal, InboxEvent, Link
from crm.pipedrive.runs import draining
from crm.tests.events import deliver, event, post
from crm.tests.factories import make_connection
from leads import editing
from leads.history import Author
from leads.models import Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(pipedrive_server, member):
    return make_connection(member.workspace, pipedrive_server)


@pytest.fixture
def lead(connection, pipedrive_server, member):
    """One in step with its person; no event is on its way."""
    lead = make_lead(member.workspace, name="Ann", email="ann@x.example", company="Acme", website="")
    drain(connection)
    pipedrive_server.deliver(lose=True)
    pipedrive_server.requests.clear()
    return lead


def drain(connection):
    connection.refresh_from_db()
    draining.drain(connection, threads=1)


def outcomes():
    return list(InboxEvent.objects.order_by("pk").values_list("entity", "outcome"))


def the_person(server):
    return server.people.persons.all()[0]


def paths(server):
    return [f"{request[0]} {request[1]}" for request in server.requests]


def test_our_own_change_comes_back_and_costs_nothing(connection, pipedrive_server, member):
    make_lead(member.workspace, name="Ann", email="ann@x.example", company="Acme")
    drain(connection)
    deliver(pipedrive_server)
    pipedrive_server.requests.clear()

    drain(connection)

    assert sorted(outcomes()) == [("organization", "echo"), ("person", "echo")]
    assert pipedrive_server.requests == []


def test_a_change_of_every_kind_of_custom_field_that_is_ours_is_known_as_ours(pipedrive_server, member):
    fields = [one["field_name"] for one in pipedrive_server.world.fields["person"].values() if one["is_custom_field"]]
    mapping = [{"lead": "name", "entity": "person", "field": "Name", "owner": "latest"}]
    known = {"Nickname": "notes"}
    mapping += [
        {"lead": lead, "entity": "person", "field": name, "owner": "latest"}
        for name, lead in known.items()
        if name in fields
    ]
    connection = make_connection(member.workspace, pipedrive_server, mapping=mapping)
    make_lead(member.workspace, name="Ann", notes="Annie")
    drain(connection)
    deliver(pipedrive_server)
    pipedrive_server.requests.clear()

    drain(connection)

    assert {outcome for _entity, outcome in outcomes()} == {"echo"}
    assert pipedrive_server.requests == []


def test_many_events_of_one_person_are_worked_off_by_one_reading(connection, pipedrive_server, lead):
    for name in ("Anna", "Annabel", "Annette"):
        pipedrive_server.people.persons.edit(the_person(pipedrive_server)["id"], name=name)
    deliver(pipedrive_server, shuffle=random.Random(1), double=True)

    drain(connection)

    assert outcomes() == [("person", "done")] * 3
    assert sum(path.startswith("GET /api/v2/persons/") for path in paths(pipedrive_server)) == 1
    lead.refresh_from_db()
    assert lead.name == "Annette"


def test_what_a_late_event_tells_is_not_believed(connection, pipedrive_server, lead):
    person_id = the_person(pipedrive_server)["id"]
    pipedrive_server.people.persons.edit(person_id, name="Anna")
    late = pipedrive_server.waiting[0]
    pipedrive_server.people.persons.edit(person_id, name="Annette")
    deliver(pipedrive_server, lose=lambda delivery: delivery is late)
    drain(connection)
    pipedrive_server.waiting.append(late)
    late.due = 0
    deliver(pipedrive_server)

    drain(connection)

    lead.refresh_from_db()
    assert lead.name == "Annette"


def test_a_person_that_was_deleted_there_leaves_its_lead_here(connection, pipedrive_server, lead):
    pipedrive_server.people.persons.delete(the_person(pipedrive_server)["id"])
    deliver(pipedrive_server)

    drain(connection)

    assert Link.objects.get(lead=lead).state == Link.State.DELETED
    assert Lead.objects.filter(pk=lead.pk).exists()


def test_a_deletion_of_somebody_unknown_costs_nothing(connection, pipedrive_server, lead):
    post(connection, event("person", 999, "delete", data=None, company_id=str(connection.company_id)))
    post(connection, event("organization", 999, "change", data={"id": 999}, company_id=str(connection.company_id)))
    post(
        connection,
        event("deal", 999, "delete", data=None, previous={"person_id": 4711}, company_id=str(connection.company_id)),
    )

    drain(connection)

    assert outcomes() == [("person", "ignored"), ("organization", "ignored"), ("deal", "ignored")]
    assert pipedrive_server.requests == []


@pytest.mark.parametrize("lost", ["nothing", "delete", "change"])
def test_persons_that_were_merged_there_stay_linked_whichever_event_is_lost(lost, connection, pipedrive_server, lead):
    person = the_person(pipedrive_server)
    other = pipedrive_server.people.persons.create(name="Ann again")
    pipedrive_server.deliver(lose=True)
    pipedrive_server.people.persons.merge(person["id"], into=other["id"])
    deliver(pipedrive_server, lose=lambda delivery: delivery.meta["action"] == lost)

    drain(connection)

    link = Link.objects.get(lead=lead)
    assert (link.person_id, link.state) == (other["id"], Link.State.ACTIVE)


def test_an_organization_that_is_renamed_there_renames_the_company_of_its_leads(connection, pipedrive_server, lead):
    organization = pipedrive_server.people.organizations.all()[0]
    pipedrive_server.people.organizations.edit(organization["id"], name="Acme International")
    deliver(pipedrive_server)

    drain(connection)

    lead.refresh_from_db()
    assert lead.company == "Acme International"


def test_a_deal_that_is_made_there_is_mirrored_here(connection, pipedrive_server, lead):
    pipedrive_server.people.deals.create(title="A deal", person_id=the_person(pipedrive_server)["id"])
    deliver(pipedrive_server)

    drain(connection)

    assert list(Deal.objects.values_list("title", "lead_id")) == [("A deal", lead.pk)]


def test_a_deal_that_is_told_of_before_its_person_waits_for_it(connection, pipedrive_server):
    person = pipedrive_server.people.persons.create(name="Ann", email="ann@x.example")
    pipedrive_server.people.deals.create(title="A deal", person_id=person["id"])
    deliver(pipedrive_server)
    InboxEvent.objects.filter(entity="person").update(retry_at=timezone.now() + timedelta(minutes=1))
    drain(connection)
    assert not Deal.objects.exists()

    InboxEvent.objects.update(retry_at=None)
    drain(connection)
    InboxEvent.objects.update(retry_at=None)
    drain(connection)

    assert [deal.lead.name for deal in Deal.objects.all()] == ["Ann"]


def test_a_new_stage_has_the_account_read_anew_once(connection, pipedrive_server):
    pipeline = pipedrive_server.world.living("pipeline")[0]
    for name in ("One more", "And another"):
        pipedrive_server.people.stages.create(name=name, pipeline_id=pipeline["id"])
    deliver(pipedrive_server)

    drain(connection)

    connection.refresh_from_db()
    assert set(outcomes()) == {("stage", "done")}
    assert paths(pipedrive_server).count("GET /api/v2/stages") == 1
    assert "And another" in str(connection.account)


def test_what_slipped_in_before_our_change_is_listed_as_a_conflict(connection, pipedrive_server, lead):
    person = the_person(pipedrive_server)
    body = event(
        "person", person["id"], data=person | {"name": "Ann"}, previous={"name": "Slipped in"}, change_source="api",
        user_id=str(connection.user_id), company_id=str(connection.company_id),
    )  # fmt: skip
    editing.update(lead.pk, {"name": "Anna"}, workspace=lead.workspace, by=Author("human"))
    drain(connection)
    pipedrive_server.deliver(lose=True)
    post(connection, body)

    drain(connection)

    assert list(Conflict.objects.values_list("lead_id", "field", "theirs")) == [(lead.pk, "name", "Slipped in")]


@pytest.mark.parametrize(
    "data",
    [
        {}, {"id": "x"}, {"id": [1]}, {"id": 1, "emails": "no list"}, {"id": 1, "emails": [1, None, {"value": 3}]},
        {"id": 1, "custom_fields": [1]}, {"id": 1, "name": {"a": 1}, "org_id": {"value": 1}, "owner_id": []},
        {"id": 1, "custom_fields": {"x": {"type": "set", "values": [{"a": 1}, 3]}}}, {"id": 1, "update_time": [], "value": "x"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("entity", ["person", "organization", "deal"])
def test_whatever_an_event_holds_the_object_is_read(entity, data, connection, pipedrive_server, lead):
    link = Link.objects.get()
    entity_id = {"person": link.person_id, "organization": link.organization_id, "deal": 5}[entity]
    data = (
        data
        | ({"id": entity_id} if data.get("id") == 1 else {})
        | ({"person_id": link.person_id} if entity == "deal" else {})
    )
    post(
        connection,
        event(entity, entity_id, data=data, previous={"custom_fields": 3}, company_id=str(connection.company_id)),
    )

    drain(connection)

    kept = InboxEvent.objects.get()
    assert (kept.outcome, kept.problem) == ("done", "")


def test_what_is_refused_is_noted_with_the_event(connection, pipedrive_server, lead):
    pipedrive_server.people.persons.edit(the_person(pipedrive_server)["id"], name="Anna")
    deliver(pipedrive_server)
    pipedrive_server.fail(how="403", on="GET /api/v2/persons/*")

    drain(connection)

    kept = InboxEvent.objects.get()
    assert kept.outcome == "done"
    assert kept.problem


def test_another_connections_events_of_the_same_object_stay(connection, pipedrive_server, lead, stranger):
    theirs = make_connection(stranger.workspace, pipedrive_server)
    person_id = the_person(pipedrive_server)["id"]
    for one in (connection, theirs):
        one.refresh_from_db()
        post(one, event("person", person_id, company_id=str(one.company_id)))

    drain(connection)

    assert list(InboxEvent.objects.order_by("pk").values_list("connection_id", "outcome")) == [
        (connection.pk, "done"),
        (theirs.pk, "waiting"),
    ]
    assert Connection.objects.count() == 2
