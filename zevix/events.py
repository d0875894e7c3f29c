"""The event log: what happened, in the transaction that did it. Live updates, webhooks and syncs read it."""

from collections.abc import Sequence
from typing import Any

from zevix.models import Event


def record(workspace_id: int, type: str, data: dict[str, Any]) -> None:
    """Write one event; call it inside the act's transaction. A bulk act records one event with counts, not one a row.

    ``type`` is one of the contract's (``lead.created``, ``export.created``, ``usage.changed``, ``import.progress``, …);
    ``data`` is JSON. The number (``seq``) is given when the transaction commits.
    """
    record_all(workspace_id, [(type, data)])


def record_all(workspace_id: int, happened: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """The same for several at once, in the order in which they happened."""
    Event.objects.bulk_create(Event(workspace_id=workspace_id, type=type, data=data) for type, data in happened)
