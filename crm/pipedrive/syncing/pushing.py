"""Writing to Pipedrive what was changed here."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from crm.errors import TokenRefused
from crm.models import Link
from crm.pipedrive.creating import creating
from crm.pipedrive.mapping import Canonical, MappedField, merged
from crm.pipedrive.syncing import calling, conflicts
from crm.pipedrive.syncing.cases import Case, Change, PersonGone, Row
from crm.pipedrive.syncing.comparing import Move
from crm.pipedrive.syncing.deciding import Step
from zevix.errors import Rejected

Parts = list[tuple[Step, dict[str, Any]]]

COMPANY, EMAIL = "company", "email"


def push(case: Case, steps: Sequence[Step]) -> None:
    """Write our values there, an object after the other, and note what both agree on then.

    What Pipedrive refuses is noted with its sentence, and the other fields go on. Raises PersonGone, Busy, Unreachable, TokenRefused.
    """
    for entity in ("person", "organization", "deal"):
        mine = [step for step in steps if step.field.entity == entity]
        parts = [(step, part) for step in mine if (part := _part(case, step)) is not None]
        if entity == "organization" and any(_moves(step) for step in steps):
            return  # what they say of the former one is to be said of the new one, if at all
        if parts:
            _send(case, entity, parts)


def _moves(step: Step) -> bool:
    return step.field.name == COMPANY and step.field.entity == "person"


def _part(case: Case, step: Step) -> dict[str, Any] | None:
    """What to tell of a field; None where it can't be told."""
    try:
        lead, canonical = case.lead, step.sides.ours
        if step.value is not None:
            lead, canonical = _with(step.field, lead, step.value), step.value
        if _moves(step):
            lead = {**lead, "organization_id": _organization(case, str(step.field.here.read(lead) or ""))}
        return step.field.for_theirs(lead, case.remote, canonical)
    except ValueError as error:
        case.refuse(step.field, str(error))
    except TokenRefused:
        raise
    except Rejected as error:
        case.refuse(step.field, str(error))
    return None


def _with(field: MappedField, lead: Row, value: Canonical) -> Row:
    """The lead as if it had another value."""
    return {**lead, "extra": dict(lead.get("extra") or {})} | merged([lead, field.here.changes(value)])


def _organization(case: Case, name: str) -> int | None:
    if not name.strip():
        return None
    found = creating.organization(name, account=case.account, directory=case.directory, deadline=case.deadline)
    return found.id


def _send(case: Case, entity: str, parts: Parts) -> None:
    try:
        answer = _update(case, entity, merged(part for _step, part in parts))
    except TokenRefused:
        raise
    except Rejected as error:
        if len(parts) == 1:
            case.refuse(parts[0][0].field, str(error))
            return
        for one in parts:  # so that the others go on
            _send(case, entity, [one])
        return
    _take(case, entity, answer)
    for step, _part in parts:
        _agree(case, step)
    case.keep()
    if entity == "organization" and answer is not None:
        _call_siblings(case)


def _update(case: Case, entity: str, body: dict[str, Any]) -> Row | None:
    current = case.remote.object(entity)
    assert current is not None  # a field of what is not there does not apply
    pipedrive = case.account.pipedrive
    update = {
        "person": pipedrive.update_person,
        "organization": pipedrive.update_organization,
        "deal": lambda deal_id, body: _update_deal(case, deal_id, body),
    }[entity]
    return update(current["id"], body) if body else current


def _update_deal(case: Case, deal_id: int, body: dict[str, Any]) -> Row | None:
    """Its mirror here is brought up to date along with it."""
    from crm.pipedrive.deals import mirroring  # which needs what this is a part of

    pipedrive = case.account.pipedrive
    answers: list[Row | None] = []

    def update() -> Row | None:
        answers.append(pipedrive.update_deal(deal_id, body))
        return answers[0]

    mirroring.keep(deal_id, account=case.account, first=update, read=partial(pipedrive.deal, deal_id))
    return answers[0]


def _take(case: Case, entity: str, answer: Row | None) -> None:
    if entity == "person":
        if answer is None:
            raise PersonGone
        case.take_person(answer)
        return
    if answer is None and entity == "organization" and case.remote.organization:
        creating.forget("organization", case.remote.organization["id"], account=case.account)
    case.replace(**{entity: answer})


def _agree(case: Case, step: Step) -> None:
    name, sides = step.field.name, step.sides
    conflicts.close(step)
    if not step.field.applies(case.remote):  # it was deleted in this moment
        return
    left = step.field.theirs(case.remote)
    case.note_push(name, sides.theirs, left)
    if step.value is not None:  # theirs was written back; from there it comes here
        return
    case.agree(name, sides.ours, left)
    conflicts.list_ruled(case, step)
    case.outcome.changes.append(Change(name, Move.PUSH, sides.ours, sides.theirs))
    if name == EMAIL:
        _call_waiting(case, str(sides.theirs))


def _call_siblings(case: Case) -> None:
    """The organization is other leads' as well."""
    links = Link.objects.filter(connection=case.account.connection, organization_id=case.link.organization_id)
    calling.call_for(links.exclude(pk=case.link.pk).exclude(organization_id=None))


def _call_waiting(case: Case, address: str) -> None:
    """An address that is free by now may be what another lead waits for."""
    if address:
        waiting = Link.objects.filter(connection=case.account.connection, person_id=None, sent_as=address.lower())
        calling.call_for(waiting)
