"""What may be asked how fast. Source: https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting"""

from collections import deque

from crm.tests.pipedrive_server.clock import Clock
from crm.tests.pipedrive_server.refusals import Refused

WINDOW = 2.0


class Limits:
    """Windows slide. ``tolerance`` is what a request may have lost on its way: the window is shorter by it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.burst = 120
        self.searches = 10
        self.daily = 210_000
        self.tolerance = 0.05
        self.most_refusals = 60
        """So many 429s in a window, and a page of HTML says 403 for a while."""
        self.spent = 0
        self.refused = 0
        self._day = clock.now().date()
        self._asked: deque[float] = deque()
        self._searched: deque[float] = deque()
        self._refusals: deque[float] = deque()
        self._closed_until = 0.0

    def take(self, cost: int, *, is_search: bool) -> None:
        """Count a request. Raises Refused (429), or Hammered."""
        now = self.clock.seconds()
        if now < self._closed_until:
            raise Hammered
        if self.clock.now().date() != self._day:
            self._day, self.spent = self.clock.now().date(), 0
        for moments in (self._asked, self._searched, self._refusals):
            while moments and moments[0] <= now - WINDOW + self.tolerance:
                moments.popleft()
        is_late = len(self._asked) >= self.burst or (is_search and len(self._searched) >= self.searches)
        if is_late or self.spent + cost > self.daily:
            self._refuse(now)
        self._asked.append(now)
        if is_search:
            self._searched.append(now)
        self.spent += cost

    def _refuse(self, now: float) -> None:
        self.refused += 1
        self._refusals.append(now)
        if len(self._refusals) > self.most_refusals:
            self._closed_until = now + 10
        raise Refused("request over limit", status=429, code="ERR_RATE_LIMIT")

    def age(self, seconds: float) -> None:
        self._closed_until -= seconds
        for moments in (self._asked, self._searched, self._refusals):
            for place, moment in enumerate(moments):
                moments[place] = moment - seconds

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.burst),
            "x-ratelimit-remaining": str(max(0, self.burst - len(self._asked))),
            "x-ratelimit-reset": "2" if self.spent < self.daily else str(self._seconds_left()),
            "x-daily-requests-left": str(max(0, self.daily - self.spent)),
        }

    def _seconds_left(self) -> int:
        now = self.clock.now()
        return 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)


class Hammered(Exception):
    """Who goes on asking after a 429 is turned away before the API, by a page for browsers."""
