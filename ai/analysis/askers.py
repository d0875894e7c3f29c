"""Threads that ask the AI, each with a connection of its own to the database."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection

Asked = TypeVar("Asked")
Outcome = TypeVar("Outcome")


class Askers(Generic[Asked, Outcome]):
    """``count`` threads that do ``ask`` as long as the block lasts. It must not raise."""

    def __init__(self, count: int, ask: Callable[[Asked], Outcome]) -> None:
        self._ask = ask
        self._todo: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        self.in_flight = 0

    def __enter__(self) -> Askers[Asked, Outcome]:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        for _thread in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def hand_out(self, asked: Asked) -> None:
        self.in_flight += 1
        self._todo.put(asked)

    def next(self, seconds: float) -> Outcome | None:
        """The next outcome; None where there is none within so many seconds."""
        try:
            outcome = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self.in_flight -= 1
        return outcome

    def _work(self) -> None:
        try:
            while (asked := self._todo.get()) is not None:
                self._done.put(self._ask(asked))
        finally:
            connection.close()
