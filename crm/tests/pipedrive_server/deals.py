"""Deals. The stage decides the pipeline; without any it is the first stage of the first pipeline."""

from crm.tests.pipedrive_server import fields, pipelines
from crm.tests.pipedrive_server.checking import (
    Kind,
    an_object,
    boolean,
    day,
    integer,
    list_of,
    moment,
    nullable,
    number,
    one_of,
    text,
)
from crm.tests.pipedrive_server.clock import written
from crm.tests.pipedrive_server.persons import VISIBLE
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World

CURRENCIES = ("EUR", "USD", "GBP", "CHF", "PLN", "JPY", "SEK", "DKK", "CAD", "AUD")
SHAPE: dict[str, Kind] = {
    "title": text(255, 1),
    "owner_id": integer,
    "person_id": nullable(integer),
    "org_id": nullable(integer),
    "pipeline_id": integer,
    "stage_id": integer,
    "value": nullable(number),
    "currency": one_of(*CURRENCIES),
    "is_deleted": boolean,
    "is_archived": boolean,
    "status": one_of("open", "won", "lost"),
    "probability": nullable(number),
    "lost_reason": nullable(text(150)),
    "visible_to": VISIBLE,
    "expected_close_date": nullable(day),
    "label_ids": list_of(integer),
    "custom_fields": lambda value, where: None,
}
_NEW = an_object({**SHAPE, "add_time": moment}, ["title"])
_CHANGED = an_object(SHAPE)
_NAMED = {"owner_id": "user", "person_id": "person", "org_id": "organization"}


def create(world: World, body: Object, by: By) -> Object:
    _NEW(body, "")
    blank: Object = {
        "id": 0,
        "title": "",
        "owner_id": by.user_id,
        "person_id": None,
        "org_id": None,
        "pipeline_id": None,
        "stage_id": None,
        "value": 0,
        "currency": world.currency,
        "stage_change_time": None,
        "is_deleted": False,
        "is_archived": False,
        "status": "open",
        "probability": None,
        "lost_reason": None,
        "visible_to": 3,
        "close_time": None,
        "won_time": None,
        "lost_time": None,
        "expected_close_date": None,
        "label_ids": [],
        "origin": "API" if by.source == "api" else "ManuallyCreated",
        "origin_id": None,
        "channel": None,
        "channel_id": None,
        "source_lead_id": None,
        "arr": None,
        "mrr": None,
        "acv": None,
        "custom_fields": fields.take(world, "deal", {}, {}),
    }
    taken = {**blank, **_taken(world, body, blank)}
    return world.add("deal", {**taken, "id": world.new_id("deal")}, by)


def update(world: World, id: int, body: Object, by: By) -> Object:
    before = world.find("deal", id)
    if before["is_archived"] and body != {"is_archived": False}:
        raise Refused("Deal is archived", status=403, code="ERR_DEAL_ARCHIVED")
    _CHANGED(body, "")
    if body.get("is_deleted"):
        world.delete("deal", id, by)
        return world.tables["deal"][id]
    return world.change("deal", id, _taken(world, body, before), by)


def _taken(world: World, body: Object, before: Object) -> Object:
    new = {**body, **pipelines.placed(world, body, before)}
    for name, kind in _NAMED.items():
        if body.get(name) is not None and body[name] != before[name]:
            world.must_know(kind, body[name], name)
    if "title" in body:
        new["title"] = body["title"].strip()
    if body.get("value", 0) is None:
        new["value"] = 0
    if "custom_fields" in body:
        new["custom_fields"] = fields.take(world, "deal", body["custom_fields"], before["custom_fields"])
    now = written(world.clock.now())
    if new.get("stage_id", before["stage_id"]) != before["stage_id"]:
        new["stage_change_time"] = now
    return {**new, **_closed(body, before, now)}


def _closed(body: Object, before: Object, now: str) -> Object:
    status = body.get("status", before["status"])
    if body.get("lost_reason") and status != "lost":
        raise Refused("Validation failed: lost_reason: the deal is not lost")
    if status == before["status"]:
        return {}
    return {
        "won_time": now if status == "won" else None,
        "lost_time": now if status == "lost" else None,
        "close_time": None if status == "open" else now,
        "lost_reason": body.get("lost_reason"),
    }


def read(world: World, id: int) -> Object:
    """Also a deleted one, which says so."""
    found = world.tables["deal"].get(id)
    return found if found is not None else world.find("deal", id)


def delete(world: World, id: int, by: By) -> Object:
    world.delete("deal", id, by)
    return {"id": id}


def restore(world: World, id: int, by: By) -> Object:
    return world.change("deal", id, {"is_deleted": False}, by)
