"""E-mail addresses and phone numbers of persons."""

from typing import Any

from crm.tests.pipedrive_server.checking import an_object, boolean, list_of, text
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import Object

CONTACTS = list_of(an_object({"value": text(255, 1), "primary": boolean, "label": text(255)}, ["value"]))


def taken(given: list[Object], where: str) -> list[Object]:
    """Each whole, and one of them primary: the first, where none says so."""
    if sum(bool(each.get("primary")) for each in given) > 1:
        raise Refused(f"Validation failed: {where}: only one can be primary")
    has_primary = any(each.get("primary") for each in given)
    return [
        {
            "value": each["value"].strip(),
            "primary": each.get("primary", False) or (index == 0 and not has_primary),
            "label": each.get("label", "other"),
        }
        for index, each in enumerate(given)
    ]


def united(kept: list[Object], others: list[Object]) -> list[Object]:
    """The survivor's first, and of the other those that are new."""
    have = {each["value"].casefold() for each in kept}
    new = [{**each, "primary": not kept and each["primary"]} for each in others if each["value"].casefold() not in have]
    return kept + new


def values(contacts: Any) -> list[str]:
    return [each["value"] for each in contacts or []]
