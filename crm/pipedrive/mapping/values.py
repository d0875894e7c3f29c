"""What is compared: the objects over there, and the canonical form of one value."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

# text, a number, yes or no, nothing, a list of texts; or UNKNOWN
Canonical = Any

# a value that the other side has no word for: a user without a counterpart, a stage of another pipeline. It never moves.
UNKNOWN: Final[dict[str, bool]] = {"unknown": True}


@dataclass(frozen=True)
class Remote:
    """What a lead is in Pipedrive, each as v2 answers it. Without a person it is still to be made there."""

    person: dict[str, Any] | None = None
    organization: dict[str, Any] | None = None
    deal: dict[str, Any] | None = None

    def object(self, entity: str) -> dict[str, Any] | None:
        """``person``, ``organization`` or ``deal``."""
        found: dict[str, Any] | None = getattr(self, entity)
        return found


def is_empty(canonical: Canonical) -> bool:
    return canonical is None or canonical in ("", [])


_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")  # what PostgreSQL does not take, in texts or in JSON


def keepable(value: Any) -> str:
    """A value as text that the database can keep; of an object or a list nothing."""
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return _UNKEEPABLE.sub("", value if isinstance(value, str) else repr(value)[:100])


def one_line(value: Any, limit: int) -> str:
    """Text without needless spaces, cut to ``limit`` characters."""
    return " ".join(keepable(value).split())[:limit].rstrip()


def lines(value: Any, limit: int) -> str:
    """The same with its line breaks, which are alike for all systems."""
    return "\n".join(keepable(value).splitlines()).strip()[:limit].rstrip()


_NUMBER = re.compile(r"[+-]?[0-9]{1,15}([.][0-9]{1,15})?")


def number(value: Any) -> int | float | str | None:
    """A number; None of nothing; a text that is none, and a number that JSON's readers differ about, as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return one_line(value, 500) or None
    if not math.isfinite(value) or abs(value) >= 2**53:
        return repr(value)[:100]
    return int(value) if value == int(value) else value


def day(value: Any) -> str | None:
    """``YYYY-MM-DD`` of a moment, a date or its text; None of nothing; a text that is none as it stands."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    found = one_line(value, 500)
    try:
        return date.fromisoformat(found[:10]).isoformat() if found else None
    except ValueError:
        return found
