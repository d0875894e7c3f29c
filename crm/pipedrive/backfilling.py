"""The first pass over everything: both sides are read once, compared, and brought into step as fast as the account allows."""

from collections.abc import Callable

from crm.models import Connection, SyncRun


def backfill(
    connection: Connection, *, dry_run: bool = False, threads: int | None = None, tell: Callable[[SyncRun], None] | None = None
) -> SyncRun:
    """Bring all leads of the connection's scope into step, from where the last backfill was broken off.

    ``tell`` is called now and then. Raises BudgetSpent, Unreachable, TokenRefused; what was done so far stays done.
    """
    raise NotImplementedError
