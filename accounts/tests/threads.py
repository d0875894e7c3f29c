"""Acts that run at the same moment, each in a thread and on a connection of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each act returned, in the order given; raises what the first of them raised."""
    start = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            start.wait(10)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def in_a_thread(act: Callable[[], Any]) -> Any:
    """What an act returns that a pool's thread does; its connection is closed."""
    try:
        return act()
    finally:
        connection.close()
