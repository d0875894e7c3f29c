"""Making things in Pipedrive once, whatever breaks in between, and finding those that are there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from crm.pipedrive.accounts import Account


class Directory(Protocol):
    """Who and what is there, by what names them."""

    def person_ids(self, email: str) -> list[int]: ...

    def organization_ids(self, name: str) -> list[int]: ...


class Searching:
    """Asks Pipedrive's search, and, since its index may lag, the list of what changed in the last minutes."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def person_ids(self, email: str) -> list[int]:
        raise NotImplementedError

    def organization_ids(self, name: str) -> list[int]:
        raise NotImplementedError


class Listed:
    """Has read all persons and organizations once; for work on many leads. ``progress`` is told how many were read so far."""

    def __init__(self, account: Account, progress: Callable[[int], None] | None = None) -> None:
        raise NotImplementedError

    def person_ids(self, email: str) -> list[int]:
        raise NotImplementedError

    def organization_ids(self, name: str) -> list[int]:
        raise NotImplementedError


@dataclass(frozen=True)
class Made:
    """The id there of what was wanted. ``body`` is what Pipedrive answered if it was made just now, else None."""

    id: int
    body: dict[str, Any] | None = None


def ensure(
    kind: str,
    key: str,
    *,
    account: Account,
    find: Callable[[datetime | None], int | None],
    create: Callable[[], dict[str, Any]],
    deadline: float | None = None,
) -> Made:
    """The one object of this kind and key there: the known one, else one that is found, else one that is made now.

    ``find`` is asked before anything is made: with None, whether there is one; with a moment, whether one was made since then, since a
    request of that moment had no answer. ``create`` asks Pipedrive once and gives its answer. ``deadline`` is of time.monotonic().
    Raises Busy while somebody else is at it, or while it can't be known whether it was made; Unreachable, Rejected.
    """
    raise NotImplementedError


def forget(kind: str, remote_id: int, *, account: Account) -> None:
    """This object is not there any more: whoever needs one of its key gets another."""
    raise NotImplementedError


def moved(kind: str, from_id: int, into_id: int, *, account: Account) -> None:
    """One object was merged into another there."""
    raise NotImplementedError


def organization(
    name: str, *, account: Account, directory: Directory | None = None, deadline: float | None = None
) -> dict[str, Any]:
    """The organization of this name, found or made. Raises as `ensure` does."""
    raise NotImplementedError
