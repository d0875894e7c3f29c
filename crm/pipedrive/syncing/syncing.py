"""Bringing one lead into step with its person, organization and leading deal, whatever changed and on whichever side."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from crm.models import ChangedLead, Conflict, Connection, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import leases
from crm.pipedrive.creating.creating import Directory, Searching
from crm.pipedrive.creating.leases import Lease
from crm.pipedrive.mapping import UNKNOWN, MappedField, Remote
from crm.pipedrive.syncing import conflicts, deciding, meeting, parting, pulling, pushing
from crm.pipedrive.syncing.cases import (
    Case,
    Change,
    LeadGone,
    Outcome,
    PersonGone,
    Row,
    leading_deal,
    organization_of,
    read_lead,
)
from crm.pipedrive.syncing.comparing import Move

__all__ = ["Change", "Outcome", "echoed", "settled", "sync_lead"]

_ROUNDS = 5


def sync_lead(
    lead_id: int,
    *,
    account: Account,
    directory: Directory | None = None,
    known: Remote | None = None,
    must_read: bool = False,
    send: bool = False,
    dry_run: bool = False,
    deadline: float | None = None,
) -> Outcome:
    """Bring a lead into step. Where nothing changed here since the last time, Pipedrive is asked nothing unless ``must_read``.

    A lead that is no more, one out of the connection's scope and one whose person was deleted there are left alone; ``send`` sends them.
    ``known`` is what was read of it already: what is in step by that is not read again. ``dry_run`` writes nothing on either side and
    tells what would be done. ``deadline`` is of `time.monotonic`. Raises Busy, Unreachable and TokenRefused: then it is to be tried
    again; what is wrong with this lead alone is noted on its Link.
    """
    lead = read_lead(lead_id, account)
    link = Link.objects.filter(connection=account.connection, lead=lead_id).first()
    if lead is None or not _is_wanted(link, account.connection, send):
        return _as_it_is(link)
    if dry_run:
        return _foreseen(lead, link, account=account, directory=directory, known=known)
    if link is not None and not must_read and _is_unchanged(link, lead, account):
        return _as_it_is(link)
    link = link or _new_link(lead_id, account)
    try:
        return _leased(link, account=account, directory=directory, known=known, send=send, deadline=deadline)
    except LeadGone:
        return Outcome()
    except PersonGone:
        return _without_person(link, account=account, directory=directory, deadline=deadline)


def settled(lead_id: int, changed_at: datetime) -> bool:
    """A lead that was noted as changed at ``changed_at`` was dealt with; False where it has changed again, and stays noted."""
    return bool(ChangedLead.objects.filter(lead_id=lead_id, changed_at=changed_at).delete()[0])


def _is_wanted(link: Link | None, connection: Connection, send: bool) -> bool:
    if send:
        return True
    if link is None:
        return connection.scope == Connection.Scope.ALL
    return link.state != Link.State.DELETED


def _as_it_is(link: Link | None) -> Outcome:
    return Outcome(person_id=link.person_id, problem=link.problem) if link else Outcome()


def _is_unchanged(link: Link, lead: Row, account: Account) -> bool:
    if link.person_id is None or link.woken_at or link.state == Link.State.DELETED:
        return False
    chosen = Conflict.objects.filter(connection=account.connection, lead=link.lead_id, resolved_at=None)
    has_deal = leading_deal(link.lead_id, account) is not None
    return not any(_has_changed(field, link, lead, has_deal) for field in account.mapping.fields) and not (
        chosen.exclude(choice="").exists()
    )


def _has_changed(field: MappedField, link: Link, lead: Row, has_deal: bool) -> bool:
    ours, pair = field.ours(lead), link.snapshot.get(field.name)
    if pair:
        return bool(ours != pair[0])
    if ours == UNKNOWN or field.is_empty(ours) or (field.entity == "deal" and not has_deal):
        return False
    return field.entity != "organization" or link.organization_id is not None


def _new_link(lead_id: int, account: Account) -> Link:
    place = {"connection": account.connection, "lead_id": lead_id}
    link, _made = Link.objects.get_or_create(**place, defaults={"workspace_id": account.connection.workspace_id})
    return link


# Under the lease ----------------------------------------------------------------------------------------------------------


def _leased(
    link: Link,
    *,
    account: Account,
    directory: Directory | None,
    known: Remote | None,
    send: bool,
    deadline: float | None,
) -> Outcome:
    with leases.leased(link) as lease:
        case = _case(link, lease, account=account, directory=directory, deadline=deadline)
        woken_at = link.woken_at
        if link.state == Link.State.DELETED:
            if not send:
                return _as_it_is(link)
            _begin_anew(case)
        if known is not None and known.person is not None and known.person["id"] == link.person_id:
            case.remote = known
        if link.person_id is not None or meeting.meet(case):
            _bring_into_step(case)
        _finish(case, woken_at)
        return case.outcome


def _case(
    link: Link, lease: Lease | None, *, account: Account, directory: Directory | None, deadline: float | None
) -> Case:
    """Read again under the lease. Everything that is asked of Pipedrive ends before the lease does. Raises LeadGone."""
    lead = read_lead(link.lead_id, account)
    if lead is None:
        raise LeadGone
    ends = [end for end in (deadline, lease.ends if lease else None) if end is not None]
    until = min(ends) if ends else None
    mine = account if until is None else replace(account, pipedrive=account.pipedrive.until(until))
    outcome = Outcome(person_id=link.person_id)
    return Case(mine, link, lead, lease, directory or Searching(mine), deadline=until, outcome=outcome)


def _begin_anew(case: Case) -> None:
    """The lead is sent again: its person was deleted, so it gets another."""
    case.link.snapshot, case.link.pushed = {}, {}
    case.keep(state=Link.State.ACTIVE, person_id=None, organization_id=None, sent_as="", seen_at=None)
    case.outcome.person_id = None


def _bring_into_step(case: Case) -> None:
    if case.remote.person is None:
        case.read()
    for _round in range(_ROUNDS):
        steps = deciding.steps(case)
        moving = [step for step in steps if step.move not in (Move.NOTHING, Move.AGREED)]
        if moving and not case.is_fresh:  # what was known may be older than what we wrote last
            case.read()
            continue
        if not _carry_out(case, steps):
            return
        case.lead = read_lead(case.link.lead_id, case.account) or _gone()


def _gone() -> Any:
    raise LeadGone


def _carry_out(case: Case, steps: list[deciding.Step]) -> bool:
    """Do what was decided; returns whether something may follow from it."""
    by_move = {move: [step for step in steps if step.move == move] for move in Move}
    for step in by_move[Move.AGREED]:
        case.agree(step.field.name, step.sides.ours, step.sides.theirs)
    for step in by_move[Move.AGREED] + by_move[Move.NOTHING]:
        conflicts.close(step)
    clashing = by_move[Move.CONFLICT]
    conflicts.list_open(case, clashing)
    known = set(case.outcome.conflicts)
    case.outcome.changes += [_change(step) for step in clashing if step.field.name not in known]
    organization_id = case.link.organization_id
    pulling.pull(case, by_move[Move.PULL])
    pushing.push(case, by_move[Move.PUSH])
    is_restored = any(step.value is not None for step in by_move[Move.PUSH])
    return is_restored or case.link.organization_id != organization_id


def _change(step: deciding.Step) -> Change:
    return Change(step.field.name, step.move, step.sides.ours, step.sides.theirs)


def _finish(case: Case, woken_at: datetime | None) -> None:
    link, outcome = case.link, case.outcome
    outcome.problem = outcome.problem or "\n".join(case.refused.values())
    values: dict[str, Any] = {"problem": outcome.problem, "attempts": 0, "retry_at": None}
    if not outcome.problem:
        values |= {"problem_at": None, "synced_at": timezone.now()}
    elif link.problem != outcome.problem:
        values["problem_at"] = timezone.now()
    if case.is_settled and case.is_fresh and not outcome.problem and not outcome.conflicts:
        values["seen_at"] = case.read_at
    case.keep(**values)
    if woken_at is not None and case.lease is not None:
        case.lease.rows.filter(woken_at=woken_at).update(woken_at=None)


# Only looked at -----------------------------------------------------------------------------------------------------------


def _foreseen(
    lead: Row, link: Link | None, *, account: Account, directory: Directory | None, known: Remote | None
) -> Outcome:
    """What would be done; nothing is written."""
    mine = link or Link(workspace_id=account.connection.workspace_id, connection=account.connection, lead_id=lead["id"])
    if mine.state == Link.State.DELETED:
        mine.person_id, mine.snapshot = None, {}
    case = Case(account, mine, lead, None, directory or Searching(account))
    try:
        _foresee(case, known)
    except PersonGone:
        case.outcome.problem = parting.deleted_sentence()
    return case.outcome


def _foresee(case: Case, known: Remote | None) -> None:
    person_id = case.link.person_id or meeting.person_there(case)
    case.outcome.person_id = person_id
    if person_id is None:
        case.outcome.created = True
        case.outcome.changes = meeting.would_be_told(case)
        return
    case.outcome.problem = meeting.shared(case, person_id)
    if case.outcome.problem:
        return
    case.link.person_id = person_id
    if known is not None and known.person is not None and known.person["id"] == person_id:
        case.remote = known
    else:
        case.read()
    case.outcome.changes = [
        _change(step) for step in deciding.steps(case) if step.move not in (Move.NOTHING, Move.AGREED)
    ]


# A person that is gone, and what slipped in ---------------------------------------------------------------------------------


def _without_person(link: Link, *, account: Account, directory: Directory | None, deadline: float | None) -> Outcome:
    """The person was merged into another, which the lead is then; or it was deleted, and the lead is left alone."""
    if not parting.follow(link, account=account):
        link.refresh_from_db()
        return Outcome(problem=link.problem)
    link.refresh_from_db()
    try:
        return _leased(link, account=account, directory=directory, known=None, send=False, deadline=deadline)
    except (PersonGone, LeadGone):  # once more in this moment: the next pass sees to it
        return Outcome()


def echoed(person_id: int, previous: dict[str, Any], *, account: Account, at: datetime) -> None:
    """Our own change of a person has come back as an event. ``previous`` is what it replaced, as the webhook tells it.

    Where that is not what we had read before, somebody wrote in between, and what they wrote is listed as a conflict.
    """
    link = Link.objects.filter(connection=account.connection, person_id=person_id).first()
    lead = read_lead(link.lead_id, account) if link else None
    if link is None or lead is None:
        return
    before = Remote(person=previous, organization=_organization_before(previous, link, account))
    for field in account.mapping.fields:
        pushes = link.pushed.get(field.name, []) if field.entity == "person" else []
        if not pushes or not _is_told(field, previous):
            continue
        found = field.theirs(before)
        if found != UNKNOWN and not any(found in push for push in pushes):
            conflicts.list_overwritten(link, field.name, ours=field.ours(lead), theirs=found, at=at)


def _is_told(field: MappedField, previous: dict[str, Any]) -> bool:
    custom = previous.get("custom_fields")
    return field.there.key in previous or (isinstance(custom, dict) and field.there.key in custom)


def _organization_before(previous: dict[str, Any], link: Link, account: Account) -> Row | None:
    """Where the person was moved by us, the organization that it came from."""
    before = organization_of(previous)
    return account.pipedrive.organization(before) if before and pushing.COMPANY in link.pushed else None
