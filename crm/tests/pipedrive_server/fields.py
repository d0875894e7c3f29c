"""Fields of persons, organizations and deals: those that every account has, one custom field of each kind, and what these hold."""

import re
from collections.abc import Callable
from typing import Any

from crm.tests.pipedrive_server.checking import (
    Kind,
    an_object,
    day,
    integer,
    list_of,
    nullable,
    number,
    text,
)
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import Object, World

STANDARD: dict[str, dict[str, tuple[str, str]]] = {
    "person": {
        "id": ("ID", "int"), "name": ("Name", "varchar"), "first_name": ("First name", "varchar"),
        "last_name": ("Last name", "varchar"), "email": ("Email", "varchar"), "phone": ("Phone", "phone"),
        "owner_id": ("Owner", "user"), "org_id": ("Organization", "org"), "add_time": ("Person created", "date"),
        "update_time": ("Update time", "date"), "visible_to": ("Visible to", "visible_to"), "label_ids": ("Labels", "set"),
    },
    "organization": {
        "id": ("ID", "int"), "name": ("Name", "varchar"), "owner_id": ("Owner", "user"), "address": ("Address", "address"),
        "website": ("Website", "varchar"), "linkedin": ("LinkedIn profile", "varchar"), "industry": ("Industry", "enum"),
        "annual_revenue": ("Annual revenue", "double"), "employee_count": ("Number of employees", "double"),
        "add_time": ("Organization created", "date"), "update_time": ("Update time", "date"),
        "visible_to": ("Visible to", "visible_to"), "label_ids": ("Labels", "set"),
    },
    "deal": {
        "id": ("ID", "int"), "title": ("Title", "varchar"), "value": ("Value", "monetary"), "currency": ("Currency", "varchar"),
        "status": ("Status", "status"), "stage_id": ("Stage", "stage"), "pipeline_id": ("Pipeline", "int"),
        "person_id": ("Contact person", "people"), "org_id": ("Organization", "org"), "owner_id": ("Owner", "user"),
        "expected_close_date": ("Expected close date", "date"), "lost_reason": ("Lost reason", "varchar"),
        "add_time": ("Deal created", "date"), "update_time": ("Update time", "date"),
        "visible_to": ("Visible to", "visible_to"), "label_ids": ("Labels", "set"),
    },
}  # fmt: skip

CUSTOM: dict[str, str] = {
    "Nickname": "varchar", "Background": "text", "Lead score": "double", "Second phone": "phone", "Met on": "date",
    "Budget": "monetary", "Channel": "enum", "Interests": "set", "Home address": "address", "Best time": "time",
    "Adviser": "user", "Former employer": "org", "Recommended by": "people", "On holiday": "daterange",
    "Office hours": "timerange", "Customer number": "varchar_auto",
}  # fmt: skip
"""Name → type, the same in each of the three entities, under other keys."""
OPTIONS = {"Channel": ("Web", "Phone", "Trade fair"), "Interests": ("Implants", "Orthodontics", "Surgery")}

ADDRESS: dict[str, Kind] = {
    name: nullable(text())
    for name in (
        "value", "country", "admin_area_level_1", "admin_area_level_2", "locality", "sublocality", "route",
        "street_number", "subpremise", "postal_code", "formatted_address",
    )
}  # fmt: skip


def furnish(world: World) -> None:
    """The fields of a new account."""
    for entity, fields in STANDARD.items():
        for code, (name, type) in fields.items():
            world.fields[entity][code] = _field(code, name, type, is_custom=False)
        for name, type in CUSTOM.items():
            add(world, entity, name, type, OPTIONS.get(name, ()))


def add(world: World, entity: str, name: str, type: str, options: tuple[str, ...] | list[str] = ()) -> Object:
    code = world.code(entity, f"{name} {len(world.fields[entity])}")
    field = _field(code, name, type, is_custom=True)
    if type in ("enum", "set"):
        field["options"] = [{"id": world.new_option_id(), "label": label} for label in options]
    world.fields[entity][code] = field
    return field


def _field(code: str, name: str, type: str, *, is_custom: bool) -> Object:
    return {
        "field_name": name,
        "field_code": code,
        "field_type": type,
        "options": None,
        "subfields": None,
        "is_custom_field": is_custom,
        "is_optional_response_field": False,
    }


def custom(world: World, entity: str) -> dict[str, Object]:
    return {code: field for code, field in world.fields[entity].items() if field["is_custom_field"]}


def take(world: World, entity: str, given: Any, before: Object) -> Object:
    """The custom values after a body's ``custom_fields``, every field of the account in it. Raises Refused."""
    known = custom(world, entity)
    if not isinstance(given, dict):
        raise Refused("Validation failed: custom_fields: Expected object")
    for code, value in given.items():
        if code not in known:
            raise Refused(f"Validation failed: custom_fields: '{code}' is no custom field of {entity}s")
        if value is not None:
            _check(world, known[code], value, f"custom_fields.{code}")
    values = {**before, **{code: None if value == "" else value for code, value in given.items()}}
    return {code: values.get(code) for code in known}


def _check(world: World, field: Object, value: Any, where: str) -> None:
    kind = field["field_type"]
    if kind in ("enum", "set"):
        _check_options(field, [value] if kind == "enum" else value, where)
    elif kind in ("user", "org", "people"):
        integer(value, where)
        world.must_know({"user": "user", "org": "organization", "people": "person"}[kind], value, where)
    elif kind == "varchar_auto" and not isinstance(value, str):
        raise Refused(f"Validation failed: {where}: Expected string")
    else:
        _KINDS[kind](value, where)


def _check_options(field: Object, chosen: Any, where: str) -> None:
    list_of(integer)(chosen, where)
    for id in chosen:
        if id not in [option["id"] for option in field["options"]]:
            raise Refused(f"Validation failed: {where}: {id} is no option of this field")


def _clock_time(value: Any, where: str) -> None:
    text()(value, where)
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", value):
        raise Refused(f"Validation failed: {where}: Invalid time")


_ZONE: dict[str, Kind] = {"timezone_id": nullable(integer), "timezone_name": nullable(text())}
_KINDS: dict[str, Kind] = {
    "varchar": text(255),
    "varchar_auto": text(255),
    "text": text(),
    "phone": text(255),
    "double": number,
    "date": day,
    "monetary": an_object({"value": number, "currency": text(3, 3)}, ["value", "currency"]),
    "address": an_object(ADDRESS, ["value"]),
    "time": an_object({"value": _clock_time, **_ZONE}, ["value"]),
    "daterange": an_object({"value": day, "until": day}, ["value", "until"]),
    "timerange": an_object({"value": _clock_time, "until": _clock_time, **_ZONE}, ["value", "until"]),
}

Told = Callable[[Any], Object]
_TOLD: dict[str, Told] = {
    "enum": lambda value: {"id": value},
    "set": lambda value: {"values": [{"id": id} for id in value]},
    "user": lambda value: {"id": value},
    "org": lambda value: {"id": value},
    "people": lambda value: {"id": value},
}


def told(world: World, entity: str, values: Object) -> Object:
    """Custom values as webhooks tell them: each with its type."""
    known = world.fields[entity]
    return {
        code: None if value is None or code not in known else _told(known[code]["field_type"], value)
        for code, value in values.items()
    }


def _told(type: str, value: Any) -> Object:
    shape = _TOLD.get(type) or ((lambda each: each) if isinstance(value, dict) else (lambda each: {"value": each}))
    return {"type": type, **shape(value)}
