"""Fields that were changed on both sides: found, listed, resolved."""

from collections.abc import Sequence

from accounts.models import User, Workspace
from crm.models import Conflict


def resolve(conflict: Conflict, choice: str, *, by: User | None) -> None:
    """Take one side's value. Its lead is noted as changed, so that the next pass carries it out.

    Raises Resolved where that was done before. If somebody changes the other side's value before it is carried out, it is open again.
    """
    raise NotImplementedError


def resolve_all(
    workspace: Workspace, choice: str, *, by: User | None, field: str = "", ids: Sequence[int] | None = None
) -> int:
    """Take one side's value in all open conflicts of a workspace, or in those of a field, or of these ids; returns how many."""
    raise NotImplementedError
