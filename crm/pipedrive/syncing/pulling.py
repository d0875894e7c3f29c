"""Writing to a lead what was changed in Pipedrive."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from crm.pipedrive.mapping import LEAD_COLUMNS, merged
from crm.pipedrive.syncing import conflicts
from crm.pipedrive.syncing.cases import Case, Change, LeadGone, Row
from crm.pipedrive.syncing.comparing import Move
from crm.pipedrive.syncing.deciding import Step
from leads import editing
from leads.errors import ExternalIdTaken
from leads.history import Author
from leads.models import Lead
from zevix.errors import NotFound

CRM = Author("crm")

Wanted = list[tuple[Step, dict[str, Any]]]


def pull(case: Case, steps: Sequence[Step]) -> None:
    """Take their values, and note in the same transaction that both agree. A field that somebody changed meanwhile is left for later.

    What a lead can't hold is refused, with a sentence. Raises LeadGone, and Busy where the lead is somebody else's by now.
    """
    wanted = _wanted(case, steps)
    try:
        _write(case, wanted)
    except ExternalIdTaken as error:
        taken = next(step for step, changes in wanted if "external_id" in changes)
        case.refuse(taken.field, str(error))
        _write(case, [(step, changes) for step, changes in wanted if step is not taken])
    except NotFound as error:
        raise LeadGone from error


def _wanted(case: Case, steps: Sequence[Step]) -> Wanted:
    wanted: Wanted = []
    for step in steps:
        try:
            wanted.append((step, step.field.for_ours(case.remote, case.lead)))
        except ValueError as error:
            case.refuse(step.field, str(error))
    return wanted


def _write(case: Case, wanted: Wanted) -> None:
    if not wanted:
        return
    before = dict(case.link.snapshot)
    try:
        with transaction.atomic():
            _write_held(case, wanted)
    except Exception:
        case.link.snapshot = before
        raise


def _write_held(case: Case, wanted: Wanted) -> None:
    workspace_id, lead_id = case.account.connection.workspace_id, case.link.lead_id
    editing.lock(lead_id, workspace_id, CRM)
    now = _row(lead_id)
    holding = [(step, changes) for step, changes in wanted if step.field.ours(now) == step.sides.ours]
    act = f"pipedrive:{case.link.pk}"
    editing.update(lead_id, merged(changes for _step, changes in holding), workspace=workspace_id, by=CRM, act=act)
    after = _row(lead_id)
    for step, _changes in holding:
        case.agree(step.field.name, step.field.ours(after), step.sides.theirs)
        conflicts.close(step)
        conflicts.list_ruled(case, step)
        case.outcome.changes.append(Change(step.field.name, Move.PULL, step.sides.ours, step.sides.theirs))
    case.keep()


def _row(lead_id: int) -> Row:
    found: Row = Lead.objects.values(*LEAD_COLUMNS).get(pk=lead_id)
    return found
