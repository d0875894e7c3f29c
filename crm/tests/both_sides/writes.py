"""What people wrote last, on either side, and what they had before their eyes when they did."""

from dataclasses import dataclass
from itertools import count
from typing import Any


@dataclass(frozen=True)
class Write:
    value: Any
    before: Any
    order: int
    by_person: bool


class Writes:
    """By field of a lead, and by field of a person; in the form in which the two are compared."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int, str], Write] = {}
        self._orders = count(1)

    def note(self, side: str, id: int, field: str, value: Any, before: Any, *, by_person: bool) -> None:
        self._last[side, id, field] = Write(value, before, next(self._orders), by_person)

    def forget(self, side: str, id: int) -> None:
        for place in [place for place in self._last if place[:2] == (side, id)]:
            del self._last[place]

    def lost(self, lead_id: int, person_id: int, field: str, *, value: Any, listed: list[Any]) -> list[Write]:
        """Those that stand nowhere any more though nobody who saw them wrote something else."""
        ours, theirs = self._last.get(("lead", lead_id, field)), self._last.get(("person", person_id, field))
        both = [write for write in (ours, theirs) if write is not None]
        return [
            write
            for write in both
            if write.by_person
            and not is_nothing(write.value)
            and write.value != value
            and write.value not in listed
            and not any(other.order > write.order and other.before == write.value for other in both)
        ]


def is_nothing(value: Any) -> bool:
    return value in (None, "", [], {})
