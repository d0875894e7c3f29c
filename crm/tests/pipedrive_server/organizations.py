"""Organizations. A deleted one stays named by its persons and deals, as there."""

from crm.tests.pipedrive_server import fields
from crm.tests.pipedrive_server.checking import Kind, an_object, integer, list_of, moment, nullable, number, text
from crm.tests.pipedrive_server.persons import VISIBLE
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World

SHAPE: dict[str, Kind] = {
    "name": text(255, 1),
    "owner_id": integer,
    "visible_to": VISIBLE,
    "label_ids": list_of(integer),
    "address": nullable(an_object(fields.ADDRESS, ["value"])),
    "website": nullable(text(255)),
    "linkedin": nullable(text(255)),
    "industry": nullable(integer),
    "annual_revenue": nullable(number),
    "employee_count": nullable(integer),
    "custom_fields": lambda value, where: None,
}
_NEW = an_object({**SHAPE, "add_time": moment}, ["name"])
_CHANGED = an_object(SHAPE)


def create(world: World, body: Object, by: By) -> Object:
    _NEW(body, "")
    blank: Object = {
        "id": 0,
        "name": "",
        "owner_id": by.user_id,
        "is_deleted": False,
        "visible_to": 3,
        "address": None,
        "label_ids": [],
        "website": None,
        "linkedin": None,
        "industry": None,
        "annual_revenue": None,
        "employee_count": None,
        "custom_fields": fields.take(world, "organization", {}, {}),
    }
    taken = {**blank, **_taken(world, body, blank)}
    return world.add("organization", {**taken, "id": world.new_id("organization")}, by)


def update(world: World, id: int, body: Object, by: By) -> Object:
    before = world.find("organization", id)
    _CHANGED(body, "")
    return world.change("organization", id, _taken(world, body, before), by)


def _taken(world: World, body: Object, before: Object) -> Object:
    new = dict(body)
    if "name" in body:
        new["name"] = body["name"].strip()
    if "owner_id" in body:
        world.must_know("user", body["owner_id"], "owner_id")
    if "custom_fields" in body:
        new["custom_fields"] = fields.take(world, "organization", body["custom_fields"], before["custom_fields"])
    return new


def delete(world: World, id: int, by: By) -> Object:
    world.delete("organization", id, by)
    return {"id": id}


def restore(world: World, id: int, by: By) -> Object:
    return world.change("organization", id, {"is_deleted": False}, by)


def merge(world: World, id: int, into: int, by: By) -> Object:
    """The organization ``into``; persons and deals of the other move to it."""
    world.find("organization", id)
    world.find("organization", into)
    if id == into:
        raise Refused("An organization cannot be merged with itself")
    world.delete("organization", id, by, merged_to_id=str(into))
    kept = world.change("organization", into, {}, by, merged_from_id=str(id))
    for kind in ("person", "deal"):
        for thing in world.living(kind):
            if thing["org_id"] == id:
                world.change(kind, thing["id"], {"org_id": into}, by)
    return kept
