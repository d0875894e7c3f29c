"""Taking a merge back: the leads that went are there again, as they were, with what the survivor took over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Workspace
from leads import duplicates, history, quotas, undoing
from leads.errors import AlreadyUndone, KeyTakenSince, MergeTooOld, SurvivorDeleted, SurvivorMerged
from leads.history import Author
from leads.merging import carrying
from leads.models import KeptLead, Lead, LeadVersion, Merge, MergedLead, Undo
from leads.undoing import Kept
from zevix import events
from zevix.errors import NotFound


@dataclass(frozen=True)
class Unmerged:
    """What came of it. ``kept`` are the survivor's fields that somebody has changed since the merge."""

    merge_id: int
    survivor_id: int
    restored_ids: list[int]
    kept: Sequence[Kept]


@transaction.atomic
def undo(merge_id: int, *, workspace: Workspace, by: Author) -> Unmerged:
    """Undo a merge, as far as nobody has worked on its result since.

    Raises NotFound, AlreadyUndone; SurvivorMerged, SurvivorDeleted where the survivor is not there; KeyTakenSince where somebody else
    has the external id of a lead that is to come back; MergeTooOld after 30 days.
    """
    if not workspace.is_catalogue:
        quotas.lock_month(workspace)
    duplicates.lock(workspace.pk)
    merge = Merge.objects.for_workspace(workspace).select_for_update().filter(pk=merge_id).first()
    if merge is None:
        raise NotFound
    if merge.undone_at:
        raise AlreadyUndone
    if merge.created_at < timezone.now() - timedelta(days=history.BIN_DAYS):
        raise MergeTooOld(days=history.BIN_DAYS)
    _hold_survivor(merge)
    gone = {merged.lead_id: merged.carried for merged in merge.merged.all()}
    with history.written_by(by, f"undo:{_act(merge)}"):
        reverted, kept = undoing.revert_fields(_act(merge), [merge.survivor_id])
        _leave_catalogue(merge)
        back = _bring_back(merge, list(gone))
        for lead_id in back:
            carrying.give_back(gone[lead_id], lead_id=lead_id, survivor_id=merge.survivor_id)
    _write_down(merge, kept, reverted=reverted, restored=len(back), by=by)
    _tell(merge, back)
    return Unmerged(merge.pk, merge.survivor_id, back, kept)


def _act(merge: Merge) -> str:
    return f"merge:{merge.pk}"


def _hold_survivor(merge: Merge) -> None:
    if Lead.objects.select_for_update().filter(pk=merge.survivor_id).values_list("pk"):
        return
    later = MergedLead.objects.filter(lead=merge.survivor_id, merge__undone_at=None).order_by("-merge").first()
    if later:
        raise SurvivorMerged(lead=merge.survivor_id, merge=later.merge_id)
    if history.in_bin(merge.workspace_id).filter(pgh_obj=merge.survivor_id).exists():
        raise SurvivorDeleted(lead=merge.survivor_id)
    raise MergeTooOld(days=history.BIN_DAYS)


_LEAVE_CATALOGUE = """
    UPDATE leads_lead SET catalogue_lead_id = NULL WHERE id = %(survivor)s AND catalogue_lead_id IN (
        SELECT catalogue_lead_id FROM leads_leadversion
        WHERE pgh_context ->> 'act' = %(act)s AND pgh_label = 'delete' AND catalogue_lead_id IS NOT NULL
    )
"""


def _leave_catalogue(merge: Merge) -> None:
    """Give the place of a copy back to the lead that brought it."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAVE_CATALOGUE, {"survivor": merge.survivor_id, "act": _act(merge)})


def _bring_back(merge: Merge, lead_ids: list[int]) -> list[int]:
    deleted = LeadVersion.objects.filter(pgh_label="delete", pgh_context__act=_act(merge), pgh_obj__in=lead_ids)
    versions = list(deleted.values_list("pgh_id", flat=True))
    if len(versions) < len(lead_ids):
        raise MergeTooOld(days=history.BIN_DAYS)
    back = sorted(history.bring_back(versions))
    if missing := sorted(set(lead_ids) - set(back)):
        raise KeyTakenSince(lead=missing[0])
    return back


def _write_down(merge: Merge, kept: Sequence[Kept], *, reverted: int, restored: int, by: Author) -> None:
    merge.undone_at = timezone.now()
    merge.save(update_fields=["undone_at"])
    undo = Undo.objects.create(
        workspace_id=merge.workspace_id, user_id=by.user_id, act=_act(merge), status=Undo.Status.COMPLETED, progress=100,
        reverted_count=reverted, restored_count=restored, kept_count=len(kept), finished_at=merge.undone_at,
    )  # fmt: skip
    KeptLead.objects.bulk_create(
        KeptLead(undo=undo, lead_id=one.lead_id, reason=one.reason, fields=list(one.fields)) for one in kept
    )


def _tell(merge: Merge, back: list[int]) -> None:
    restored = {"id": back[0]} if len(back) == 1 else {"count": len(back)}
    events.record_all(
        merge.workspace_id,
        [("lead.updated", {"id": merge.survivor_id, "act": f"undo:{_act(merge)}"}), ("lead.created", restored)],
    )
