"""The XML of a workbook's sheets and of the texts that they share, a piece at a time.

Written on the parser itself: what a cell costs counts, and what a stranger sent must not fill the memory.
The format: ECMA-376, part 1, 18.3 (worksheets), 18.4 (shared strings).
"""

import re
from array import array
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any
from xml.parsers import expat

from django.utils.translation import gettext as _
from openpyxl.utils import column_index_from_string
from openpyxl.utils.datetime import from_excel

from leads.errors import UnreadableFile
from leads.imports.reading.packages import too_large
from leads.imports.reading.tables import MAX_COLUMNS, Record, Unreadable

_MAX_ROWS = 1_048_576
_MAX_CELL = 131_072  # characters
_MAX_TAG = 1024 * 1024  # bytes
DATE = "date"


def parser_of(start: Callable[[str, dict[str, str]], None]) -> expat.XMLParserType:
    """A parser that knows elements by their names without a namespace's prefix, and takes no document type, so no entities either."""

    def refuse(*_declared: Any) -> None:
        raise ValueError("a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    return parser


@lru_cache(maxsize=1_000)
def local(name: str) -> str:
    return name.rpartition(":")[2]


class _Gathering:
    """Feeds a part to the parser and gathers the text of the elements that the subclass is after."""

    def __init__(self) -> None:
        self._parser = parser_of(self._start)
        self._parser.EndElementHandler = self._end
        self._text: list[str] = []
        self._fed = 0

    def feed(self, piece: bytes, *, final: bool = False) -> None:
        self._fed += len(piece)
        self._parser.Parse(piece, final)
        # else one endless cell, or one endless tag, would be all in memory before it is seen to be one
        if sum(map(len, self._text)) > _MAX_CELL or self._fed - self._parser.CurrentByteIndex > _MAX_TAG:
            raise too_large()

    def _gather(self, texts: list[str] | None) -> None:
        self._parser.CharacterDataHandler = texts.append if texts is not None else None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def _end(self, name: str) -> None:
        raise NotImplementedError


class Texts(_Gathering):
    """The texts that cells share, in one piece of memory: a list of them would take several times as much."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._written = bytearray()
        self._ends = array("Q", [0])
        self._aside = False
        for piece in pieces:
            self.feed(piece)
        self.feed(b"", final=True)

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise ValueError(number)
        return self._written[self._ends[number] : self._ends[number + 1]].decode()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match local(name):
            case "t" if not self._aside:
                self._gather(self._text)
            case "rPh":  # how it is pronounced
                self._aside = True

    def _end(self, name: str) -> None:
        match local(name):
            case "t":
                self._gather(None)
            case "rPh":
                self._aside = False
            case "si":
                self._written += _unescaped("".join(self._text)).encode()
                self._ends.append(len(self._written))
                self._text.clear()


class SheetReader(_Gathering):
    """The rows of a sheet that hold something; `take` hands out those that are complete."""

    def __init__(self, texts: Texts | None, formats: list[str | int], epoch: datetime) -> None:
        super().__init__()
        self._texts, self._formats, self._epoch = texts, formats, epoch
        self._rows: list[Record] = []
        self._row = self._column = 0
        self._cells: dict[int, Any] = {}
        self._attributes: dict[str, str] = {}
        self._formula: list[str] | None = None
        self._aside = False
        self.over = False

    def take(self) -> list[Record]:
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match local(name):
            case "c":
                self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
                self._attributes, self._formula = attributes, None
                self._text.clear()
            case "v":
                self._gather(self._text)
            case "t" if not self._aside:
                self._gather(self._text)
            case "f":
                self._formula = []
                self._gather(self._formula)
            case "rPh":
                self._aside = True
            case "row":
                self._begin_row(int(attributes.get("r", self._row + 1)))

    def _end(self, name: str) -> None:
        match local(name):
            case "v" | "t" | "f":
                self._gather(None)
            case "c":
                self._keep(self._value())
                self._text.clear()
            case "rPh":
                self._aside = False
            case "row" if self._cells:
                cells = [self._cells.get(column, "") for column in range(1, max(self._cells) + 1)]
                self._rows.append(Record(self._row, cells))
            case "sheetData":
                self.over = True

    def _begin_row(self, row: int) -> None:
        if not self._row < row <= _MAX_ROWS:
            raise ValueError(row)
        self._row, self._column = row, 0
        self._cells = {}

    def _keep(self, value: Any) -> None:
        if value == "" or (isinstance(value, str) and not value.strip()):
            return
        if self._column > MAX_COLUMNS:
            raise UnreadableFile(reason=_("it has more than {limit} columns.").format(limit=MAX_COLUMNS))
        self._cells[self._column] = value

    def _value(self) -> Any:
        written = "".join(self._text)
        match self._attributes.get("t", "n"):
            case "n" if written:
                return self._number(written)
            case "n" if self._formula is not None:
                reason = _("This formula has no value: open the workbook in Excel, and save it.")
                return Unreadable("=" + "".join(self._formula), reason)
            case "s" if written and self._texts is not None:
                return self._texts[int(written)]
            case "str" | "inlineStr":
                return _unescaped(written)
            case "b":
                return "true" if written.strip() in {"1", "true"} else "false"
            case "d":
                return written.removesuffix("Z").removesuffix("T00:00:00")
        return ""  # nothing, or an error such as #N/A

    def _number(self, written: str) -> Any:
        style = int(self._attributes.get("s", 0))
        shown = self._formats[style] if style < len(self._formats) else 0
        if shown == DATE:
            return _date(written, self._epoch)
        if isinstance(shown, int) and written.isdigit() and len(written) < shown:
            return written.zfill(shown)
        # as Excel shows it: 15 digits, for the sixteenth and seventeenth are its own
        number = float(format(float(written), ".15g"))
        return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _column(reference: str) -> int:
    return column_index_from_string(reference.rstrip("0123456789"))


def _date(written: str, epoch: datetime) -> str:
    try:
        # to the second: a day's fraction seldom is one exactly
        found = from_excel(round(float(written) * 86_400) / 86_400, epoch)
    except (OverflowError, ValueError):
        return Unreadable(written, _("This is no date."))
    if isinstance(found, datetime):
        return found.isoformat(" ", "seconds").removesuffix(" 00:00:00")
    return str(found.isoformat("seconds"))


_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unescaped(written: str) -> str:
    """Characters that XML can't hold, as Excel writes them: ``_x000D_``."""
    if "_x" not in written:
        return written
    return (
        _ESCAPE.sub(lambda found: chr(int(found[1], 16)), written)
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
    )
