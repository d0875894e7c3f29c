"""Jobs of leads: fetch, delegate, nothing else."""

from typing import Any

from accounts.models import User, Workspace
from leads import alerts, auditing, bulk, duplicates, history, leaving, ledger, quotas, refunds, undoing, urgency
from leads.distribution import distributing
from leads.distribution.distributing import Run
from leads.exports import background, quoting
from leads.imports import queueing
from leads.models import BulkChange, ImportBatch, Undo, UsageAlert
from zevix import jobs


@jobs.task(queue="imports", retry=jobs.BACKOFF, lock="undo")
def go_on_undoing(undo_id: int) -> None:
    undo = Undo.objects.filter(pk=undo_id).first()
    if undo:
        undoing.finish(undo)


@jobs.task(queue="imports", retry=jobs.BACKOFF)
def change_in_bulk(bulk_id: int) -> None:
    change = BulkChange.objects.filter(pk=bulk_id).first()
    if change:
        bulk.finish(change)


@jobs.periodic(cron="* * * * *")
@jobs.task(queue="leads", queueing_lock="compare-leads", lock="compare-leads")
def compare_leads(timestamp: int) -> None:
    for workspace_id in duplicates.waiting_workspaces():
        duplicates.compare_all(workspace_id)


_CHUNK = 5_000  # leads in a transaction


@jobs.periodic(cron="7 * * * *")
@jobs.task(queue="housekeeping", queueing_lock="mark-due-leads")
def mark_due_leads(timestamp: int) -> None:
    while urgency.mark_due(_CHUNK) == _CHUNK:
        pass


@jobs.periodic(cron="37 3 * * *")
@jobs.task(queue="housekeeping", queueing_lock="empty-bins")
def empty_bins(timestamp: int) -> None:
    while history.empty_bins(_CHUNK) == _CHUNK:
        pass


@jobs.task(queue="distribution", retry=jobs.BACKOFF)
def distribute(run: dict[str, Any]) -> None:
    distributing.carry_on(Run(**run))


# just after the hour: at midnight (UTC) a new day's capacities begin
@jobs.periodic(cron="1 * * * *")
@jobs.task(queue="distribution", queueing_lock="distribute-waiting-leads")
def distribute_waiting_leads(timestamp: int) -> None:
    distributing.retry_everywhere()


@jobs.task(queue="leads", retry=jobs.BACKOFF)
def release_leads(user_id: int, workspace_id: int) -> None:
    leaving.release(user_id, workspace_id)


@jobs.task(queue="imports", retry=jobs.BACKOFF)  # with a lock of the workspace
def run_import(batch_id: int) -> None:
    batch = ImportBatch.objects.filter(pk=batch_id).first()
    if batch:  # else the workspace is gone
        queueing.work(batch)


@jobs.task(queue="mail", retry=jobs.BACKOFF)
def mail_alert(alert_id: int, user_id: int, used: int, limit: int, language: str) -> None:
    alert = UsageAlert.objects.select_related("workspace").filter(pk=alert_id).first()
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if alert and user:  # else the workspace is gone, or they left since
        alerts.mail_alert(alert, user, used=used, limit=limit, language=language)


@jobs.task(queue="leads", retry=jobs.BACKOFF)
def credit_top_up(top_up_id: int) -> None:
    ledger.credit_top_up(top_up_id)


@jobs.task(queue="leads", retry=jobs.BACKOFF)
def tell_of_plan(workspace_id: int) -> None:
    workspace = Workspace.objects.filter(pk=workspace_id).first()
    if workspace:  # else it is gone
        ledger.tell(quotas.standing(workspace), workspace_id)


@jobs.periodic(cron="23 * * * *")
@jobs.task(queue="housekeeping", queueing_lock="refund-dead-leads")
def refund_dead_leads(timestamp: int) -> None:
    refunds.refund_due()


@jobs.periodic(cron="11 4 * * *")
@jobs.task(queue="housekeeping", queueing_lock="check-ledger")
def check_ledger(timestamp: int) -> None:
    auditing.report()


@jobs.task(queue="exports", retry=jobs.BACKOFF)  # with a lock of the workspace
def go_on_exporting(export_id: int, language: str) -> None:
    background.finish(export_id, language)


@jobs.periodic(cron="17 3 * * *")
@jobs.task(queue="housekeeping", queueing_lock="forget-quotes")
def forget_old_quotes(timestamp: int) -> None:
    quoting.forget_old()
