"""The list of rejected rows, which somebody mends and imports again: how its cells are written, and read back as they were.

A spreadsheet takes a cell that begins with ``=`` or the like for a formula, and runs it. An apostrophe in front keeps it from that
(https://owasp.org/www-community/attacks/CSV_Injection). A cell that begins with apostrophes and such a sign gets one more, so that
taking one away is the exact reverse.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from leads.imports.reading.tables import Record, Source

COLUMNS = ["row", "error"]
_TAKEN_FOR_A_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_KEPT_FROM_IT = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


def harmless(cell: str) -> str:
    return f"'{cell}" if _TAKEN_FOR_A_FORMULA.match(cell) else cell


def restored(cell: Any) -> Any:
    return cell[1:] if isinstance(cell, str) and _KEPT_FROM_IT.match(cell) else cell


def is_list_of_rejected(header: Sequence[str]) -> bool:
    return list(header[:2]) == COLUMNS and len(header) > 2


class Mended:
    """A list of rejected rows as the file that they came from: without line and error, cells as they stood."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.header = [restored(heading) for heading in source.header[2:]]

    @property
    def fraction(self) -> float:
        return self.source.fraction

    @property
    def found(self) -> dict[str, str]:
        return self.source.found

    def records(self) -> Iterator[Record]:
        for record in self.source.records():
            cells = [restored(cell) for cell in record.cells[2:]]
            if record.problem or any(str(cell).strip() for cell in cells):
                yield replace(record, cells=cells)
