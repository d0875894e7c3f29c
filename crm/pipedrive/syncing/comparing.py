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
    def are_alike(self) -> bool:
        return bool(self.ours == self.theirs) or (self.is_ours_empty and self.is_theirs_empty)

    @property
    def ours_changed(self) -> bool:
        return self.agreed is None or self.ours != self.agreed[0]

    @property
    def theirs_changed(self) -> bool:
        return self.agreed is None or self.theirs != self.agreed[1]


@dataclass(frozen=True)
class Decision:
    """What is to be done; ``overrules`` tells that a value is lost by it which the other side did not have, so that it is listed."""

    move: Move
    overrules: bool = False


def compare(sides: Sides) -> Decision:
    """What is to become of the field: what only one side changed moves; what both changed goes by the field's owner."""
    if not (sides.ours_changed or sides.theirs_changed):
        return Decision(Move.NOTHING)
    if sides.are_alike:
        return Decision(Move.AGREED)
    if sides.agreed is None and (sides.is_ours_empty or sides.is_theirs_empty):
        return Decision(Move.PULL if sides.is_ours_empty else Move.PUSH)
    if sides.owner == "zevix":
        return Decision(Move.PUSH, overrules=sides.theirs_changed)
    if sides.owner == "pipedrive":
        return Decision(Move.PULL, overrules=sides.ours_changed and sides.by_person)
    if not (sides.ours_changed and sides.theirs_changed):
        return Decision(Move.PUSH if sides.ours_changed else Move.PULL)
    return _latest(sides)


def _latest(sides: Sides) -> Decision:
    """Of two changes the later one, where it is certain which that is; a program's gives way to a person's."""
    if not sides.by_person:
        return Decision(Move.PULL, overrules=sides.agreed is not None)
    if _is_later(sides.ours_at, sides.theirs_before):
        return Decision(Move.PUSH, overrules=True)
    if _is_later(sides.theirs_after, sides.ours_at):
        return Decision(Move.PULL, overrules=True)
    return Decision(Move.CONFLICT)


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one > other + MARGIN
