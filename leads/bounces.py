"""Lists of bounces, as mail servers and senders of newsletters give them: which addresses take no mail, since when, and why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from leads import refunds
from leads.errors import UnreadableFile
from leads.imports.reading import Incoming
from leads.moments import moment
from leads.refunds import Found, Reason

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_HEADINGS = {"email": "email", "e-mail": "email", "date": "date", "reason": "reason"}


@dataclass(frozen=True)
class Line:
    """A line of the list, as a spreadsheet counts it; ``problem`` says why it can't be used."""

    row: int
    email: str = ""
    at: datetime | None = None
    reason: str = Reason.HARD_BOUNCE
    problem: str = ""


def read(incoming: Incoming) -> Iterator[Line]:
    """The lines of a list with a column ``email``, and ``date`` and ``reason`` where there are. Raises UnreadableFile."""
    table = incoming.table()
    columns = {_HEADINGS.get(heading.lower(), ""): place for place, heading in enumerate(table.header)}
    if "email" not in columns:
        raise UnreadableFile(reason=_("it has no column email."))
    for record in table.records():
        if record.problem:
            yield Line(record.row, problem=record.problem)
        else:
            cells = {name: str(record.cells[place] or "").strip() for name, place in columns.items() if name}
            yield _line(record.row, **cells)


def report(
    lines: list[Line], *, dry_run: bool = False, progress: Callable[[int], object] = lambda count: None
) -> dict[int, Found]:
    """Report the addresses of those lines that can be used; returns what came of each line, by its row.

    ``progress`` is told how many lines are done. Of an address that is listed twice the first line tells what was refunded.
    """
    alike: dict[tuple[Any, str], list[Line]] = {}
    for line in lines:
        if not line.problem:
            alike.setdefault((line.at, line.reason), []).append(line)
    told: dict[int, Found] = {}
    for (at, reason), group in alike.items():
        for start in range(0, len(group), refunds.CHUNK):
            chunk = group[start : start + refunds.CHUNK]
            found = refunds.report_dead((line.email for line in chunk), reason=reason, at=at, dry_run=dry_run)
            for line in chunk:
                told[line.row] = found[line.email]
                found[line.email] = Found(leads=told[line.row].leads)
            progress(len(chunk))
    return told


def _line(row: int, *, email: str, date: str = "", reason: str = "") -> Line:
    if "@" not in email or "\x00" in email or len(email) > 254:
        return _rejected(row, "email", _("This is no e-mail address."))
    why = reason.lower() or Reason.HARD_BOUNCE
    if why not in Reason.values:
        return _rejected(row, "reason", _("One of {choices}.").format(choices=", ".join(Reason.values)))
    try:
        at = moment(date) if date else None
    except ValueError as error:
        return _rejected(row, "date", str(error))
    if at and not _LONG_AGO < at <= timezone.now():
        return _rejected(row, "date", _("This is in the future, or too long ago."))
    return Line(row, email.lower(), at, why)


def _rejected(row: int, column: str, sentence: str) -> Line:
    return Line(row, problem=f"{column}: {sentence}")
