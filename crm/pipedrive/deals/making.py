"""Making the deals that are wanted, in Pipedrive: person, organization, deal and note, each once, whatever breaks in between."""

from crm.models import Deal
from crm.pipedrive.accounts import Account


def make(deal: Deal, *, account: Account, deadline: float | None = None) -> None:
    """Have a queued deal made, and its note written; one that is there already is left alone.

    ``deadline`` is a `time.monotonic`. Raises Unreachable and TokenRefused (it stays queued), and Rejected (it is refused).
    """
    raise NotImplementedError


def make_queued(account: Account) -> int:
    """Make those of the account's deals that are due, oldest first; returns how many arrived. Raises Unreachable, TokenRefused."""
    raise NotImplementedError
