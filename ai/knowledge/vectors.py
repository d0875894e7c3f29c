"""Texts as vectors that can be kept."""

from collections.abc import Sequence
from math import hypot

from accounts.models import User, Workspace
from ai import asking
from ai.asking import Purpose

ACTION = "embed"


def of(
    texts: Sequence[str], *, workspace: Workspace, user: User | None, patience: float | None = None
) -> list[list[float]]:
    """A vector of length one for each text, in order: half of a float has no place for large numbers. Raises what `asking.embed` does."""
    return [_unit(vector) for vector in asking.embed(texts, Purpose(workspace, user, ACTION), patience=patience)]


def _unit(vector: list[float]) -> list[float]:
    length = hypot(*vector)
    return [place / length for place in vector] if length else vector
