"""What is to become of each field of a lead: what both sides have, what is known of them, and what people chose."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crm.models import Conflict, InboxEvent
from crm.pipedrive.mapping import UNKNOWN, Canonical, MappedField
from crm.pipedrive.syncing.cases import Case
from crm.pipedrive.syncing.comparing import Decision, Move, Sides, compare
from crm.pipedrive.syncing.origins import PROGRAMS, origins

_CHOSEN = {Conflict.Choice.ZEVIX.value: Move.PUSH, Conflict.Choice.PIPEDRIVE.value: Move.PULL}


@dataclass(frozen=True)
class Step:
    """A field and what is to be done with it. ``value`` is what to write there, where that is not what we have."""

    field: MappedField
    sides: Sides
    decision: Decision
    conflict: Conflict | None = None
    value: Canonical = None

    @property
    def move(self) -> Move:
        return self.decision.move


def steps(case: Case) -> list[Step]:
    """For each field that applies, and whose values both sides have a word for."""
    fields = [one for one in case.account.mapping.fields if one.applies(case.remote) and one.name not in case.refused]
    rows = Conflict.objects.filter(connection=case.account.connection, lead=case.link.lead_id, resolved_at=None)
    conflicts = {row.field: row for row in rows}
    found = [_step(one, case, conflicts.get(one.name)) for one in fields]
    return _with_origins([step for step in found if step is not None], case)


def _step(field: MappedField, case: Case, conflict: Conflict | None) -> Step | None:
    ours, theirs = field.ours(case.lead), field.theirs(case.remote)
    agreed = case.agreed(field.name)
    if UNKNOWN in (ours, theirs):
        # when ours is known again, theirs may have changed long before it was last looked at
        case.is_settled &= theirs == UNKNOWN or (agreed is not None and agreed[1] == theirs)
        return None
    sides = Sides(
        ours=ours,
        theirs=theirs,
        agreed=agreed,
        owner=field.owner,
        is_ours_empty=field.is_empty(ours),
        is_theirs_empty=field.is_empty(theirs),
    )
    if conflict is not None:
        return _in_conflict(field, sides, conflict)
    return Step(field, sides, compare(sides))


def _in_conflict(field: MappedField, sides: Sides, conflict: Conflict) -> Step:
    if conflict.choice:
        return _chosen(field, sides, conflict)
    if conflict.is_overwritten:
        return Step(field, sides, Decision(Move.CONFLICT), conflict)
    if sides.are_alike:
        return Step(field, sides, Decision(Move.AGREED), conflict)
    if field.owner != "latest":  # there is a rule by now
        return Step(field, sides, compare(sides), conflict)
    return Step(field, sides, Decision(Move.CONFLICT), conflict)


def _chosen(field: MappedField, sides: Sides, conflict: Conflict) -> Step:
    """What somebody chose, unless the value that would be lost is another one than they saw."""
    if conflict.is_overwritten:
        return _chosen_of_overwritten(field, sides, conflict)
    takes_ours = conflict.choice == Conflict.Choice.ZEVIX
    seen, now = (conflict.theirs, sides.theirs) if takes_ours else (conflict.ours, sides.ours)
    if sides.are_alike:
        return Step(field, sides, Decision(Move.AGREED), conflict)
    if seen != now:
        return Step(field, sides, Decision(Move.CONFLICT), conflict)
    return Step(field, sides, Decision(_CHOSEN[conflict.choice]), conflict)


def _chosen_of_overwritten(field: MappedField, sides: Sides, conflict: Conflict) -> Step:
    """Theirs is written back, from where it then comes here as any change of theirs does."""
    if conflict.choice == Conflict.Choice.ZEVIX or sides.theirs == conflict.theirs:
        return Step(field, sides, compare(sides) if sides.agreed else Decision(Move.NOTHING), conflict)
    if sides.ours != conflict.ours:
        return Step(field, sides, Decision(Move.CONFLICT), conflict)
    return Step(field, sides, Decision(Move.PUSH), conflict, value=conflict.theirs)


# Who wrote when -----------------------------------------------------------------------------------------------------------


def _with_origins(found: list[Step], case: Case) -> list[Step]:
    """The steps, those where it matters who wrote when decided by that. Most leads need no look at their history."""
    asking = [step for step in found if _asks_for_origin(step)]
    if not asking:
        return found
    known = origins(case.link.lead_id, [step.field for step in asking])
    return [_decided(step, known.get(step.field.name), case) if step in asking else step for step in found]


def _asks_for_origin(step: Step) -> bool:
    return step.conflict is None and (step.move == Move.CONFLICT or step.decision.overrules)


def _decided(step: Step, origin: Any, case: Case) -> Step:
    sides = replace(
        step.sides,
        by_person=origin is None or origin.source not in PROGRAMS,
        ours_at=origin.at if origin else None,
        theirs_after=_changed_after(step, case),
        theirs_before=_changed_at(step.field, case),
    )
    return replace(step, sides=sides, decision=compare(sides))


def _changed_after(step: Step, case: Case) -> datetime | None:
    """A moment after which theirs was changed: when all was last in step, or when an event told of the value that is there now."""
    known = [case.link.seen_at if step.sides.agreed else None, _told_at(step, case)]
    return max((moment for moment in known if moment), default=None)


def _told_at(step: Step, case: Case) -> datetime | None:
    """By the webhook, of a person's own fields. A later event may be lost, but theirs was not there before this one."""
    key = step.field.there.key
    if step.field.entity != "person" or case.remote.person is None:
        return None
    events = InboxEvent.objects.filter(
        connection=case.account.connection,
        entity="person",
        entity_id=case.remote.person["id"],
        body__previous__has_key=key,
        sent_at__isnull=False,
    )
    latest = events.order_by("-sent_at").values("body", "sent_at").first()
    told = latest["body"].get("data") if latest else None
    if latest is None or not isinstance(told, dict) or told.get(key) != case.remote.person.get(key):
        return None
    return latest["sent_at"]


def _changed_at(field: MappedField, case: Case) -> datetime | None:
    """When what holds the field's value was last changed there; a company is the person's, and the organization's own name."""
    person, organization, deal = case.remote.person, case.remote.organization, case.remote.deal
    holders = {"person": [person], "organization": [person, organization], "deal": [deal]}[field.entity]
    if field.name == "company":
        holders = [person, organization]
    moments = [moment(holder.get("update_time")) for holder in holders if holder]
    return max(moments) if moments and None not in moments else None  # type: ignore[type-var]  # none of them is None


def moment(text: Any) -> datetime | None:
    """A time as Pipedrive writes it; None of what is none."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    try:
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None
