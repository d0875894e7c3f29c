"""Figures side by side: rounds that take turns, their medians, the table and the JSON."""

import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

ROUNDS = 5
_UNITS = {
    "/s": "{:,.0f} /s",
    "s": "{:,.2f} s",
    "ms": "{:,.1f} ms",
    "MiB": "{:,.0f} MiB",
    "calls": "{:,.0f}",
    "tokens": "{:,.1f}",
    "%": "{:,.1f} %",
}


@dataclass(frozen=True)
class Row:
    """A job beside its floor: the figures of all rounds, and which ratio (without a floor: which figure) is wanted, if any."""

    job: str
    floor: str
    unit: str
    project_rounds: list[float]
    floor_rounds: list[float] = field(default_factory=list)
    at_least: float | None = None
    at_most: float | None = None

    @property
    def project(self) -> float:
        return median(self.project_rounds)

    @property
    def beside(self) -> float | None:
        """The floor's figure."""
        return median(self.floor_rounds) if self.floor_rounds else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' own ratios: the two figures of a round saw the same weather."""
        pairs = zip(self.project_rounds, self.floor_rounds, strict=True) if self.floor_rounds else []
        ratios = [project / floor for project, floor in pairs]
        return median(ratios) if ratios else None

    @property
    def met(self) -> bool:
        figure = self.project if self.ratio is None else self.ratio
        return (self.at_least is None or figure >= self.at_least) and (self.at_most is None or figure <= self.at_most)

    def cells(self) -> list[str]:
        ratio, beside, wanted = self.ratio, self.beside, self._wanted()
        return [
            self.job,
            self.floor,
            self._figure(self.project),
            "" if beside is None else self._figure(beside),
            "" if ratio is None else f"{ratio:.2f}",
            wanted,
            wanted and ("met" if self.met else "MISSED"),
        ]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"project": self.project, "beside": self.beside, "ratio": self.ratio, "met": self.met}

    def _wanted(self) -> str:
        """Empty where nothing is."""
        sign, bound = ("≤", self.at_most) if self.at_least is None else ("≥", self.at_least)
        if bound is None:
            return ""
        return f"{sign} {self._figure(bound) if self.ratio is None else format(bound, '.2f')}"

    def _figure(self, value: float) -> str:
        return _UNITS[self.unit].format(value)


def take_turns(contenders: Mapping[str, Callable[[], float]], *, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """The figures of each contender. They take turns, every other round the other way about, so that a machine that slows
    down slows all of them."""
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in order:
            figures[name].append(contenders[name]())
    return figures


def table(rows: list[Row]) -> str:
    head = ["job", "beside", "project", "floor", "ratio", "wanted", ""]
    lines = [head, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(_aligned(cell, widths[i], i) for i, cell in enumerate(line)).rstrip() for line in lines]
    return "\n".join([text[0], "-" * (sum(widths) + 2 * len(widths)), *text[1:]])


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if 2 <= column <= 5 else cell.ljust(width)


def as_json(rows: list[Row]) -> dict[str, Any]:
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()}
    return {"machine": machine, "rows": [row.as_json() for row in rows]}


def progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
