"""Notes of v1: HTML at a person, an organization, a deal or a lead."""

from crm.tests.pipedrive_server.checking import Kind, an_object, integer, one_of, text
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World

_AT = {"deal_id": "deal", "person_id": "person", "org_id": "organization", "lead_id": "lead"}
_PINS = ("lead", "deal", "organization", "person", "project", "task")
SHAPE: dict[str, Kind] = {
    "content": text(shortest=1),
    "lead_id": text(),
    "deal_id": integer,
    "person_id": integer,
    "org_id": integer,
    "user_id": integer,
    "add_time": text(),
    **{f"pinned_to_{each}_flag": one_of(0, 1) for each in _PINS},
}
_NEW = an_object(SHAPE, ["content"])
_CHANGED = an_object(SHAPE)


def create(world: World, body: Object, by: By) -> Object:
    _NEW(body, "")
    if not any(body.get(name) for name in _AT):
        raise Refused(
            "The note must be associated with a lead, a deal, a person, an organization, a project or a task."
        )
    _check(world, body)
    blank: Object = {
        "id": world.new_id("note"),
        "active_flag": True,
        "user_id": by.user_id,
        "last_update_user_id": None,
        "lead_id": None,
        "deal_id": None,
        "person_id": None,
        "org_id": None,
        "project_id": None,
        "task_id": None,
        **{f"pinned_to_{each}_flag": False for each in _PINS},
    }
    pins = {name: bool(value) for name, value in body.items() if name.startswith("pinned_")}
    return world.add("note", {**blank, **body, **pins}, by)


def update(world: World, id: int, body: Object, by: By) -> Object:
    world.find("note", id)
    _CHANGED(body, "")
    _check(world, body)
    return world.change("note", id, {**body, "last_update_user_id": by.user_id}, by)


def delete(world: World, id: int, by: By) -> bool:
    world.find("note", id)
    world.erase("note", id, by)
    return True


def _check(world: World, body: Object) -> None:
    for name, kind in _AT.items():
        if body.get(name) is not None:
            world.must_know(kind, body[name], name)
