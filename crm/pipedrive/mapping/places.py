"""Where a value stands in Pipedrive's objects, and in a lead."""

from dataclasses import dataclass
from typing import Any

from crm.pipedrive.mapping.values import Remote
from leads.custom_fields import Definition
from leads.models import LeadStatus
from leads.values import CLEANERS, MAX_NOTES, custom_fields, text

# There --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Builtin:
    """A field that every account has. ``blank`` is what empties it."""

    entity: str
    key: str
    blank: Any = None

    def applies(self, remote: Remote) -> bool:
        """Whether there is such a value. A person that is still to be made has all of theirs."""
        found = remote.object(self.entity)
        if found is None:
            return self.entity == "person"
        return self.key in found and not found.get("is_archived")

    def read(self, remote: Remote) -> Any:
        return (remote.object(self.entity) or {}).get(self.key)

    def body(self, value: Any, remote: Remote) -> dict[str, Any]:
        return {self.key: self.blank if value in (None, "") else value}


class Custom(Builtin):
    def applies(self, remote: Remote) -> bool:
        found = remote.object(self.entity)
        return self.entity == "person" if found is None else not found.get("is_archived")

    def read(self, remote: Remote) -> Any:
        values = (remote.object(self.entity) or {}).get("custom_fields")
        return values.get(self.key) if isinstance(values, dict) else None

    def body(self, value: Any, remote: Remote) -> dict[str, Any]:
        return {"custom_fields": {self.key: None if value == "" else value}}


@dataclass(frozen=True)
class Primary(Builtin):
    """The primary one of a person's addresses or phones; all others stay."""

    form: Any = None

    def applies(self, remote: Remote) -> bool:
        return True

    def read(self, remote: Remote) -> Any:
        return _first(self._items(remote)).get("value")

    def body(self, value: Any, remote: Remote) -> dict[str, Any]:
        items = self._items(remote)
        before = _first(items)
        others = [item for item in items if item is not before]
        if not value:
            return {self.key: others}
        meant = self.form.theirs(value)
        known = next((item for item in others if self.form.theirs(item["value"]) == meant), None)
        if known:  # nobody's address is lost, the former one stays as another
            others = [before, *(item for item in others if self.form.theirs(item["value"]) != meant)]
        label = (known or before).get("label") or "work"
        return {self.key: [_item(value, label, True), *(_item(o["value"], o.get("label"), False) for o in others)]}

    def _items(self, remote: Remote) -> list[dict[str, Any]]:
        items = super().read(remote)
        return [
            item
            for item in (items if isinstance(items, list) else [])
            if isinstance(item, dict) and isinstance(item.get("value"), str) and item["value"].strip()
        ]


def _first(items: list[dict[str, Any]]) -> dict[str, Any]:
    return next((item for item in items if item.get("primary")), items[0] if items else {})


def _item(value: str, label: Any, is_primary: bool) -> dict[str, Any]:
    return {"value": value, "primary": is_primary} | ({"label": label} if isinstance(label, str) and label else {})


class OfOrganization(Builtin):
    """The organization of a person, by its name. Whoever calls puts its id into the lead, as ``organization_id``."""

    def applies(self, remote: Remote) -> bool:
        return True

    def read(self, remote: Remote) -> Any:
        return (remote.organization or {}).get("name")


class OfDeal(Builtin):
    """The stage and status of a deal: all of it tells, and what it is told is more than one value."""

    def applies(self, remote: Remote) -> bool:
        return remote.deal is not None and not remote.deal.get("is_archived")

    def read(self, remote: Remote) -> Any:
        return remote.deal

    def body(self, value: Any, remote: Remote) -> dict[str, Any]:
        return dict(value or {})


# Here ---------------------------------------------------------------------------------------------------------------------

_EMPTY: dict[str, Any] = {
    "status": LeadStatus.NEW.value, "needs_action": False, "providers": [], "specialties": [], "tags": [],
    **dict.fromkeys(("score", "is_sole_proprietor", "next_action_at", "last_contact", "assigned_user_id")),
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    name: str

    def read(self, lead: Any) -> Any:
        return lead.get(self.name)

    def changes(self, value: Any) -> dict[str, Any]:
        """What to write to the lead. Raises ValueError with a sentence."""
        if value is None:
            return {self.name: _EMPTY.get(self.name, "")}
        return {self.name: CLEANERS[self.name](value) if self.name in CLEANERS else value}


@dataclass(frozen=True)
class Extra:
    """A custom field of the lead, with its definition, where it has one."""

    key: str
    definition: Definition | None = None

    def read(self, lead: Any) -> Any:
        return (lead.get("extra") or {}).get(self.key)

    def changes(self, value: Any) -> dict[str, Any]:
        return {"extra": {self.key: None if value is None else self._cleaned(value)}}

    def _cleaned(self, value: Any) -> Any:
        if self.definition:
            return self.definition.clean(value)
        custom_fields({self.key: value})
        return text(MAX_NOTES)(value) if isinstance(value, str) else value
