"""What a run would do: found out without writing anything, on either side."""

from collections.abc import Sequence

from accounts.models import User, Workspace
from crm.models import SyncRun
from crm.pipedrive import accounts
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs import running
from crm.pipedrive.runs.forecasts import Plan
from crm.pipedrive.runs.passes import Pass

_INLINE, _PATIENCE = 3.0, 5.0  # seconds: for all, and for what is asked by then


def plan(workspace: Workspace, *, by: User | None, lead_ids: Sequence[int] | None = None) -> SyncRun:
    """A completed plan where it takes less than three seconds, else one that a job goes on with.

    Raises NotConnected, Unreachable, TokenRefused.
    """
    connection = accounts.connection_of(workspace)
    account = accounts.open(connection, lane=Lane.INTERACTIVE, patience=_PATIENCE)
    run = running.new(connection, SyncRun.Kind.PLAN, by=by, lead_ids=lead_ids)
    if running.has_many_unlinked(run):
        return running.queue(run)
    running.begin(run)
    try:
        is_over = Pass(run, account, seconds=_INLINE, each=Plan(run).add).do(threads=1)
    except Exception as error:
        running.end(run, SyncRun.Status.FAILED, str(error))
        raise
    if is_over:
        running.end(run, SyncRun.Status.COMPLETED)
        return run
    return running.queue(run)
