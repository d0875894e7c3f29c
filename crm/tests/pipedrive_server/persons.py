"""Persons. Neither their name nor their address is unique: the same body twice makes two."""

from crm.tests.pipedrive_server import contacts, fields
from crm.tests.pipedrive_server.checking import (
    Kind,
    an_object,
    integer,
    list_of,
    moment,
    nullable,
    one_of,
    text,
)
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World

VISIBLE = one_of(1, 3, 5, 7)
SHAPE: dict[str, Kind] = {
    "name": text(255, 1),
    "owner_id": integer,
    "org_id": nullable(integer),
    "emails": contacts.CONTACTS,
    "phones": contacts.CONTACTS,
    "visible_to": VISIBLE,
    "label_ids": list_of(integer),
    "custom_fields": lambda value, where: None,
}
_NEW = an_object({**SHAPE, "add_time": moment}, ["name"])
_CHANGED = an_object(SHAPE)


def create(world: World, body: Object, by: By) -> Object:
    _NEW(body, "")
    blank: Object = {
        "id": 0,
        "name": "",
        "first_name": "",
        "last_name": "",
        "owner_id": by.user_id,
        "org_id": None,
        "emails": [],
        "phones": [],
        "is_deleted": False,
        "visible_to": 3,
        "label_ids": [],
        "picture_id": None,
        "custom_fields": fields.take(world, "person", {}, {}),
    }
    taken = {**blank, **_taken(world, body, blank)}
    return world.add("person", {**taken, "id": world.new_id("person")}, by)


def update(world: World, id: int, body: Object, by: By) -> Object:
    before = world.find("person", id)
    _CHANGED(body, "")
    return world.change("person", id, _taken(world, body, before), by)


def _taken(world: World, body: Object, before: Object) -> Object:
    new = dict(body)
    if "name" in body:
        new["name"] = body["name"].strip()
        first, _, last = new["name"].rpartition(" ")
        new["first_name"], new["last_name"] = (first, last) if first else (last, "")
    if "owner_id" in body:
        world.must_know("user", body["owner_id"], "owner_id")
    # an organization that is gone may stay where it is; it may not be chosen
    if body.get("org_id") is not None and body["org_id"] != before["org_id"]:
        world.must_know("organization", body["org_id"], "org_id")
    for name in ("emails", "phones"):
        if name in body:
            new[name] = contacts.taken(body[name], name)
    if "custom_fields" in body:
        new["custom_fields"] = fields.take(world, "person", body["custom_fields"], before["custom_fields"])
    return new


def delete(world: World, id: int, by: By) -> Object:
    world.delete("person", id, by)
    return {"id": id}


def restore(world: World, id: int, by: By) -> Object:
    if id in world.merged_persons:
        raise Refused(f"Person {id} was merged into another, which can't be undone")
    return world.change("person", id, {"is_deleted": False}, by)


def merge(world: World, id: int, into: int, by: By) -> Object:
    """The person ``into``, with what only the other had; the other is deleted, and its deals move."""
    goes, stays = world.find("person", id), world.find("person", into)
    if id == into:
        raise Refused("A person cannot be merged with itself")
    custom = {
        code: value if value is not None else goes["custom_fields"].get(code)
        for code, value in stays["custom_fields"].items()
    }
    united: Object = {
        "emails": contacts.united(stays["emails"], goes["emails"]),
        "phones": contacts.united(stays["phones"], goes["phones"]),
        "org_id": stays["org_id"] if stays["org_id"] is not None else goes["org_id"],
        "custom_fields": custom,
    }
    world.delete("person", id, by, merged_to_id=str(into))
    world.merged_persons.add(id)
    kept = world.change("person", into, united, by, merged_from_id=str(id))
    for deal in world.living("deal"):
        if deal["person_id"] == id:
            world.change("deal", deal["id"], {"person_id": into}, by)
    for lead in list(world.tables["lead"].values()):
        if lead["person_id"] == id:
            world.change("lead", lead["id"], {"person_id": into}, by)
    return kept
