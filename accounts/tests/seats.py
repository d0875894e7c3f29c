"""Seat limits for ``settings.SEAT_LIMIT``: accounts may not know of plans."""

from typing import Any


def two(workspace: Any) -> int:
    return 2


def three(workspace: Any) -> int:
    return 3


def as_many_as_they_like(workspace: Any) -> None:
    return None
