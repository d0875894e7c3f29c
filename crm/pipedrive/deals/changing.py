"""Changing a deal from here: in Pipedrive first, then in the mirror, then the lead's status."""

from typing import Any

from accounts.models import Workspace
from crm.models import Deal
from leads.history import Author


def change(deal_id: int, changes: dict[str, Any], *, workspace: Workspace, by: Author) -> Deal:
    """Change checked fields of a deal; ``deal_id`` is Pipedrive's. Returns its mirror.

    Raises NotFound, NotYourLead, NotConnected, ValidationFailed (a stage that there is not), Unreachable and Rejected; then nothing
    is changed here.
    """
    raise NotImplementedError
