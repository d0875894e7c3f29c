"""How the sync of a workspace stands, in figures and in words."""

from typing import Any

from accounts.models import Workspace


def status(workspace: Workspace) -> dict[str, Any]:
    """The answer of ``GET /api/v1/crm/sync``; costs the same few queries however many leads there are."""
    raise NotImplementedError
