"""What the AI found, written where it has the say.

A lead's status, score, last contact, next action (its time and its words are one) and whether it needs action are written where

- the AI or the system's own rules wrote them last, or
- they came with the lead and are empty: no score, no contact, no next action, the status NEW. Of whether it needs action everything
  that the rule made counts as empty, so all but a "no" where the rule says "yes".

What people, API clients, the CRM or an import wrote stays: also when they emptied it, and also when they did so after the AI had read
the lead. Closed leads stay as they are, and the AI closes none. It sets a next action in the future only, within a year; a last contact
only on a day that stands in the lead's data; and takes back no need for action while a task is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from ai.actions.analysis import Analysis
from ai.analysis.evidence import days_of_contact
from ai.models import AICall, AnalysisRun, LeadAnalysis
from leads import editing, history, urgency
from leads.history import Author, Origin
from leads.models import Activity, Lead, LeadStatus

CLOSED = (LeadStatus.WON, LeadStatus.LOST)
_EMPTY: dict[str, Any] = {
    "status": LeadStatus.NEW, "score": None, "last_contact": None, "next_action_at": None, "next_action_description": "",
}  # fmt: skip
_NEXT_ACTION = ("next_action_at", "next_action_description")
_LONGEST = 500  # characters of a next action
_FURTHEST = timedelta(days=366)

Status = LeadAnalysis.Status


@dataclass(frozen=True)
class Verdict:
    """What the AI found of a lead, and the ``lead`` as it was told of it."""

    found: Analysis
    lead: Mapping[str, Any]


@transaction.atomic
def write(row_id: int, verdict: Verdict, call_id: int) -> None:
    """Write down what was found, and into the lead what may be; only down where the run has ended meanwhile."""
    row = _take(row_id)
    if row is None:
        return
    lead = _lock(row)
    if lead is None:
        _settle(row, Status.SKIPPED, call_id, found=verdict.found.model_dump(mode="json"))
        return
    changes = _changes(lead, verdict) if row.run.status == AnalysisRun.Status.RUNNING else {}
    if changes:
        # as it is where it may not be changed: else it would follow from the rest
        whole = {"needs_action": lead.needs_action, **changes}
        by = Author("ai", row.run.user_id)
        editing.update(lead.pk, whole, workspace=row.workspace_id, by=by, act=row.run.act)
    row.written = sorted(changes)
    row.kept = sorted(_otherwise(lead, verdict.found) - set(changes))
    _settle(row, Status.DONE, call_id, found=verdict.found.model_dump(mode="json"), changed=bool(changes))


@transaction.atomic
def fail(row_id: int, why: str, call_id: int | None) -> None:
    """Write down that nothing could be found."""
    row = _take(row_id)
    if row is not None:
        row.failure = why[:1_000]
        _settle(row, Status.FAILED, call_id)


@transaction.atomic
def skip(run: AnalysisRun, row_ids: list[int]) -> None:
    """Leave out leads that are gone or closed by now."""
    waiting = LeadAnalysis.objects.filter(run=run, pk__in=row_ids, status=Status.WAITING)
    AnalysisRun.objects.select_for_update(no_key=True).get(pk=run.pk)
    skipped = waiting.update(status=Status.SKIPPED, finished_at=timezone.now())
    AnalysisRun.objects.filter(pk=run.pk).update(skipped_count=F("skipped_count") + skipped)


def _take(row_id: int) -> LeadAnalysis | None:
    """The row, held along with its run; None where it has been settled, or is gone.

    The run before the lead: whoever cancels it waits for this lead, and for none after it.
    """
    rows = LeadAnalysis.objects.select_for_update(of=("self", "run"), no_key=True).select_related("run")
    found: LeadAnalysis | None = rows.filter(pk=row_id, status=Status.WAITING).first()
    return found


def _lock(row: LeadAnalysis) -> Lead | None:
    own = Lead.objects.for_workspace(row.workspace_id).select_for_update()
    found: Lead | None = own.filter(pk=row.lead_id).first()
    return found


_COUNTED = {Status.DONE: "analyzed_count", Status.SKIPPED: "skipped_count", Status.FAILED: "failed_count"}


def _settle(
    row: LeadAnalysis,
    status: LeadAnalysis.Status,
    call_id: int | None,
    *,
    found: dict[str, Any] | None = None,
    changed: bool = False,
) -> None:
    row.status, row.found, row.call_id, row.finished_at = status, found, call_id, timezone.now()
    row.save(update_fields=["status", "found", "written", "kept", "failure", "call", "finished_at"])
    counted = _COUNTED[status]
    cost = Coalesce(Subquery(AICall.objects.filter(pk__in=[call_id]).values("cost")), Value(0))
    AnalysisRun.objects.filter(pk=row.run_id).update(
        **{counted: F(counted) + 1}, changed_count=F("changed_count") + int(changed), cost=F("cost") + cost
    )


# What may be written --------------------------------------------------------------------------------------------------------


def _changes(lead: Lead, verdict: Verdict) -> dict[str, Any]:
    """Of what was found, what differs from the lead, is sound, and may be written."""
    if lead.status in CLOSED:
        return {}
    origins = history.provenance(Lead.objects.filter(pk=lead.pk))[lead.pk]
    wanted = _sound(lead, verdict)
    return {name: value for name, value in wanted.items() if value != getattr(lead, name) and _may(name, lead, origins)}


def _sound(lead: Lead, verdict: Verdict) -> dict[str, Any]:
    found, now = verdict.found, timezone.now()
    sound: dict[str, Any] = {
        "score": found.score,
        "next_action_description": _cut(found.next_action_description),
    }
    if found.status not in CLOSED:
        sound["status"] = found.status
    if found.next_action_at is None or now < found.next_action_at <= now + _FURTHEST:
        sound["next_action_at"] = found.next_action_at
    if found.last_contact and _is_told(found.last_contact, now, verdict.lead):
        sound["last_contact"] = found.last_contact
    if found.needs_action or not Activity.objects.open().filter(lead=lead.pk, due_at__lte=now).exists():
        sound["needs_action"] = found.needs_action
    return sound


def _is_told(contact: datetime, now: datetime, lead: Mapping[str, Any]) -> bool:
    return contact <= now and contact.date() in days_of_contact(lead)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _may(name: str, lead: Lead, origins: Mapping[str, Origin]) -> bool:
    if name in _NEXT_ACTION:
        return all(_is_free(part, lead, origins[part]) for part in _NEXT_ACTION)
    if name == "needs_action":
        return _is_the_rules(lead, origins[name])
    return _is_free(name, lead, origins[name])


def _is_free(name: str, lead: Lead, origin: Origin) -> bool:
    if origin.at == lead.created_at:
        return origin.source == "ai" or getattr(lead, name) == _EMPTY[name]
    return origin.source in ("ai", "system")


def _is_the_rules(lead: Lead, origin: Origin) -> bool:
    """Whether the flag is the AI's, or as the rule makes it with a new lead and with an import."""
    if origin.at == lead.created_at or origin.source == "import":
        return origin.source == "ai" or lead.needs_action or not urgency.is_needed(lead)
    return origin.source in ("ai", "system")


def _otherwise(lead: Lead, found: Analysis) -> set[str]:
    """The fields of which the AI thinks otherwise than the lead has them."""
    thought = {name: getattr(found, name) for name in (*_EMPTY, "needs_action")}
    thought["next_action_description"] = _cut(found.next_action_description)
    if found.last_contact is None:  # that it found none says nothing
        del thought["last_contact"]
    return {name for name, value in thought.items() if value != getattr(lead, name)}
