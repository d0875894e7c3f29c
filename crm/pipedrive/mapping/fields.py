"""A field of a lead and the one that it is in Pipedrive."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crm.pipedrive.mapping.forms import Form
from crm.pipedrive.mapping.places import Builtin, Column, Extra
from crm.pipedrive.mapping.values import UNKNOWN, Canonical, Remote, is_empty
from leads.models import LeadStatus
from leads.values import CLEANERS

# the columns of a lead that fields read
LEAD_COLUMNS: tuple[str, ...] = ("id", *CLEANERS, "assigned_user_id", "extra")


@dataclass(frozen=True)
class MappedField:
    """``entity`` is whose body `for_theirs` is a part of: a company is the person's ``org_id``. ``label`` is its name in Pipedrive."""

    name: str
    entity: str
    owner: str
    label: str
    here: Column | Extra
    there: Builtin
    form: Form

    def applies(self, remote: Remote) -> bool:
        """Whether there is something to compare: a deal's field without a deal, or an organization's without one, does not apply."""
        return self.there.applies(remote)

    def is_empty(self, canonical: Canonical) -> bool:
        """Also a status that says that nothing was done yet: every lead and every deal begins with it, whoever made it."""
        return is_empty(canonical) or (self.name == "status" and canonical == LeadStatus.NEW.value)

    def ours(self, lead: Mapping[str, Any]) -> Canonical:
        """What the lead has (a mapping of `LEAD_COLUMNS`). UNKNOWN where Pipedrive has no word for it."""
        value = self.here.read(lead)
        if isinstance(value, dict) or (isinstance(value, list) and not self.form.lists):
            return UNKNOWN
        return self.form.ours(value, lead)

    def theirs(self, remote: Remote) -> Canonical:
        """What Pipedrive has. UNKNOWN where we have no word for it."""
        raw = self.there.read(remote)
        if (isinstance(raw, dict) and not self.form.objects) or (isinstance(raw, list) and not self.form.lists):
            return UNKNOWN
        return self.form.theirs(raw)

    def for_theirs(self, lead: Mapping[str, Any], remote: Remote, canonical: Canonical) -> dict[str, Any]:
        """The part of the entity's body that makes theirs like ours (``canonical`` is `ours` of this lead); `merged` puts parts together.

        Nothing where it can't be told there: nobody is assigned, or UNKNOWN. Of a company ``{"org_id": lead["organization_id"]}``.
        Raises ValueError with a sentence where Pipedrive can't hold it.
        """
        if canonical == UNKNOWN:
            return {}
        if self.name == "company" and self.there.key == "org_id":
            return {"org_id": lead.get("organization_id")}
        if self.there.key == "owner_id" and is_empty(canonical):
            return {}
        raw = self.there.read(remote)
        return self.there.body(self.form.for_theirs(canonical, self.here.read(lead), lead, raw), remote)

    def for_ours(self, remote: Remote, lead: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The changes for `leads.editing` that make the lead like theirs. Pass the lead where there is one: a phone without a country's
        code is read by its country, and what a nameless lead is called there is no name for it.

        Raises ValueError with a sentence where a lead can't hold it.
        """
        if self.theirs(remote) == UNKNOWN:
            return {}
        return self.here.changes(self.form.for_ours(self.there.read(remote), lead or {}))


def merged(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One body of many parts, or one set of changes: what is inside ``custom_fields`` and ``extra`` is put together, too."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            inner = name in ("custom_fields", "extra") and isinstance(value, dict)
            whole[name] = {**whole.get(name, {}), **value} if inner else value
    return whole
