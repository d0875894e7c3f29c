"""What a run would do, without doing it."""

from collections.abc import Sequence

from accounts.models import User, Workspace
from crm.models import SyncRun


def plan(workspace: Workspace, *, by: User | None, lead_ids: Sequence[int] | None = None) -> SyncRun:
    """A completed plan where it takes less than three seconds, else one that a job goes on with. Nothing is written on either side.

    Raises NotConnected, Unreachable, TokenRefused.
    """
    raise NotImplementedError
