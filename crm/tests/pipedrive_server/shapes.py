"""Things as they are answered: v2's own form, and the older one that v1 still gives users and merged persons."""

from typing import Any

from crm.tests.pipedrive_server import fields
from crm.tests.pipedrive_server.world import Object, World


def v2(world: World, kind: str, thing: Object, codes: list[str] | None = None) -> Object:
    """With a value, or null, for every custom field that the account has now; or for those asked for."""
    if "custom_fields" not in thing:
        return thing
    values = thing["custom_fields"]
    known = fields.custom(world, kind)
    return {**thing, "custom_fields": {code: values.get(code) for code in known if codes is None or code in codes}}


def user(world: World, thing: Object, me: int) -> Object:
    return {**thing, "is_you": thing["id"] == me, "is_deleted": False}


def me(world: World, thing: Object) -> Object:
    return {
        **user(world, thing, thing["id"]),
        "company_id": world.company_id,
        "company_name": world.company_name,
        "company_domain": world.company_domain,
        "company_country": "DE",
        "company_industry": "Software",
        "language": {"language_code": "en", "country_code": "US"},
    }


def merged_person(world: World, thing: Object, merged: int) -> Object:
    """As v1 answers a person, in short."""
    organization = world.tables["organization"].get(thing["org_id"])
    return {
        "id": thing["id"],
        "company_id": world.company_id,
        "owner_id": thing["owner_id"],
        "org_id": thing["org_id"],
        "name": thing["name"],
        "first_name": thing["first_name"],
        "last_name": thing["last_name"] or None,
        "email": thing["emails"],
        "phone": thing["phones"],
        "first_char": thing["name"][:1].lower(),
        "active_flag": not thing["is_deleted"],
        "add_time": thing["add_time"].replace("T", " ").rstrip("Z"),
        "update_time": thing["update_time"].replace("T", " ").rstrip("Z"),
        "visible_to": str(thing["visible_to"]),
        "picture_id": None,
        "label": None,
        "label_ids": thing["label_ids"],
        "org_name": organization and organization["name"],
        "owner_name": world.tables["user"][thing["owner_id"]]["name"],
        "cc_email": f"{world.company_domain}@pipedrivemail.com",
        "merge_what_id": merged,
    }


def note(world: World, thing: Object) -> Object:
    def named(kind: str, id: Any, name: str = "name") -> Object | None:
        found = world.tables[kind].get(id)
        return found and {name: found[name]}

    author = world.tables["user"][thing["user_id"]]
    return {
        **thing,
        "person": named("person", thing["person_id"]),
        "organization": named("organization", thing["org_id"]),
        "deal": named("deal", thing["deal_id"], "title"),
        "project": None,
        "task": None,
        "user": {"email": author["email"], "name": author["name"], "icon_url": None, "is_you": True},
    }
