"""A few threads that share the things to be done, each with a connection of its own to the database."""

from collections.abc import Callable, Iterator
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any, TypeVar

from django.db import connections

Thing = TypeVar("Thing")
_NONE = object()


def share(things: Iterator[Thing], work: Callable[[Thing], None], *, threads: int) -> None:
    """Do ``work`` on each of the things, in ``threads`` threads (with one: in the caller's own).

    What one of them raises stops the others after the thing that they are at, and is raised here. ``things`` is asked by whoever is
    free, one at a time.
    """
    if threads <= 1:
        for thing in things:
            work(thing)
        return
    crew = _Crew(things, work)
    workers = [Thread(target=copy_context().run, args=(crew.go_on,), daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if crew.trouble:
        raise crew.trouble[0]


class _Crew:
    def __init__(self, things: Iterator[Any], work: Callable[[Any], None]) -> None:
        self._things = things
        self._work = work
        self._asking = Lock()
        self.trouble: list[BaseException] = []

    def go_on(self) -> None:
        try:
            while not self.trouble and (thing := self._next()) is not _NONE:
                self._work(thing)
        except BaseException as error:  # raised again by whoever waits for the crew
            self.trouble.append(error)
        finally:
            connections.close_all()

    def _next(self) -> Any:
        with self._asking:
            return next(self._things, _NONE)
