"""Which fields go together: a field of a lead with one in Pipedrive, or a sentence why not."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from crm.pipedrive.mapping import forms
from crm.pipedrive.mapping.fields import MappedField
from crm.pipedrive.mapping.forms import Form
from crm.pipedrive.mapping.places import Builtin, Column, Custom, Extra, OfDeal, OfOrganization, Primary
from crm.pipedrive.mapping.setup import ENTITIES, Setup, There, did_you_mean
from crm.pipedrive.mapping.stages import Stages
from leads.custom_fields import PREFIX, Definition
from leads.models import CustomField
from leads.values import ALIASES, CLEANERS

OWNERS = ("zevix", "pipedrive", "latest")
Kind = CustomField.Kind

_TEXTS = {"varchar", "varchar_auto", "text", "phone", "address"}
_NUMBERS = {"int", "double", "monetary"}
# what may go with a lead's field, by what that holds
_FITS: dict[str, set[str]] = {
    "text": _TEXTS | {"enum"},
    "number": _NUMBERS,
    "date": {"date"},
    "boolean": {"boolean"},
    "list": {"set"},
    "user": {"user"},
    "any": _TEXTS | _NUMBERS | {"enum", "set", "date", "boolean"},
}
_OURS = {
    "score": "number", "needs_action": "boolean", "is_sole_proprietor": "boolean", "next_action_at": "date",
    "last_contact": "date", "providers": "list", "specialties": "list", "tags": "list", "assigned_user_id": "user",
}  # fmt: skip
_DEFINED = {
    Kind.TEXT: "text", Kind.CHOICE: "text", Kind.NUMBER: "number", Kind.DATE: "date", Kind.BOOLEAN: "boolean",
}  # fmt: skip

# of the fields that every account has those that may be written, and what empties them
_BUILTINS: dict[tuple[str, str], Any] = {
    ("person", "name"): "", ("person", "owner_id"): None, ("person", "job_title"): "", ("person", "notes"): "",
    ("person", "birthday"): None, ("person", "postal_address"): None,
    ("organization", "website"): None, ("organization", "address"): None, ("organization", "linkedin"): None,
    ("organization", "annual_revenue"): None, ("organization", "employee_count"): None,
    ("deal", "expected_close_date"): None, ("deal", "lost_reason"): None, ("deal", "probability"): None,
}  # fmt: skip


@dataclass(frozen=True)
class Means:
    """What a mapping is built from. ``members`` are the workspace's users: id → address in lower case."""

    setup: Setup
    definitions: dict[str, Definition]
    members: dict[int, str]
    stages: Stages | None
    currency: str


def mapped(entry: dict[str, Any], means: Means) -> MappedField:
    """The field of an entry: {lead, entity, key or field (a name), owner}. Raises ValueError with a sentence."""
    if entry["entity"] not in ENTITIES or entry["owner"] not in OWNERS:
        raise ValueError(_("One of {choices}.").format(choices=", ".join((*ENTITIES, *OWNERS))))
    name = ALIASES.get(entry["lead"], entry["lead"])
    here = _here(name, means)
    there = _there(entry, means.setup)
    if name == "external_id" and entry["owner"] != "zevix":
        raise ValueError(_("External ids come from here: their owner can only be zevix."))
    place, form = _special(name, there, means) or _ordinary(name, there, here, means)
    return MappedField(name, place.entity, entry["owner"], there.name, here, place, form)


def _here(name: str, means: Means) -> Column | Extra:
    if name.startswith(PREFIX) and 0 < len(key := name.removeprefix(PREFIX)) <= 200:
        return Extra(key, means.definitions.get(key))
    if name in CLEANERS or name == "assigned_user_id":
        return Column(name)
    raise ValueError(did_you_mean(_("Leads have no field «{name}»."), name, [*CLEANERS, "assigned_user_id"]))


def _there(entry: dict[str, Any], setup: Setup) -> There:
    """By its key; where that is no more, by its name."""
    if (key := entry.get("key")) and (found := setup.by_key(entry["entity"], key)):
        return found
    return setup.named(entry["entity"], entry.get("field") or entry["key"])


def _special(name: str, there: There, means: Means) -> tuple[Builtin, Form] | None:
    """Fields that go together with one another and with nothing else."""
    match (name, there.entity, there.key):
        case ("company", "organization", "name"):
            return OfOrganization("person", "org_id"), forms.Company()
        case ("status", "deal", "stage_id"):
            if means.stages is None:
                raise ValueError(_("There is no pipeline in Pipedrive."))
            return OfDeal("deal", "stage_id"), forms.Status(means.stages)
        case (_, "organization", "name"):
            raise ValueError(_("An organization's name goes with company alone."))
        case (_, "deal", "stage_id"):
            raise ValueError(_("A deal's stage goes with status alone."))
        case ("name", "person", "name"):
            return Builtin("person", "name"), forms.Name()
        case (_, "person", "name"):
            raise ValueError(_("A person's name goes with name alone."))
        case (_, "person", "email") if _holds(name, means) in ("text", "any"):
            return Primary("person", "emails", form=forms.Email()), forms.Email()
        case (_, "person", "phone") if _holds(name, means) in ("text", "any"):
            return Primary("person", "phones", form=forms.Phone()), forms.Phone()
    return None


def _ordinary(name: str, there: There, here: Column | Extra, means: Means) -> tuple[Builtin, Form]:
    if not there.is_custom and (there.entity, there.key) not in _BUILTINS:
        sentence = _("«{field}» is kept by Pipedrive itself, or can't be written.")
        raise ValueError(sentence.format(field=there.name))
    if there.kind not in _FITS[_holds(name, means)]:
        sentence = _("«{field}» in Pipedrive is of the kind {kind}, which does not go with {lead}.")
        raise ValueError(sentence.format(field=there.name, kind=there.kind, lead=name))
    if there.is_custom:
        return Custom(there.entity, there.key), _form(name, there, means)
    return Builtin(there.entity, there.key, _BUILTINS[there.entity, there.key]), _form(name, there, means)


def _holds(name: str, means: Means) -> str:
    if name.startswith(PREFIX):
        definition = means.definitions.get(name.removeprefix(PREFIX))
        return _DEFINED[Kind(definition.kind)] if definition else "any"
    return _OURS.get(name, "text")


def _form(name: str, there: There, means: Means) -> Form:
    match there.kind:
        case "enum":
            return forms.Choice(options=there.options)
        case "set":
            return forms.Choices(options=there.options)
        case "int" | "double":
            return forms.Number(whole=there.kind == "int")
        case "monetary":
            return forms.Money(currency=means.currency)
        case "date":
            return forms.Day()
        case "boolean":
            return forms.YesNo(blank=False if name == "needs_action" else None)
        case "user":
            return forms.Users(means.members, means.setup.users)
        case "address":
            return forms.Address()
        case "phone" if name.startswith(PREFIX):
            return forms.Phone()
    return _text_form(name, there.kind)


def _text_form(name: str, kind: str) -> Form:
    if name == "email":
        return forms.Email()
    if name in ("phone", "owner_phone"):
        return forms.Phone()
    if name == "website":
        return forms.Website()
    return forms.Lines() if kind == "text" else Form()
