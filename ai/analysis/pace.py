"""How fast the AI is asked: so many calls at once, so many a minute, and fewer while its server has too much to do."""

import time
from math import inf
from threading import BoundedSemaphore


class Pace:
    """``at_once`` calls at most, and ``a_minute`` (0 for any number).

    There are ``threads`` for them, a few more than calls at once: while some write down what came, others ask. Whoever asks takes a
    ``turn``.
    """

    def __init__(self, at_once: int, a_minute: int) -> None:
        self.threads = at_once + at_once // 4 + 1
        self.turn = BoundedSemaphore(at_once)
        self._most = self._now = self._full = float(at_once)
        self._apart = 60 / a_minute if a_minute else 0.0
        self._next = self._slowed_at = 0.0

    def wait(self, in_flight: int) -> float | None:
        """Seconds until the next call may be given out; None as long as one of those in flight must end before."""
        most = self.threads if self._now == self._full else int(self._now)
        return None if in_flight >= most else max(0.0, self._next - time.monotonic())

    def begin(self) -> float:
        """Count a call that begins; returns the moment, for `end`."""
        now = time.monotonic()
        self._next = max(self._next, now) + self._apart
        return now

    def end(self, begun: float, *, was_smooth: bool) -> None:
        """Learn from a call: half as many after one that was turned away at first, by and by more again."""
        if was_smooth:
            self._now = min(self._most, self._now + 1 / self._now)
        elif begun > self._slowed_at:  # those begun before were turned away for the same reason
            self._now, self._slowed_at = max(1.0, self._now / 2), time.monotonic()

    def one_by_one(self) -> None:
        """From now on no two calls at once."""
        self._most = self._now = 1.0
        self._full = inf
