"""Resolving conflicts by hand, and carrying that out at once where it can be."""

from accounts.models import User
from crm.errors import TokenRefused
from crm.models import Conflict, Connection
from crm.pipedrive import accounts
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs import waking
from crm.pipedrive.syncing import conflicts, syncing
from zevix.errors import NotConfigured, Unreachable

_SECONDS = 3.0


def resolve_now(conflict: Conflict, choice: str, *, by: User | None) -> None:
    """Take one side's value, in both places at once if Pipedrive answers within three seconds, else before long.

    Raises AlreadyResolved.
    """
    conflicts.resolve(conflict, choice, by=by)
    if conflict.resolved_at is None and conflict.connection.state == Connection.State.ACTIVE:
        _carry_out(conflict)
    conflict.refresh_from_db()


def _carry_out(conflict: Conflict) -> None:
    try:
        account = accounts.open(conflict.connection, lane=Lane.INTERACTIVE, patience=_SECONDS)
        syncing.sync_lead(conflict.lead_id, account=account, must_read=True)
    except (Unreachable, TokenRefused, NotConfigured):  # the lead is noted as changed
        waking.wake(conflict.connection_id)
