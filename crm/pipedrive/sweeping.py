"""Looks through what changed in Pipedrive, for what no webhook told."""

from crm.models import Connection, SyncRun


def sweep(connection: Connection) -> SyncRun:
    """Note each person, organization and deal that changed there since the last time, and the links whose persons are no more.

    The drain works them off. Raises Unreachable, TokenRefused; then the next sweep begins where this one began.
    """
    raise NotImplementedError
