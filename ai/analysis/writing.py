"""What the AI found, written where it has the say.

A lead's status, score, last contact, next action (its time and its words are one) and whether it needs action are written where

- the AI or the system's own rules wrote them last, or
- they came with the lead and are empty: no score, no contact, no next action, the status NEW. Of whether it needs action everything
  that the rule made counts as empty, so all but a "no" where the rule says "yes".

What people, API clients, the CRM or an import wrote stays: also when they emptied it, and also when they did so after the AI had read
the lead. Closed leads stay as they are, and the AI closes none. It sets a next action in the future only, within a year; a last contact
only on a day that stands in the lead's data; and takes back no need for action while a task is due.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
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
    """What came of a lead's row: what the AI ``found``, of the ``lead`` as it was told of it; or why it found nothing."""

    row_id: int
    call_id: int | None
    found: Analysis | None = None
    lead: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


@transaction.atomic
def settle(run_id: int, verdicts: Sequence[Verdict]) -> None:
    """Write down what came of some of a run's rows, and into their leads what may be; only down where the run has ended meanwhile."""
    # the run before the leads: whoever cancels it waits for these, and for none after them
    run = AnalysisRun.objects.select_for_update(no_key=True).get(pk=run_id)
    rows = {row.pk: row for row in _waiting(run, [verdict.row_id for verdict in verdicts])}
    told = {rows[one.row_id].lead_id: one for one in verdicts if one.row_id in rows and one.found}
    leads = _lock(run, list(told))
    changes = _changes(leads, told) if run.status == AnalysisRun.Status.RUNNING else {}
    by = Author("ai", run.user_id)
    editing.update_each(changes, workspace=run.workspace_id, by=by, act=run.act)
    for verdict in verdicts:
        if row := rows.get(verdict.row_id):
            _note(row, verdict, leads.get(row.lead_id), changes.get(row.lead_id, {}))
    _save(rows.values())
    _count(run, rows.values())


@transaction.atomic
def skip(run_id: int, row_ids: list[int]) -> None:
    """Leave out leads that are gone or closed by now."""
    run = AnalysisRun.objects.select_for_update(no_key=True).get(pk=run_id)
    skipped = _waiting(run, row_ids).update(status=Status.SKIPPED, finished_at=timezone.now())
    AnalysisRun.objects.filter(pk=run_id).update(skipped_count=F("skipped_count") + skipped)


def _waiting(run: AnalysisRun, row_ids: list[int]) -> QuerySet[LeadAnalysis]:
    found: QuerySet[LeadAnalysis] = LeadAnalysis.objects.filter(run=run, pk__in=row_ids, status=Status.WAITING)
    return found


def _lock(run: AnalysisRun, lead_ids: list[int]) -> dict[int, Lead]:
    own = Lead.objects.for_workspace(run.workspace_id).filter(pk__in=lead_ids)
    return {lead.pk: lead for lead in own.order_by("pk").select_for_update()}


def _note(row: LeadAnalysis, verdict: Verdict, lead: Lead | None, changes: Mapping[str, Any]) -> None:
    row.call_id, row.failure = verdict.call_id, verdict.failure[:1_000]
    if verdict.found is None:
        row.status = Status.FAILED
        return
    row.status = Status.SKIPPED if lead is None else Status.DONE
    row.found = verdict.found.model_dump(mode="json")
    if lead is not None:
        row.written = sorted(_differing(lead, changes))
        row.kept = sorted(_differing(lead, _thought(verdict.found)) - set(row.written))


_SAVE = """
    UPDATE ai_leadanalysis AS a SET status = t.status, found = t.found, written = t.written, kept = t.kept, failure = t.failure,
        call_id = t.call_id, finished_at = now()
    FROM jsonb_to_recordset(%s::jsonb)
        AS t (id bigint, status text, found jsonb, written jsonb, kept jsonb, failure text, call_id bigint)
    WHERE t.id = a.id
"""


def _save(rows: Collection[LeadAnalysis]) -> None:
    noted = ("id", "status", "found", "written", "kept", "failure", "call_id")
    told = orjson.dumps([{name: getattr(row, name) for name in noted} for row in rows]).decode()
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, [told])


def _count(run: AnalysisRun, rows: Collection[LeadAnalysis]) -> None:
    calls = AICall.objects.filter(pk__in=[row.call_id for row in rows if row.call_id])
    statuses = Counter(row.status for row in rows)
    AnalysisRun.objects.filter(pk=run.pk).update(
        analyzed_count=F("analyzed_count") + statuses[Status.DONE],
        skipped_count=F("skipped_count") + statuses[Status.SKIPPED],
        failed_count=F("failed_count") + statuses[Status.FAILED],
        changed_count=F("changed_count") + sum(bool(row.written) for row in rows),
        cost=F("cost") + (calls.aggregate(cost=Sum("cost"))["cost"] or 0),
    )


# What may be written --------------------------------------------------------------------------------------------------------


def _changes(leads: Mapping[int, Lead], verdicts: Mapping[int, Verdict]) -> dict[int, dict[str, Any]]:
    """Of what was found, what is sound and may be written: for each lead that changes by it, by its id."""
    open_ones = [lead for lead in leads.values() if lead.status not in CLOSED]
    origins = history.provenance(Lead.objects.filter(pk__in=[lead.pk for lead in open_ones]))
    due = _with_due_tasks(open_ones)
    wanted = {}
    for lead in open_ones:
        sound = _sound(verdicts[lead.pk], is_due=lead.pk in due)
        free = {name: sound[name] for name in _differing(lead, sound) if _may(name, lead, origins[lead.pk])}
        if free:
            # as it is where it may not be changed: else it would follow from the rest
            wanted[lead.pk] = {"needs_action": lead.needs_action, **free}
    return wanted


def _differing(lead: Lead, values: Mapping[str, Any]) -> set[str]:
    return {name for name, value in values.items() if value != getattr(lead, name)}


def _with_due_tasks(leads: list[Lead]) -> set[int]:
    due = Activity.objects.open().filter(lead__in=[lead.pk for lead in leads], due_at__lte=timezone.now())
    return set(due.values_list("lead", flat=True))


def _thought(found: Analysis) -> dict[str, Any]:
    """What the AI thinks, whether sound or not; that it found no contact says nothing."""
    thought = {name: getattr(found, name) for name in (*_EMPTY, "needs_action")}
    thought["next_action_description"] = _cut(found.next_action_description)
    return {name: value for name, value in thought.items() if (name, value) != ("last_contact", None)}


def _sound(verdict: Verdict, *, is_due: bool) -> dict[str, Any]:
    assert verdict.found is not None
    found, now = _thought(verdict.found), timezone.now()
    action, contact = found["next_action_at"], found.get("last_contact")
    unsound = {
        "status": found["status"] in CLOSED,
        "next_action_at": action is not None and not now < action <= now + _FURTHEST,
        "last_contact": contact is not None and not _is_told(contact, now, verdict.lead),
        "needs_action": is_due and not found["needs_action"],
    }
    return {name: value for name, value in found.items() if not unsound.get(name)}


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
