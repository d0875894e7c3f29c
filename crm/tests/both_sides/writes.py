"""What was written, on either side, and what was there before the writer's eyes.

It counts where a person wrote it. That a person emptied a field counts where the sides agreed on it before: else empty gives way to full.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any


@dataclass(frozen=True)
class Write:
    value: Any
    before: Any
    order: int
    counts: bool


class Writes:
    """By field of a lead, and by field of a person; in the form in which the two are compared."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, int, str], list[Write]] = {}
        self._orders = count(1)
        self._ever: list[tuple[str, int, str, Any]] = []

    def note(self, side: str, id: int, field: str, value: Any, before: Any, *, counts: bool) -> None:
        self._ever.append((side, id, field, value))
        self._all.setdefault((side, id, field), []).append(Write(value, before, next(self._orders), counts))

    def was_written(self, side: str, field: str, value: Any, *, but_for: int) -> bool:
        """On that side, or on the other one to another than ``but_for``, from which it may have come before the two were linked."""
        places = [(one, id) for one, id, name, written in self._ever if name == field and written == value]
        return any(one == side or id != but_for for one, id in places)

    def forget(self, side: str, id: int) -> None:
        for place in [place for place in self._all if place[:2] == (side, id)]:
            del self._all[place]

    def lost(self, lead_id: int, person_id: int, field: str, *, value: Any, listed: list[Any]) -> list[Write]:
        """The last ones of each side that stand nowhere any more, though nobody who saw them wrote something else."""
        sides = [self._all.get(("lead", lead_id, field), []), self._all.get(("person", person_id, field), [])]
        return [
            writes[-1]
            for writes, others in (sides, sides[::-1])
            if writes
            and writes[-1].counts
            and writes[-1].value != value
            and writes[-1].value not in listed
            and not any(other.order > writes[-1].order and other.before == writes[-1].value for other in others)
        ]


def is_nothing(value: Any) -> bool:
    return value in (None, "", [], {})
