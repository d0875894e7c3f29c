"""What is to become of a field that two sides have: decided from what they have, had when they last agreed, and who wrote when.

Nothing is read or written here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

# the two clocks may differ by so much; nearer moments say nothing about who was first
MARGIN = timedelta(minutes=1)


class Move(StrEnum):
    NOTHING = "nothing"
    AGREED = "agreed"  # both are alike: what they have is what they agree on from now on
    PUSH = "push"
    PULL = "pull"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Sides:
    """A field's values on both sides in one form, and what is known of them.

    ``agreed`` is the pair that both had when they last agreed, None where they never did. Ours was written at ``ours_at``, by a person
    or by a program. Theirs was written after ``theirs_after`` and not later than ``theirs_before``; None where that is not known.
    """

    ours: Any
    theirs: Any
    agreed: tuple[Any, Any] | None
    owner: str
    is_ours_empty: bool = False
    is_theirs_empty: bool = False
    by_person: bool = True
    ours_at: datetime | None = None
    theirs_after: datetime | None = None
    theirs_before: datetime | None = None

    @property
    def differ(self) -> bool:
        return bool(self.ours != self.theirs)


@dataclass(frozen=True)
class Decision:
    """What is to be done; ``overrules`` tells that somebody's value is lost by it, so that it must be listed."""

    move: Move
    overrules: bool = False


def compare(sides: Sides) -> Decision:
    """What is to become of the field."""
    raise NotImplementedError
