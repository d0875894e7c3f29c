"""Which values the survivor of a merge has. `RULES` is the table; a rule reads the leads as rows, the survivor first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leads import history
from leads.models import EmailStatus, LeadStatus
from leads.values import MAX_ITEMS, MAX_NOTES, custom_fields

Row = dict[str, Any]


@dataclass(frozen=True)
class Settled:
    """A value, and the lead that it is from; None where it is from several, or from none of them."""

    value: Any
    lead_id: int | None


Rule = Callable[[str, Sequence[Row]], Settled]


def says(value: Any) -> bool:
    """Whether a value is one: 0 and False are."""
    return value is not None and value not in ("", [], {})


def _of(row: Row, field: str) -> Settled:
    return Settled(row[field], row["id"])


def first(field: str, rows: Sequence[Row]) -> Settled:
    """The survivor's, else that of the first of the others that has one."""
    return next((_of(row, field) for row in rows if says(row[field])), _of(rows[0], field))


def survivors(field: str, rows: Sequence[Row]) -> Settled:
    return _of(rows[0], field)


def united(field: str, rows: Sequence[Row]) -> Settled:
    """All texts, each once; at most as many as a lead may have."""
    texts = list(dict.fromkeys(text for row in rows for text in row[field]))[:MAX_ITEMS]
    return _attributed(texts, field, rows)


def joined(field: str, rows: Sequence[Row]) -> Settled:
    """All notes that differ, a blank line between them, as far as they fit whole into what a lead may have."""
    text: str = rows[0][field]
    for row in rows[1:]:
        together = f"{text}\n\n{row[field]}" if text else row[field]
        if row[field] not in text and len(together) <= MAX_NOTES:
            text = together
    return _attributed(text, field, rows)


def merged(field: str, rows: Sequence[Row]) -> Settled:
    """All custom fields, the survivor's first; whole leads' ones, as far as they fit into what a lead may have."""
    fields: Row = rows[0][field]
    for row in rows[1:]:
        together = {**row[field], **fields}
        if len(together) > len(fields) and _fits(together):
            fields = together
    return _attributed(fields, field, rows)


def _fits(fields: Row) -> bool:
    try:
        custom_fields(fields)
    except ValueError:
        return False
    return True


def highest(field: str, rows: Sequence[Row]) -> Settled:
    """The highest number, the latest moment."""
    having = [row for row in rows if row[field] is not None]
    return _of(max(having, key=lambda row: row[field], default=rows[0]), field)


def earliest(field: str, rows: Sequence[Row]) -> Settled:
    return _of(_first_due(rows), field)


_FAR_AWAY = datetime.max.replace(tzinfo=UTC)


def _first_due(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: row["next_action_at"] or _FAR_AWAY)


def of_the_next_action(field: str, rows: Sequence[Row]) -> Settled:
    """What is to be done then: that of the lead whose moment stays, or of one without any; never that of another moment."""
    due = _first_due(rows)
    return first(field, [due, *(row for row in rows if row is not due and row["next_action_at"] is None)])


_FURTHEST_FIRST = [*reversed([status for status in LeadStatus.values if status != LeadStatus.LOST]), LeadStatus.LOST]


def furthest(field: str, rows: Sequence[Row]) -> Settled:
    """The status that is furthest along; lost only where all are."""
    return _of(min(rows, key=lambda row: _FURTHEST_FIRST.index(row[field])), field)


def _attributed(value: Any, field: str, rows: Sequence[Row]) -> Settled:
    return Settled(value, next((row["id"] for row in rows if row[field] == value), None))


# `email_status` follows the e-mail address, and `needs_action` status and last contact: see `settle`
RULES: dict[str, Rule] = {
    **dict.fromkeys(history.FIELDS, first),
    "providers": united,
    "specialties": united,
    "tags": united,
    "extra": merged,
    "notes": joined,
    "last_contact": highest,
    "score": highest,
    "next_action_at": earliest,
    "next_action_description": of_the_next_action,
    "status": furthest,
    "source": survivors,
    "needs_action": survivors,
    # the place of a copy in the catalogue: what was exported once is not copied again
    "catalogue_lead_id": first,
}
FIELDS = tuple(RULES)


def settle(rows: Sequence[Row], taken_from: dict[str, int], given: Row) -> dict[str, Settled]:
    """The survivor's values. ``taken_from`` (field → lead) and ``given`` (field → value) come before the rules.

    Whether action is needed is the survivor's here, unless it was chosen: the rule for it is the database's.
    """
    by_id = {row["id"]: row for row in rows}
    settled = {field: rule(field, rows) for field, rule in RULES.items()}
    settled |= {field: _of(by_id[lead_id], field) for field, lead_id in taken_from.items()}
    settled |= {field: Settled(value, None) for field, value in given.items()}
    settled["email_status"] = _status_of(settled["email"].value, rows)
    return settled


def _status_of(email: str, rows: Sequence[Row]) -> Settled:
    """What is known of an address, by the first of its leads that knows something."""
    having = [row for row in rows if row["email"].lower() == email.lower()]
    known = [row for row in having if row["email_status"] != EmailStatus.UNKNOWN]
    return _of((known or having)[0], "email_status") if having else Settled(EmailStatus.UNKNOWN.value, None)
