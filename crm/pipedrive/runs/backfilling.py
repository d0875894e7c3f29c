"""The first pass over everything: both sides are read once, and brought into step as fast as the account allows."""

from collections.abc import Callable
from datetime import timedelta
from math import inf

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.errors import TokenRefused
from crm.models import Connection, SyncRun
from crm.pipedrive import accounts
from crm.pipedrive.creating.directories import Listed
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs import running
from crm.pipedrive.runs.draining import threads_for
from crm.pipedrive.runs.forecasts import Plan
from crm.pipedrive.runs.passes import Pass
from crm.pipedrive.syncing.syncing import Outcome
from zevix.errors import Conflict

_ALIVE_FOR = timedelta(seconds=30)  # since it was last heard of
_MOST_THREADS = 24


class AtWork(Conflict):
    message = _("A backfill of this workspace is running already.")


def take_up(connection: Connection, *, dry_run: bool = False) -> SyncRun:
    """The backfill that was broken off, or a new one; of a dry run always a new one. Raises AtWork, Paused."""
    kind = SyncRun.Kind.PLAN if dry_run else SyncRun.Kind.BACKFILL
    with transaction.atomic():
        running.awake(Connection.objects.select_for_update(no_key=True).get(pk=connection.pk))
        found: SyncRun | None = connection.runs.filter(kind=SyncRun.Kind.BACKFILL, status__in=running.OPEN).first()
        if found and found.beat_at and found.beat_at > timezone.now() - _ALIVE_FOR:
            raise AtWork
        run = found if found and not dry_run else running.new(connection, kind)
        running.begin(run)
    return run


def go_on(
    run: SyncRun,
    *,
    threads: int | None = None,
    reading: Callable[[int], None] = lambda count: None,
    each: Callable[[int, Outcome], None] = lambda lead_id, outcome: None,
) -> None:
    """Bring all leads of the connection's scope into step. ``reading`` hears how many objects were read, ``each`` what became of a lead.

    Raises BudgetSpent, Unreachable and TokenRefused. What was done stays done, and the next one goes on from there.
    """
    planned = Plan(run).add if run.kind == SyncRun.Kind.PLAN else None

    def tell(lead_id: int, outcome: Outcome) -> None:
        if planned:
            planned(lead_id, outcome)
        each(lead_id, outcome)

    is_over = False
    try:
        account = accounts.open(run.connection, lane=Lane.BACKGROUND)
        directory = Listed(account, reading)
        piece = Pass(run, account, seconds=inf, directory=directory, each=tell)
        is_over = piece.do(threads or threads_for(run.connection, at_most=_MOST_THREADS))
    except TokenRefused as refused:
        accounts.note_trouble(run.connection, refused)
        raise
    finally:
        _leave(run, is_over)


def _leave(run: SyncRun, is_over: bool) -> None:
    """Unless it is over, it may be taken up again at once."""
    if is_over or run.kind == SyncRun.Kind.PLAN:
        running.end(run, SyncRun.Status.COMPLETED if is_over else SyncRun.Status.FAILED)
    else:
        run.beat_at = None
        run.save(update_fields=["beat_at"])
