"""Leads of v1: deals before they are deals, with a UUID, and of a person or an organization."""

import uuid

from crm.tests.pipedrive_server.checking import (
    Kind,
    an_object,
    boolean,
    day,
    integer,
    list_of,
    nullable,
    number,
    one_of,
    text,
)
from crm.tests.pipedrive_server.refusals import Refused, no_such
from crm.tests.pipedrive_server.world import By, Object, World

SHAPE: dict[str, Kind] = {
    "title": text(255, 1),
    "owner_id": integer,
    "label_ids": list_of(text()),
    "person_id": nullable(integer),
    "organization_id": nullable(integer),
    "value": nullable(an_object({"amount": number, "currency": text(3, 3)}, ["amount", "currency"])),
    "expected_close_date": nullable(day),
    "visible_to": one_of("1", "3", "5", "7"),
    "was_seen": boolean,
    "channel": nullable(integer),
    "channel_id": nullable(text()),
}
_NEW = an_object({**SHAPE, "origin_id": nullable(text())}, ["title"])
_CHANGED = an_object({**SHAPE, "is_archived": boolean})


def create(world: World, body: Object, by: By) -> Object:
    _NEW(body, "")
    blank: Object = {
        "owner_id": by.user_id,
        "creator_id": by.user_id,
        "label_ids": [],
        "person_id": None,
        "organization_id": None,
        "source_name": "API" if by.source == "api" else "Manually created",
        "origin": "API" if by.source == "api" else "ManuallyCreated",
        "origin_id": None,
        "channel": None,
        "channel_id": None,
        "source_deal_id": None,
        "is_archived": False,
        "was_seen": False,
        "value": None,
        "expected_close_date": None,
        "next_activity_id": None,
        "visible_to": "3",
        "cc_email": f"{world.company_domain}+lead@pipedrivemail.com",
    }
    _check(world, {**blank, **body})
    return world.add("lead", {**blank, **body, "id": str(uuid.uuid4())}, by)


def update(world: World, id: str, body: Object, by: By) -> Object:
    before = _found(world, id)
    _CHANGED(body, "")
    _check(world, {**before, **body})
    return world.change("lead", id, body, by)


def read(world: World, id: str) -> Object:
    return _found(world, id)


def delete(world: World, id: str, by: By) -> Object:
    _found(world, id)
    world.erase("lead", id, by)
    return {"id": id}


def _found(world: World, id: str) -> Object:
    if id not in world.tables["lead"]:
        raise no_such("lead", id)
    return world.tables["lead"][id]


def _check(world: World, lead: Object) -> None:
    if lead["person_id"] is None and lead["organization_id"] is None:
        raise Refused("A lead must be linked to a person or an organization.")
    world.must_know("user", lead["owner_id"], "owner_id")
    for name, kind in (("person_id", "person"), ("organization_id", "organization")):
        if lead[name] is not None:
            world.must_know(kind, lead[name], name)
