"""Mappings without a connection: what an account has is told, and not read."""

from typing import Any

from crm.pipedrive.mapping import Mapping, Means, Setup, build
from crm.pipedrive.mapping.building import stages_of
from crm.pipedrive.mapping.setup import Stage, There
from leads.custom_fields import Definition

MEMBERS = {1: "ada@x.example", 2: "agent@x.example"}
USERS = {71: "ada@x.example", 72: "somebody@elsewhere.example"}
OPTIONS = {"11": "Web", "12": "Trade fair", "13": "Öl & Gas"}
KINDS = (
    "varchar", "varchar_auto", "text", "double", "int", "phone", "date", "monetary", "enum", "set", "address", "boolean", "time",
    "user", "org",
)  # fmt: skip
NAMES = {"phone": "second phone"}  # "Phone" is there already
STAGES = tuple(Stage(10 + number, f"Stage {number}", 1) for number in range(5))
BY_STATUS = {"NEW": 10, "CONTACTED": 11, "QUALIFIED": 12, "PROPOSAL": 13}


def key_of(kind: str) -> str:
    return (kind.encode().hex() + "0" * 40)[:40]


def a_setup(**other: Any) -> Setup:
    """The usual fields, and a custom one of each kind in each entity, called as its kind is."""
    known = [
        There("person", "name", "Name", "varchar"),
        There("person", "email", "Email", "varchar"),
        There("person", "phone", "Phone", "phone"),
        There("person", "owner_id", "Owner", "user"),
        There("person", "add_time", "Person created", "date"),
        There("organization", "name", "Name", "varchar"),
        There("organization", "website", "Website", "varchar"),
        There("organization", "address", "Address", "address"),
        There("deal", "stage_id", "Stage", "stage"),
    ]
    custom = [
        There(entity, key_of(kind), NAMES.get(kind, kind), kind, True, OPTIONS if kind in ("enum", "set") else {})
        for entity in ("person", "organization", "deal")
        for kind in KINDS
    ]
    return Setup(**{"fields": (*known, *custom), "pipelines": {1: "Sales"}, "stages": STAGES, "users": USERS} | other)


def a_mapping(
    *entries: tuple[str, str, str],
    setup: Setup | None = None,
    definitions: dict[str, Definition] | None = None,
    pipeline_id: int | None = 1,
    stages: dict[str, int] = BY_STATUS,
    members: dict[int, str] = MEMBERS,
) -> Mapping:
    """Of (lead's field, entity, field there); without any of the defaults."""
    setup = setup or a_setup()
    means = Means(setup, definitions or {}, members, stages_of(setup, pipeline_id, stages), "EUR")
    kept = [
        {"lead": lead, "entity": entity, "field": there, "key": "", "owner": "latest"}
        for lead, entity, there in entries
    ]
    return build(means, kept, pipeline_id=pipeline_id, stages=stages)
