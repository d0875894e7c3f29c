"""Beginning an analysis of many leads, and ending it early."""

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import get_language

from accounts.models import User, Workspace
from ai import openai_gateway
from ai.analysis import telling
from ai.analysis.writing import CLOSED
from ai.errors import AnalysisIsOver, BudgetExceeded
from ai.models import AnalysisRun
from billing import entitlements
from leads.filters import Asker
from leads.models import ImportBatch, Lead, LeadQuerySet, LeadVersion
from leads.selections import Selection

Status = AnalysisRun.Status


def after_import(batch: ImportBatch) -> bool:
    """Have a job look at the leads that an import brought or changed, within its transaction; False where there is no AI to do it."""
    if not openai_gateway.is_configured() or not entitlements.ai_budget_of(batch.workspace):
        return False
    _queue(batch.workspace, batch.user, batch)
    return True


@transaction.atomic
def start(selection: Selection, *, workspace: Workspace, by: User) -> AnalysisRun:
    """Have a job look at those of the chosen leads that are open by now.

    Raises ValidationFailed for filters that can't be, NotConfigured, and BudgetExceeded where the plan has no AI.
    """
    openai_gateway.require_configured()
    if not entitlements.ai_budget_of(workspace):
        raise BudgetExceeded(budget="0.00")
    run = _queue(workspace, by)
    run.matched_count = _add(run, selection.leads(Asker(workspace, by.pk)))
    run.save(update_fields=["matched_count"])
    return run


def begin(run: AnalysisRun) -> None:
    """Make a queued run a running one, with a row for each lead that its import brought or changed."""
    with transaction.atomic():
        current = AnalysisRun.objects.select_for_update(of=("self",)).select_related("batch").get(pk=run.pk)
        if current.status == Status.QUEUED:
            if current.batch:
                current.matched_count = sum(_add(current, leads) for leads in _imported(current.batch))
            current.status = Status.RUNNING
            current.save(update_fields=["status", "matched_count"])
            telling.tell(current)
    run.refresh_from_db()


@transaction.atomic
def cancel(run: AnalysisRun) -> None:
    """End a run: from now on no lead is asked about, and none is written. Raises AnalysisIsOver."""
    current = AnalysisRun.objects.select_for_update().get(pk=run.pk)
    if not current.is_open:
        raise AnalysisIsOver
    end(current, Status.CANCELLED)
    run.__dict__.update(current.__dict__)


def stop_after(act: str, workspace_id: int) -> str | None:
    """End the analysis of an import that is being taken back; returns what the history calls it, None where there was none."""
    kind, _colon, number = act.partition(":")
    run = (
        AnalysisRun.objects.for_workspace(workspace_id).filter(batch=int(number)).first() if kind == "import" else None
    )
    if run is None:
        return None
    end(run, Status.CANCELLED)
    return str(run.act)


def end(run: AnalysisRun, status: str, failure: str = "") -> None:
    """Write down how it ended, and tell; nothing where somebody else has ended it."""
    with transaction.atomic():
        still = AnalysisRun.objects.filter(pk=run.pk, status__in=(Status.QUEUED, Status.RUNNING))
        if still.update(status=status, failure=failure[:1_000], finished_at=timezone.now()):
            run.refresh_from_db()
            telling.tell(run)


def _queue(workspace: Workspace, user: User | None, batch: ImportBatch | None = None) -> AnalysisRun:
    from ai.jobs import analyze_leads

    run: AnalysisRun = AnalysisRun.objects.create(
        workspace=workspace, user=user, batch=batch, language=(get_language() or "en")[:2]
    )
    analyze_leads.defer(run_id=run.pk)
    return run


def _imported(batch: ImportBatch) -> list[LeadQuerySet]:
    own = Lead.objects.for_workspace(batch.workspace_id)
    changed: QuerySet[LeadVersion] = LeadVersion.objects.filter(pgh_context__act=f"import:{batch.pk}")
    return [own.filter(import_batch=batch), own.filter(pk__in=changed.values("pgh_obj"))]


_ADD = """
    INSERT INTO ai_leadanalysis (workspace_id, run_id, lead_id, status, written, kept, failure)
    SELECT %s, %s, id, 'waiting', '[]', '[]', '' FROM ({leads}) AS chosen ORDER BY id
    ON CONFLICT (run_id, lead_id) DO NOTHING
"""


def _add(run: AnalysisRun, leads: LeadQuerySet) -> int:
    """A row for each of the leads that is open; returns how many are new."""
    try:
        sql, parameters = leads.exclude(status__in=CLOSED).order_by().values("id").query.sql_with_params()
    except EmptyResultSet:  # such as a search for no word at all
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_ADD.format(leads=sql), [run.workspace_id, run.pk, *parameters])
        return cursor.rowcount
