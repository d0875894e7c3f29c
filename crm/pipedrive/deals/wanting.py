"""The wish for a deal with a lead: kept before Pipedrive is asked, so that it arrives whatever happens, and arrives once."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.models import Workspace
from crm.models import Connection, Deal
from leads.history import Author


@dataclass(frozen=True)
class Wish:
    """A deal that somebody wants: with the lead ``lead_id`` (an id or an external id), or with the one that ``contact`` tells of.

    All are checked values. A title that is blank is the lead's company or name.
    """

    lead_id: str = ""
    contact: dict[str, Any] | None = None
    title: str = ""
    value: Decimal | None = None
    currency: str = ""


def want(wish: Wish, *, workspace: Workspace, by: Author) -> Deal:
    """Keep a wish; returns the deal that it is. The lead is the one named, else the oldest with that address, else a new one.

    A deal with the same lead and title that is queued or open is the same deal. Raises NotFound, NotYourLead, NotConnected.
    """
    raise NotImplementedError


def want_with(lead_id: int, wish: Wish, *, connection: Connection, user_id: int | None) -> Deal:
    """The same with a lead that is there; within a transaction."""
    raise NotImplementedError
