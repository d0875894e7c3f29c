"""Runs over many leads: a piece at a time, so that a job never lasts long, and resumable wherever one was broken off."""

from collections.abc import Sequence

from accounts.models import User, Workspace
from crm.models import SyncRun


def start(workspace: Workspace, *, by: User | None, lead_ids: Sequence[int] | None = None) -> SyncRun:
    """Queue a run that brings these leads (all of the connection's scope without any) into step; a running one is given instead.

    Raises NotConnected.
    """
    raise NotImplementedError
