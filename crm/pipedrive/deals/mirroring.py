"""The mirror: what was last read of the deals of linked persons, and which of a lead's deals leads its status."""

from typing import Any

from crm.pipedrive.accounts import Account


def deal_changed(deal_id: int, *, account: Account, known: dict[str, Any] | None = None) -> None:
    """Bring the mirror of a deal up to date, and the lead whose status it leads.

    It is read anew, unless ``known`` tells what it is like. Of persons that are no leads here nothing is kept.
    Raises Unreachable, TokenRefused, Busy.
    """
    raise NotImplementedError
