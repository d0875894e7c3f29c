"""What happens to persons and organizations there as such: new ones, deleted ones, merged ones."""

from crm.pipedrive.accounts import Account
from crm.pipedrive.mapping import Remote


def person_changed(person_id: int, *, account: Account, known: Remote | None = None) -> None:
    """A person was made, changed or deleted there: its lead is brought into step, a new one becomes a lead or meets its own.

    The person is read anew; ``known`` saves that where it shows nothing new. Raises Busy, Unreachable, TokenRefused.
    """
    raise NotImplementedError


def person_merged(from_id: int, into_id: int, *, account: Account) -> None:
    """A person was merged into another there: the link follows; were both linked, their leads are merged.

    Raises Busy, Unreachable, TokenRefused.
    """
    raise NotImplementedError


def organization_changed(organization_id: int, *, account: Account) -> None:
    """An organization was changed or deleted there: all leads of its persons are to be brought into step, and wait for that."""
    raise NotImplementedError
