"""What the mapping writes is taken by Pipedrive as it is meant, value by value, and emptied again."""

from typing import Any

import pytest

from crm.pipedrive import accounts
from crm.pipedrive.limits import Lane
from crm.pipedrive.mapping import Remote
from crm.tests.factories import make_connection

pytestmark = pytest.mark.django_db

FULL: dict[str, Any] = {
    "id": 7, "name": "Ann  Lee", "email": "Ann@X.example", "phone": "(330) 779-3389", "company": "Acme", "country": "", "status": "QUALIFIED",
    "website": "https://acme.example/", "address": "1 Main St\nSpringfield", "city": "Köln 😀", "notes": "a\nb", "score": 80,
    "owner_phone": "+49 30 901820", "last_contact": "2026-01-31", "tags": ["surgery", "Implants"], "state": "web",
    "next_action_at": "2026-05-01", "zip_code": "01803",
    "extra": {"budget": 12.5, "customer": "K-1", "home": "2 Side St", "goal": 3, "met": "2026-02-03", "channel": "Phone", "wants": ["Implants"]},
}  # fmt: skip
EMPTY: dict[str, Any] = dict.fromkeys(FULL, "") | {
    "id": 7, "name": "Ann  Lee", "status": "NEW", "score": None, "last_contact": None, "next_action_at": None, "tags": [], "extra": {},
}  # fmt: skip
MAPPING = [
    ("name", "person", "Name"), ("email", "person", "Email"), ("phone", "person", "Phone"), ("company", "organization", "Name"),
    ("website", "organization", "Website"), ("address", "organization", "Address"), ("status", "deal", "Stage"),
    ("city", "person", "Nickname"), ("notes", "person", "Background"), ("score", "person", "Lead score"),
    ("owner_phone", "person", "Second phone"), ("last_contact", "person", "Met on"), ("tags", "person", "Interests"),
    ("state", "person", "Channel"), ("zip_code", "organization", "Customer number"), ("next_action_at", "deal", "Expected close date"),
    ("extra.budget", "deal", "Budget"), ("extra.customer", "deal", "Customer number"), ("extra.home", "person", "Home address"),
    ("extra.goal", "organization", "Lead score"), ("extra.met", "organization", "Met on"), ("extra.channel", "deal", "Channel"),
    ("extra.wants", "organization", "Interests"),
]  # fmt: skip


@pytest.fixture
def account(member, pipedrive_server):
    entries = [{"lead": lead, "entity": entity, "field": there} for lead, entity, there in MAPPING]
    for entry in entries:
        entry["owner"] = "latest"
    connection = make_connection(member.workspace, pipedrive_server, by=member.user, mapping=entries)
    return accounts.open(connection, lane=Lane.INTERACTIVE, patience=30)


@pytest.fixture
def remote(pipedrive_server):
    people = pipedrive_server.people
    organization = people.organizations.create(name="Elsewhere")
    person = people.persons.create(name="Somebody", org_id=organization["id"])
    deal = people.deals.create(title="Deal", person_id=person["id"])
    return Remote(person=person, organization=organization, deal=deal)


def after_push(account, field, lead, remote):
    """What is there then; nothing may have been asked for."""
    body = field.for_theirs(lead, remote, field.ours(lead))
    update = getattr(account.pipedrive, f"update_{field.entity}")
    found = update(remote.object(field.entity)["id"], body) if body else remote.object(field.entity)
    organization = remote.organization
    if "org_id" in body:
        organization = account.pipedrive.organization(body["org_id"]) if body["org_id"] else None
    objects = {"person": remote.person, "organization": organization, "deal": remote.deal}
    return Remote(**objects | {field.entity: found})


@pytest.mark.parametrize("name", [lead for lead, _entity, _there in MAPPING])
def test_what_is_written_there_is_read_the_same_and_can_be_emptied(account, remote, pipedrive_server, name):
    (field,) = [field for field in account.mapping.fields if field.name == name]
    acme = pipedrive_server.people.organizations.create(name="ACME")["id"]

    full = after_push(account, field, FULL | {"organization_id": acme}, remote)
    empty = after_push(account, field, EMPTY | {"organization_id": None}, full)

    assert field.theirs(full) == field.ours(FULL)
    assert field.theirs(empty) == field.ours(EMPTY)
    assert field.is_empty(field.ours(EMPTY)) or name == "name"


def test_a_person_is_made_of_all_parts_at_once(account):
    from crm.pipedrive.mapping import merged

    parts = [
        field.for_theirs(FULL | {"organization_id": None}, Remote(), field.ours(FULL))
        for field in account.mapping.fields
        if field.entity == "person" and field.name != "company"
    ]

    person = account.pipedrive.create_person(merged(parts))

    mine = [field for field in account.mapping.fields if field.entity == "person" and field.name != "company"]
    assert {f.name: f.theirs(Remote(person=person)) for f in mine} == {f.name: f.ours(FULL) for f in mine}
