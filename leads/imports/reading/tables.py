"""What every kind of file is read as."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.utils.translation import gettext as _

from leads.errors import UnreadableFile

MAX_COLUMNS = 2_000


class Unreadable(str):
    """A cell that can't be used, as it is written in the file; ``reason`` says why."""

    reason = ""

    def __new__(cls, written: str, reason: str) -> "Unreadable":
        cell = super().__new__(cls, written)
        cell.reason = reason
        return cell


@dataclass(frozen=True)
class Record:
    """One row: ``row`` is its line as a spreadsheet shows it. ``problem`` says why it can't be read."""

    row: int
    cells: list[Any]
    problem: str = ""


class Source(Protocol):
    """A table that can be read more than once.

    ``fraction`` is how much of it the present reading has behind it, from 0 to 1. ``found`` is what was found out about the file:
    ``encoding`` and ``delimiter``, or the ``sheet``.
    """

    header: list[str]

    @property
    def fraction(self) -> float: ...

    @property
    def found(self) -> dict[str, str]: ...

    def records(self) -> Iterator[Record]: ...


class Retold:
    """A base for sources that tell another's records in their own way."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def fraction(self) -> float:
        return self.source.fraction

    @property
    def found(self) -> dict[str, str]:
        return self.source.found


def checked_header(cells: list[str]) -> list[str]:
    """The headings, trimmed. Raises UnreadableFile where there are none, or too many."""
    header = [cell.strip() for cell in cells]
    if not any(header):
        raise UnreadableFile(reason=_("there is no header in its first line."))
    if len(header) > MAX_COLUMNS:
        raise UnreadableFile(reason=_("it has more than {limit} columns.").format(limit=MAX_COLUMNS))
    return header


def fitted(record: Record, width: int) -> Record:
    """The record with as many cells as the header; blanks that a spreadsheet left away come back."""
    cells = record.cells
    if len(cells) == width or record.problem:
        return record
    if len(cells) < width:
        return replace(record, cells=cells + [""] * (width - len(cells)))
    if any(cell != "" for cell in cells[width:]):
        problem = _("It has {count} cells, the header {width}.").format(count=len(cells), width=width)
        return Record(record.row, cells[:MAX_COLUMNS], problem)
    return replace(record, cells=cells[:width])
