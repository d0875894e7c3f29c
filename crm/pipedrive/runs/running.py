"""Runs over many leads: a slice at a time, so that a job never lasts long, and taken up again wherever one was broken off."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from crm.errors import BudgetSpent, Paused, TokenRefused
from crm.models import Connection, Link, SyncRun
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating.directories import Directory, Listed
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs.draining import threads_for
from crm.pipedrive.runs.forecasts import Plan
from crm.pipedrive.runs.passes import Pass, leads_of
from zevix.errors import Refusal, Unreachable

Status = SyncRun.Status
OPEN = (Status.QUEUED, Status.RUNNING)
_SLICE, _LONG_SLICE = 50.0, 600.0  # seconds; the longer one where everything there had to be listed before
_MANY = 50  # leads without a person; for more of them it is cheaper to list everything than to search for each
_LATER = timedelta(seconds=30)
_GIVES_UP_AFTER = timedelta(days=3)


def start(workspace: Workspace, *, by: User | None, lead_ids: Sequence[int] | None = None) -> SyncRun:
    """Queue a run that brings these leads (without any: all of the connection's scope) into step; an open one is given instead.

    Raises NotConnected, Paused.
    """
    connection = awake(accounts.connection_of(workspace))
    with transaction.atomic():
        Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        found: SyncRun | None = connection.runs.filter(kind=SyncRun.Kind.SYNC, status__in=OPEN).first()
        return found or queue(new(connection, SyncRun.Kind.SYNC, by=by, lead_ids=lead_ids))


def awake(connection: Connection) -> Connection:
    """Raises Paused."""
    if connection.state == Connection.State.PAUSED:
        raise Paused
    return connection


def new(connection: Connection, kind: str, *, by: User | None = None, lead_ids: Sequence[int] | None = None) -> SyncRun:
    ids = None if lead_ids is None else list(lead_ids)
    run: SyncRun = SyncRun.objects.create(
        workspace=connection.workspace, connection=connection, kind=kind, user=by, lead_ids=ids
    )
    return run


def queue(run: SyncRun, *, at: timedelta | None = None) -> SyncRun:
    """Have a job go on with it; those of one connection and kind go one at a time."""
    from crm.jobs import go_on as job

    seconds = int(at.total_seconds()) + 1 if at else 0
    job.configure(lock=f"pipedrive-{run.kind}:{run.connection_id}", schedule_in={"seconds": seconds}).defer(
        run_id=run.pk
    )
    return run


def go_on(run: SyncRun, *, threads: int | None = None, leave_off: Callable[[], bool] = lambda: False) -> None:
    """Do a slice of a queued run, and have the next one queued. Killed in its midst, it is done again from where it was saved last."""
    if not run.is_open:
        return
    try:
        account = accounts.open(awake(run.connection), lane=Lane.BACKGROUND)
        begin(run)
        is_over = _do_slice(run, account, threads, leave_off)
    except BudgetSpent as spent:
        _wait(run, str(spent), spent.details["until"] - timezone.now())
    except TokenRefused as refused:
        accounts.note_trouble(run.connection, refused)
        end(run, Status.FAILED, str(refused))
    except (Unreachable, Paused) as error:
        _wait(run, str(error), _LATER)
    except Refusal as refusal:
        end(run, Status.FAILED, str(refusal))
    else:
        if is_over:
            end(run, Status.COMPLETED)
        else:
            queue(run)


def begin(run: SyncRun) -> None:
    run.status, run.beat_at, run.failure = Status.RUNNING, timezone.now(), ""
    run.save(update_fields=["status", "beat_at", "failure"])


def end(run: SyncRun, status: str, failure: str = "") -> None:
    run.status, run.failure, run.finished_at = status, failure, timezone.now()
    run.save(update_fields=["status", "failure", "finished_at"])


def has_many_unlinked(run: SyncRun) -> bool:
    linked = Link.objects.filter(connection=run.connection_id, person_id__isnull=False, lead_id=OuterRef("pk"))
    leads = leads_of(run).filter(pk__gt=run.cursor)
    return leads.filter(~Exists(linked)).order_by()[: _MANY + 1].count() > _MANY


def _do_slice(run: SyncRun, account: Account, threads: int | None, leave_off: Callable[[], bool]) -> bool:
    directory: Directory | None = Listed(account) if has_many_unlinked(run) else None
    piece = Pass(
        run,
        account,
        seconds=_LONG_SLICE if directory else _SLICE,
        directory=directory,
        leave_off=leave_off,
        each=Plan(run).add if run.kind == SyncRun.Kind.PLAN else lambda lead_id, outcome: None,
    )
    return piece.do(threads or threads_for(run.connection, at_most=8))


def _wait(run: SyncRun, why: str, at: timedelta) -> None:
    if timezone.now() - run.created_at > _GIVES_UP_AFTER:
        end(run, Status.FAILED, _("It was given up after three days: {reason}").format(reason=why))
        return
    run.failure = why
    run.save(update_fields=["failure"])
    queue(run, at=max(at, timedelta()))
