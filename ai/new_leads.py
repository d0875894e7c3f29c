"""Leads that come by way of the AI: which fields they may have, and never a second one with the same e-mail address."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Workspace
from ai.errors import LeadKnown
from leads import addresses, editing
from leads.history import Author
from leads.values import CLEANERS, IDENTIFYING
from zevix.errors import ValidationFailed

FIELDS = ("name", "email", "phone", "company", "website", "address", "city", "state", "zip_code", "country", "notes")
SOURCE = "chat"


def checked(
    fields: Mapping[str, Any], allowed: Sequence[str] = FIELDS, needed: Sequence[str] = IDENTIFYING
) -> dict[str, str]:
    """What is kept of the fields of a lead, by the same rules as everywhere; blank ones are left out.

    Raises ValidationFailed, also where none of the ``needed`` ones is there.
    """
    kept: dict[str, str] = {}
    problems = {str(name): [_("There is no such field.")] for name in fields if name not in allowed}
    for name in allowed:
        try:
            if found := _cleaned(name, fields.get(name)):
                kept[name] = found
        except ValueError as error:
            problems[name] = [str(error)]
    if not problems and not any(kept.get(name) for name in needed):
        names = ", ".join(name for name in needed if name in allowed)
        problems = {"non_field_errors": [_("Give at least one of: {names}.").format(names=names)]}
    if problems:
        raise ValidationFailed(fields=problems)
    return kept


@transaction.atomic
def add(fields: Mapping[str, Any], *, workspace: Workspace, by: Author) -> int:
    """Add a lead of checked fields; returns its id. Raises LeadKnown where one has its e-mail address."""
    if found := addresses.hold(fields.get("email", ""), workspace):
        raise LeadKnown(lead_id=found)
    return editing.create({**fields, "source": SOURCE}, workspace=workspace, by=by)


def _cleaned(name: str, value: Any) -> Any:
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise ValueError(_("This is of the wrong type."))
    return CLEANERS[name](value)
