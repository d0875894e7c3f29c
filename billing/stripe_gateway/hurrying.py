"""Asking Stripe while somebody waits for the answer."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime
from typing import TypeVar

from zevix.errors import Unreachable

T = TypeVar("T")

# questions under way at once in a process: those that never end (an answer may drip for ever) must not pile up
_places = threading.BoundedSemaphore(8)


def in_time(ask: Callable[[], T], *, seconds: float) -> T:
    """What ``ask`` gives. Raises Unreachable where that takes longer: timeouts of sockets end neither a slow name server nor a dripping answer.

    It runs in a thread of its own, which may go on; so it must not touch the database.
    """
    if seconds <= 0 or not _places.acquire(blocking=False):
        raise _too_slow()
    asked: Future[T] = Future()
    threading.Thread(target=_answer, args=(ask, asked), daemon=True).start()
    try:
        return asked.result(timeout=seconds)
    except OutOfTime:
        raise _too_slow() from None


def _answer(ask: Callable[[], T], asked: "Future[T]") -> None:
    try:
        asked.set_result(ask())
    except BaseException as error:  # raised again where it is waited for
        asked.set_exception(error)
    finally:
        _places.release()


def _too_slow() -> Unreachable:
    return Unreachable(vendor="Stripe", reason="no answer in time")
