"""Bringing one lead into step with its person, organization and leading deal, whatever changed and on whichever side."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crm.pipedrive.accounts import Account
from crm.pipedrive.comparing import Move
from crm.pipedrive.creating import Directory
from crm.pipedrive.mapping import Remote


@dataclass(frozen=True)
class Change:
    """What became of a field, or would: both sides' values as they were before, in the form in which they are compared."""

    field: str
    move: Move
    ours: Any
    theirs: Any


@dataclass
class Outcome:
    """What was done with a lead, or would be; ``problem`` is a sentence that tells what to do, and is noted on the lead's Link."""

    person_id: int | None = None
    created: bool = False
    changes: list[Change] = field(default_factory=list)
    problem: str = ""

    def _fields(self, move: Move) -> list[str]:
        return [change.field for change in self.changes if change.move == move]

    @property
    def pushed(self) -> list[str]:
        return self._fields(Move.PUSH)

    @property
    def pulled(self) -> list[str]:
        return self._fields(Move.PULL)

    @property
    def conflicts(self) -> list[str]:
        return self._fields(Move.CONFLICT)


def sync_lead(
    lead_id: int,
    *,
    account: Account,
    directory: Directory | None = None,
    known: Remote | None = None,
    must_read: bool = False,
    send: bool = False,
    dry_run: bool = False,
    deadline: float | None = None,
) -> Outcome:
    """Bring a lead into step. Where nothing changed here since the last time, Pipedrive is asked nothing unless ``must_read``.

    A lead that is no more, one out of the connection's scope and one whose person was deleted there are left alone; ``send`` sends them.
    ``known`` is what was read of it already: what is in step by that is not read again. ``dry_run`` writes nothing on either side and
    tells what would be done. Raises Busy, Unreachable and TokenRefused: then it is to be tried again; what is wrong with this lead
    alone is noted on its Link.
    """
    raise NotImplementedError


def settled(lead_id: int, changed_at: datetime) -> bool:
    """A lead that was noted as changed at ``changed_at`` was dealt with; False where it has changed again, and stays noted."""
    raise NotImplementedError


def echoed(person_id: int, previous: dict[str, Any], *, account: Account, at: datetime) -> None:
    """Our own change of a person has come back as an event. ``previous`` is what it replaced, as the webhook tells it.

    Where that is not what we had read before, somebody wrote in between, and what they wrote is listed as a conflict.
    """
    raise NotImplementedError
