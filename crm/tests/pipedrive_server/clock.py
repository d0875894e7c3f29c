"""The time there: real, and further on by what a test has advanced it."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    def __init__(self) -> None:
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Also backwards, with a negative number."""
        self._ahead += seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def seconds(self) -> float:
        """For measuring: it never jumps by itself."""
        return time.monotonic() + self._ahead


def written(moment: datetime) -> str:
    """As v2 writes moments, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)
