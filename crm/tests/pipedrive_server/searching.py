"""The search. Its index may be some seconds behind, as `World.as_of` remembers."""

from typing import Any

from crm.tests.pipedrive_server import contacts
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import Object, World

FIELDS = {
    "person": ("custom_fields", "email", "notes", "phone", "name"),
    "organization": ("address", "custom_fields", "notes", "name"),
    "deal": ("custom_fields", "notes", "title"),
}
_SEARCHABLE = ("address", "varchar", "text", "varchar_auto", "double", "monetary", "phone")


def found(world: World, kind: str, query: dict[str, Any], lag: float) -> list[Object]:
    """What fits the term as the index knows it, in the form of search results."""
    exact = query.get("exact_match", False)
    term = query.get("term", "").strip().casefold()
    if len(term) < (1 if exact else 2):
        raise Refused("Validation failed: term: String must contain at least 2 characters, or 1 with exact_match")
    wanted = query.get("fields") or list(FIELDS[kind])
    moment = world.clock.seconds() - lag
    states = [world.as_of(kind, id, moment) for id in sorted(world.tables[kind])]
    return [
        {"id": thing["id"], "result_score": 1.0 if exact else 0.5, "item": _item(world, kind, thing)}
        for thing in states
        if thing is not None
        and not thing.get("is_deleted")
        and any(_fits(text.casefold(), term, exact) for field in wanted for text in _texts(world, kind, thing, field))
    ]


def _fits(text: str, term: str, exact: bool) -> bool:
    return text == term if exact else term in text


def _texts(world: World, kind: str, thing: Object, field: str) -> list[str]:
    if field in ("name", "title"):
        return [thing[field]]
    if field in ("email", "phone"):
        return contacts.values(thing[f"{field}s"])
    if field == "address":
        return [(thing["address"] or {}).get("value") or ""]
    if field == "custom_fields":
        return _custom_texts(world, kind, thing)
    return []


def _custom_texts(world: World, kind: str, thing: Object) -> list[str]:
    known = world.fields[kind]
    values = [
        value
        for code, value in thing["custom_fields"].items()
        if value is not None and code in known and known[code]["field_type"] in _SEARCHABLE
    ]
    return [str(value["value"] if isinstance(value, dict) else value) for value in values]


def _item(world: World, kind: str, thing: Object) -> Object:
    item: Object = {
        "id": thing["id"],
        "type": kind,
        "visible_to": thing["visible_to"],
        "owner": {"id": thing["owner_id"]},
        "custom_fields": _custom_texts(world, kind, thing),
        "notes": [],
    }
    if kind == "organization":
        return {**item, "name": thing["name"], "address": (thing["address"] or {}).get("value")}
    organization = _named(world, "organization", thing["org_id"])
    if kind == "person":
        emails, phones = contacts.values(thing["emails"]), contacts.values(thing["phones"])
        return {**item, "name": thing["name"], "emails": emails, "phones": phones, "organization": organization}
    stage = world.tables["stage"][thing["stage_id"]]
    person = _named(world, "person", thing["person_id"])
    return {
        **item,
        "title": thing["title"],
        "value": thing["value"],
        "currency": thing["currency"],
        "status": thing["status"],
        "stage": {"id": stage["id"], "name": stage["name"]},
        "person": person,
        "organization": organization,
        "is_archived": thing["is_archived"],
    }


def _named(world: World, kind: str, id: Any) -> Object | None:
    thing = world.tables[kind].get(id)
    return thing and {"id": id, "name": thing["name"]}
