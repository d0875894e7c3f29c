"""Threads that do one thing each, with a connection of their own to the database."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection
from django.utils import translation

Given = TypeVar("Given")
Done = TypeVar("Done")


class Threads(Generic[Given, Done]):
    """``count`` threads that do ``work`` as long as the block lasts, in ``language``. It must not raise; what comes of it is put into ``done``."""

    def __init__(self, count: int, work: Callable[[Given], Done], done: queue.SimpleQueue[Done], language: str) -> None:
        self._work = work
        self._language = language
        self._given: queue.SimpleQueue[Given | None] = queue.SimpleQueue()
        self._done = done
        self._threads = [threading.Thread(target=self._go_on, daemon=True) for _ in range(count)]
        self.busy = 0
        """How much of what was given has not been taken out of ``done``; whoever takes it counts it down."""

    def __enter__(self) -> Threads[Given, Done]:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        for _thread in self._threads:
            self._given.put(None)
        for thread in self._threads:
            thread.join()

    def give(self, given: Given) -> None:
        self.busy += 1
        self._given.put(given)

    def _go_on(self) -> None:
        try:
            with translation.override(self._language):
                while (given := self._given.get()) is not None:
                    self._done.put(self._work(given))
        finally:
            connection.close()
