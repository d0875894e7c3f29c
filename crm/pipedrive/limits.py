"""How much is asked of an account, and when: what Pipedrive allows is shared by all processes, by way of the account's meter.

Pipedrive allows so many requests in two seconds, so many searches among them, and so many tokens a day:
https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
"""

import time as clock
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Self

from django.db import connection, transaction
from django.db.models import DateTimeField, Func
from django.utils.translation import gettext as _

from crm.errors import BudgetSpent
from crm.models import TokenMeter
from zevix.errors import Unreachable

# a little more than their two seconds: some requests take longer to get there than others, and threads wake late
_MARGIN = timedelta(milliseconds=100)
_WINDOW = timedelta(seconds=2) + _MARGIN
_ROOM = 10  # one place in so many is kept free of what goes on in the background
_PACE = 0.8  # its requests are that part of the even distance apart, so that it can catch up
_BACKGROUND_AHEAD = timedelta(milliseconds=500)
_BACKGROUND_SHARE = 80  # percent of the day's tokens
_LONGEST_WAIT = 30.0  # seconds that a worker waits for its turn
_FIRST_CLOSING, _LONGEST_CLOSING = 2, 60  # seconds, where nobody tells us for how long
_HAMMERED = 60  # seconds
_DAY = 86_400  # seconds
_SMALL = 32_767  # what the columns hold
_CLOCK = Func(function="clock_timestamp", output_field=DateTimeField())  # one clock for all machines


class Lane(StrEnum):
    INTERACTIVE = "interactive"
    """Somebody waits for the answer."""
    BACKGROUND = "background"


@dataclass(frozen=True)
class _Turn:
    """A moment that is ours, or (not booked) the one at which it is worth looking again. Both times are the database's."""

    at: datetime
    now: datetime
    is_booked: bool

    @property
    def wait(self) -> float:
        return max(0.0, (self.at - self.now).total_seconds())


class Gate:
    """The way to an account, for as many threads as like. ``deadline`` is of `time.monotonic`."""

    def __init__(self, connection_id: int, workspace_id: int, lane: Lane, deadline: float | None) -> None:
        self.connection_id = connection_id
        self.workspace_id = workspace_id
        self.lane = lane
        self.deadline = deadline
        # as they were last read, so that most answers need not be told to the database
        self._burst_limit = 0
        self._refused = 0

    def until(self, deadline: float) -> Self:
        """The same, for what has to end by then."""
        sooner = copy(self)
        sooner.deadline = deadline if self.deadline is None else min(self.deadline, deadline)
        return sooner

    def enter(self, cost: int, *, is_search: bool) -> None:
        """Wait for one's turn, and pay ``cost`` tokens. Raises BudgetSpent, and Unreachable where the turn comes too late."""
        turn = self._book(cost, is_search=is_search)
        while turn.wait:
            clock.sleep(turn.wait)
            if not turn.is_booked:
                turn = self._book(cost, is_search=is_search)
            elif self._is_missed(turn):
                turn = self._book(0, is_search=is_search, instead_of=turn.at)
            else:
                return

    def told(self, status: int, headers: Mapping[str, str], *, is_search: bool = False) -> None:
        """Learn from an answer how much is allowed, and for how long nothing."""
        if status == 429:
            seconds = _number(headers.get("retry-after")) or _number(headers.get("x-ratelimit-reset"))
            self._close(seconds or 0, tokens_left=_number(headers.get("x-daily-requests-left")))
        elif status == 403 and "html" in headers.get("content-type", ""):
            # who goes on asking after a 429 is kept out by a page of Cloudflare
            self._close(_HAMMERED)
        elif status < 400:
            self._be_fine()
            self._learn(0 if is_search else _number(headers.get("x-ratelimit-limit")) or 0)

    # Turns ------------------------------------------------------------------------------------------------------------------

    def _book(self, cost: int, *, is_search: bool, instead_of: datetime | None = None) -> _Turn:
        """The next free moment. In the background one that is far off is not booked yet: it would be in the way of others."""
        with transaction.atomic(durable=True):
            meter, now = self._locked()
            _forget(meter, now - _WINDOW, instead_of)
            _pay(meter, now.date(), cost, self.lane)
            at = _next_free(meter, max(now, meter.closed_until or now), self.lane, is_search=is_search)
            self._refuse_if_late((at - now).total_seconds())
            if self.lane == Lane.BACKGROUND and instead_of is None and at > now + _BACKGROUND_AHEAD:
                return _Turn(at - _BACKGROUND_AHEAD, now, is_booked=False)
            for moments in (meter.requested, meter.searched) if is_search else (meter.requested,):
                insort(moments, at)
            meter.save(update_fields=["day", "spent", "requested", "searched"])
        self._burst_limit, self._refused = meter.burst_limit, meter.refused
        return _Turn(at, now, is_booked=True)

    def _refuse_if_late(self, wait: float) -> None:
        if wait > (_LONGEST_WAIT if self.deadline is None else self.deadline - clock.monotonic()):
            raise Unreachable(vendor="Pipedrive", reason=_("too many requests"), kind="rate_limited")

    def _is_missed(self, turn: _Turn) -> bool:
        """Whether the account was closed meanwhile, or we woke so late that those who come next would be too near."""
        found = self._meters().annotate(now=_CLOCK).values_list("now", "closed_until").first()
        if found is None:
            return False
        now, closed_until = found
        return now > turn.at + _MARGIN or (closed_until is not None and closed_until > now)

    # What we are told -------------------------------------------------------------------------------------------------------

    def _close(self, seconds: int, *, tokens_left: int | None = None) -> None:
        """Ask nothing for so long; where that is not known (0), for longer each time. Without tokens it lasts until there are some."""
        with transaction.atomic(durable=True):
            meter, now = self._locked()
            if tokens_left is not None:  # others spend them too
                _start_day(meter, now.date())
                meter.spent = max(meter.spent, meter.daily_limit - tokens_left)
            if tokens_left != 0:
                _shut(meter, now, seconds)
            meter.save(update_fields=["day", "spent", "closed_until", "refused"])

    def _be_fine(self) -> None:
        """Begin with short waits again, unless this was under way when the account was closed."""
        if self._refused:
            self._refused = 0
            self._meters().exclude(closed_until__gt=_CLOCK).update(refused=0)

    def _learn(self, burst_limit: int) -> None:
        if 0 < burst_limit <= _SMALL and burst_limit != self._burst_limit:
            self._burst_limit = burst_limit
            self._meters().update(burst_limit=burst_limit)

    # The meter --------------------------------------------------------------------------------------------------------------

    def _meters(self) -> Any:
        return TokenMeter.objects.for_workspace(self.workspace_id).filter(connection=self.connection_id)

    def _locked(self) -> tuple[TokenMeter, datetime]:
        """The meter (made where there is none), with all others kept waiting until the transaction ends; and the database's time.

        The time is asked for when the lock is ours: before it, it would be too early by the wait.
        """
        meter = self._meters().select_for_update().first()
        if meter is None:
            new = TokenMeter(workspace_id=self.workspace_id, connection_id=self.connection_id)
            TokenMeter.objects.bulk_create([new], ignore_conflicts=True)
            meter = self._meters().select_for_update().get()
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            return meter, cursor.fetchone()[0]


def first_free(taken: Sequence[datetime], start: datetime, limit: int) -> datetime:
    """The first moment from ``start`` on at which one more leaves at most ``limit`` in any window. ``taken`` is in order."""
    after = bisect_left(taken, start - _WINDOW)
    for moment in (start, *(one + _WINDOW for one in taken[after:])):
        if moment >= start and _is_free(taken, moment, limit):
            return moment
    return start  # never reached: after the last of them there is room


def _is_free(taken: Sequence[datetime], moment: datetime, limit: int) -> bool:
    place = bisect_left(taken, moment)
    around = [*taken[max(0, place - limit) : place], moment, *taken[place : place + limit]]
    return all(last - first >= _WINDOW for first, last in zip(around, around[limit:], strict=False))


def _next_free(meter: TokenMeter, start: datetime, lane: Lane, *, is_search: bool) -> datetime:
    """The first moment from ``start`` on that keeps the limit of requests, and that of searches where it is one."""
    at = _turn(meter.requested, start, meter.burst_limit, lane)
    while is_search:
        searching = _turn(meter.searched, at, meter.search_limit, lane)
        at = _turn(meter.requested, searching, meter.burst_limit, lane)
        is_search = at != searching
    return at


def _turn(taken: list[datetime], start: datetime, limit: int, lane: Lane) -> datetime:
    if lane == Lane.INTERACTIVE:
        return first_free(taken, start, max(1, limit))
    # one after the other and not all at once, so that a place is always about to be free
    limit = max(1, limit - max(1, limit // _ROOM))
    if taken:
        start = max(start, taken[-1] + _WINDOW * _PACE / limit)
    return first_free(taken, start, limit)


def _forget(meter: TokenMeter, before: datetime, missed: datetime | None) -> None:
    """Take out of the meter the moments that count no more, and one that was ours."""
    for moments in (meter.requested, meter.searched):
        if missed in moments:
            moments.remove(missed)
        del moments[: bisect_left(moments, before)]


def _pay(meter: TokenMeter, today: date, cost: int, lane: Lane) -> None:
    """Raises BudgetSpent."""
    _start_day(meter, today)
    share = 100 if lane == Lane.INTERACTIVE else _BACKGROUND_SHARE
    if cost and (meter.spent + cost) * 100 > meter.daily_limit * share:
        raise BudgetSpent(until=datetime.combine(today + timedelta(days=1), time(), UTC))
    meter.spent += cost


def _start_day(meter: TokenMeter, today: date) -> None:
    if meter.day != today:
        meter.day, meter.spent = today, 0


def _shut(meter: TokenMeter, now: datetime, seconds: int) -> None:
    is_open = meter.closed_until is None or meter.closed_until <= now
    if not seconds and is_open:  # of several that were under way together the first one counts
        meter.refused = min(meter.refused + 1, _SMALL)
        seconds = min(_FIRST_CLOSING * 2 ** min(meter.refused - 1, 10), _LONGEST_CLOSING)
    meter.closed_until = max(now + timedelta(seconds=min(seconds, _DAY)), meter.closed_until or now)


def _number(text: str | None) -> int | None:
    """What a header says, where that is a number that one can believe."""
    return int(text) if text and len(text) < 10 and text.isascii() and text.isdigit() else None
