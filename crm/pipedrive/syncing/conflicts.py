"""Fields that were changed on both sides: noted, listed, resolved by people or by a rule."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User, Workspace
from crm.errors import AlreadyResolved
from crm.models import Conflict, Link
from crm.pipedrive.mapping import Canonical
from crm.pipedrive.syncing import calling
from crm.pipedrive.syncing.cases import Case
from crm.pipedrive.syncing.comparing import Move
from crm.pipedrive.syncing.deciding import Step

Choice = Conflict.Choice

# Resolving by hand --------------------------------------------------------------------------------------------------------


@transaction.atomic
def resolve(conflict: Conflict, choice: str, *, by: User | None) -> None:
    """Take one side's value. Its lead is noted as changed, so that the next pass carries it out.

    If somebody changes the value that would be lost before that, the conflict is open again. Once more the same choice is no other.
    Raises AlreadyResolved.
    """
    chosen = _choose(Conflict.objects.filter(pk=conflict.pk, resolved_at=None), choice, by=by)
    conflict.refresh_from_db()
    if not chosen and conflict.choice != choice:
        raise AlreadyResolved


@transaction.atomic
def resolve_all(
    workspace: Workspace, choice: str, *, by: User | None, field: str = "", ids: Sequence[int] | None = None
) -> int:
    """Take one side's value in all open conflicts of a workspace, or in those of a field, or of these ids; returns how many."""
    chosen = Conflict.objects.for_workspace(workspace).filter(resolved_at=None)
    if field:
        chosen = chosen.filter(field=field)
    if ids is not None:
        chosen = chosen.filter(pk__in=ids)
    return _choose(chosen, choice, by=by)


def _choose(conflicts: Any, choice: str, *, by: User | None) -> int:
    leads = dict(conflicts.values_list("pk", "lead_id"))
    calling.note(sorted(set(leads.values())))  # before the conflicts are held, as whoever writes leads does
    held = conflicts.filter(pk__in=leads).order_by("pk").select_for_update().values_list("pk", flat=True)
    return int(Conflict.objects.filter(pk__in=list(held)).update(choice=choice, resolved_by=by))


# Noting what a comparison found -------------------------------------------------------------------------------------------


def list_open(case: Case, steps: Iterable[Step]) -> None:
    """List conflicts for people, or bring those that are listed up to date."""
    for step in steps:
        values = {"ours": step.sides.ours, "theirs": step.sides.theirs, "choice": "", "resolved_by": None}
        values |= {"ours_at": step.sides.ours_at, "theirs_at": step.sides.theirs_before} if not step.conflict else {}
        if step.conflict is None:
            Conflict.objects.get_or_create(
                **_place(case.link, step.field.name), resolved_at=None, defaults=_owner(case.link) | values
            )
        elif step.conflict.is_overwritten:
            Conflict.objects.filter(pk=step.conflict.pk).exclude(choice="").update(choice="", resolved_by=None)
        else:
            _renew(step.conflict, values)


def _renew(conflict: Conflict, values: dict[str, Any]) -> None:
    if any(getattr(conflict, name) != value for name, value in values.items() if name != "resolved_by"):
        Conflict.objects.filter(pk=conflict.pk, resolved_at=None, choice=conflict.choice).update(**values)


def close(step: Step) -> None:
    """What was open is settled: by somebody's choice, by a rule, or since both agree."""
    if step.conflict is None:
        return
    by_rule = not step.conflict.choice and step.move in _TAKEN
    choice = step.conflict.choice or (_TAKEN[step.move] if by_rule else Choice.AGREED)
    Conflict.objects.filter(pk=step.conflict.pk, resolved_at=None).update(
        choice=choice, by_rule=by_rule, resolved_at=timezone.now()
    )


_TAKEN = {Move.PUSH: Choice.ZEVIX, Move.PULL: Choice.PIPEDRIVE}


def list_ruled(case: Case, step: Step) -> None:
    """List what a rule decided, with the value that is lost by it."""
    if step.conflict is not None or not step.decision.overrules:
        return
    sides = step.sides
    Conflict.objects.create(
        **_place(case.link, step.field.name),
        **_owner(case.link),
        ours=sides.ours,
        theirs=sides.theirs,
        ours_at=sides.ours_at,
        theirs_at=sides.theirs_before,
        choice=_TAKEN[step.move],
        by_rule=True,
        resolved_at=timezone.now(),
    )


def list_overwritten(link: Link, name: str, *, ours: Canonical, theirs: Canonical, at: datetime) -> None:
    """List a value of theirs that was written while ours was on its way, and is gone."""
    values = {"ours": ours, "theirs": theirs, "theirs_at": at, "is_overwritten": True}
    Conflict.objects.get_or_create(**_place(link, name), resolved_at=None, defaults=_owner(link) | values)


def _place(link: Link, name: str) -> dict[str, Any]:
    return {"connection_id": link.connection_id, "lead_id": link.lead_id, "field": name}


def _owner(link: Link) -> dict[str, Any]:
    return {"workspace_id": link.workspace_id}
