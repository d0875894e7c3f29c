"""Excel workbooks (.xlsx): one sheet of them, row by row.

Written on the XML parser itself. openpyxl, whose knowledge of number formats and dates serves here, takes three times as long for
a sheet, refuses workbooks for styles that are of no interest, and goes on from row 2 to row 999,999,999 where one says so.
The format: ECMA-376, part 1, 18.3 (worksheets), 18.4 (shared strings), 18.8 (styles).
"""

import posixpath
import re
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import IO, Any
from xml.parsers import expat

from django.utils.translation import gettext as _
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils import column_index_from_string
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from leads.errors import UnreadableFile
from leads.imports.reading.packages import DAMAGED, Package, too_large
from leads.imports.reading.tables import MAX_COLUMNS, Record, Unreadable, checked_header, fitted
from zevix.errors import ValidationFailed

_MAX_ROWS = 1_048_576
_MAX_CELL = 131_072  # characters
_MAX_STRINGS = 256 * 1024 * 1024  # bytes of a workbook's shared texts, which are kept in memory
_MAX_STYLES = 16 * 1024 * 1024  # bytes of what tells of sheets and styles
_MAX_TAG = 1024 * 1024  # bytes
_DATE = "date"
_SPAN = re.compile(r"\[[hms]+\]", re.IGNORECASE)  # hours beyond 24: how long, not when


class SheetSource:
    """The first sheet of a workbook that is not hidden, or the one named. Its first row that is not blank is the header.

    Cells are texts and numbers as they are kept, not as they are shown, except that dates are ``2024-11-20`` or
    ``2024-11-20 10:30:00``, and that numbers shown with leading zeros have them. Formulas are their values as last saved.
    Raises UnreadableFile for what is no workbook, ValidationFailed for a sheet that there is not.
    """

    def __init__(self, file: IO[bytes], *, sheet: str = "") -> None:
        with _readable():
            self._package = Package(file)
            book = _Workbook(self._package)
            self.sheet, self._part = book.sheet(sheet)
            self._formats = book.formats()
            self._texts = _Texts(self._package, book.texts) if book.texts in self._package else None
        self._epoch = book.epoch
        self._done = 0
        first = next(self._rows(), None)
        self.header = checked_header([str(cell) for cell in first.cells] if first else [])

    @property
    def fraction(self) -> float:
        return min(self._done / (self._package.size(self._part) or 1), 1)

    @property
    def found(self) -> dict[str, str]:
        return {"sheet": self.sheet}

    def records(self) -> Iterator[Record]:
        rows = self._rows()
        next(rows)
        width = len(self.header)
        for record in rows:
            yield fitted(record, width)

    def _rows(self) -> Iterator[Record]:
        """The rows that hold something."""
        reader = _SheetReader(self._texts, self._formats, self._epoch)
        self._done = 0
        with _readable():
            for piece in self._package.pieces(self._part):
                self._done += len(piece)
                reader.feed(piece)
                yield from reader.take()
                if reader.over:
                    self._done = self._package.size(self._part)
                    return
            reader.feed(b"", final=True)


@contextmanager
def _readable() -> Iterator[None]:
    """Whatever a damaged or hostile archive makes its readers say is one refusal."""
    try:
        yield
    except DAMAGED as error:
        raise UnreadableFile(reason=_("it is no Excel workbook (.xlsx) that can be read.")) from error


def _parser(start: Callable[[str, dict[str, str]], None]) -> expat.XMLParserType:
    """A parser that knows elements by their names without a namespace's prefix, and takes no document type, so no entities either."""

    def refuse(*_declared: Any) -> None:
        raise ValueError("a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    return parser


@lru_cache(maxsize=1_000)
def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Workbook:
    """Where in the package the sheets, styles and shared texts are."""

    def __init__(self, package: Package) -> None:
        self._package = package
        main = self._targets("", "_rels/.rels")
        self._main = next((path for kind, path in main.values() if kind == "officeDocument"), "xl/workbook.xml")
        if self._main not in package or self._main.endswith(".bin"):
            raise UnreadableFile(reason=_("it is an archive without an Excel workbook (.xlsx)."))
        folder, name = posixpath.split(self._main)
        self._parts = self._targets(folder, f"{folder}/_rels/{name}.rels")
        elements = list(self._elements(self._main))
        self.epoch = WINDOWS_EPOCH
        for element, attributes in elements:
            if element == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
                self.epoch = MAC_EPOCH
        self._sheets = [attributes for element, attributes in elements if element == "sheet"]

    @property
    def texts(self) -> str:
        return self._part_of_kind("sharedStrings")

    def sheet(self, wanted: str) -> tuple[str, str]:
        """Name and part of the sheet of that name, else of the first that is not hidden."""
        paths = {}
        for sheet in self._sheets:
            relation = next((value for name, value in sheet.items() if _local(name) == "id"), "")
            kind, path = self._parts.get(relation, ("", ""))
            visible = sheet.get("state", "visible") == "visible"
            if kind == "worksheet" and (wanted or visible):
                paths[sheet.get("name", "")] = path
        if wanted and wanted not in paths:
            there_are = _("There is no sheet “{name}”, but: {names}.")
            raise ValidationFailed(fields={"sheet": [there_are.format(name=wanted, names=", ".join(paths))]})
        name = wanted or next(iter(paths), "")
        if not paths or paths[name] not in self._package:
            raise UnreadableFile(reason=_("it has no sheet."))
        return name, paths[name]

    def formats(self) -> list[str | int]:
        """Of each cell style: `_DATE`, or how many digits a number is shown with at least (0 for any other)."""
        part = self._part_of_kind("styles")
        if part not in self._package:
            return []
        codes = dict(BUILTIN_FORMATS)
        styles: list[str | int] = []
        of_cells = False
        for element, attributes in self._elements(part):
            if element == "numFmt":
                codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
            elif element in {"cellXfs", "cellStyleXfs", "cellStyles"}:
                of_cells = element == "cellXfs"
            elif element == "xf" and of_cells:
                styles.append(_shown_as(codes.get(int(attributes.get("numFmtId", 0)), "General")))
        return styles

    def _part_of_kind(self, wanted: str) -> str:
        return next((path for kind, path in self._parts.values() if kind == wanted), "")

    def _targets(self, folder: str, part: str) -> dict[str, tuple[str, str]]:
        """Of a part's relations: id → (kind, part)."""
        if part not in self._package:
            return {}
        return {
            attributes.get("Id", ""): (
                posixpath.basename(attributes.get("Type", "")),
                posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", ""))).lstrip("/"),
            )
            for element, attributes in self._elements(part)
            if element == "Relationship"
        }

    def _elements(self, part: str) -> Iterator[tuple[str, dict[str, str]]]:
        met: list[tuple[str, dict[str, str]]] = []
        parser = _parser(lambda name, attributes: met.append((_local(name), attributes)))
        for piece in chain(self._package.pieces(part, limit=_MAX_STYLES), [None]):
            parser.Parse(piece or b"", piece is None)
            yield from met
            met.clear()


@lru_cache(maxsize=1_000)
def _shown_as(code: str) -> str | int:
    if _SPAN.search(code):
        return 0
    if is_date_format(code):
        return _DATE
    return len(code) if code.strip("0") == "" else 0


class _Gathering:
    """Feeds a part to the parser and gathers the text of the elements that the subclass is after."""

    def __init__(self) -> None:
        self._parser = _parser(self._start)
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


class _Texts(_Gathering):
    """The texts that cells share, in one piece of memory: a list of them would take several times as much."""

    def __init__(self, package: Package, part: str) -> None:
        super().__init__()
        self._written = bytearray()
        self._ends = array("Q", [0])
        self._aside = False
        for piece in package.pieces(part, limit=_MAX_STRINGS):
            self.feed(piece)
        self.feed(b"", final=True)

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            raise ValueError(number)
        return self._written[self._ends[number] : self._ends[number + 1]].decode()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match _local(name):
            case "t" if not self._aside:
                self._gather(self._text)
            case "rPh":  # how it is pronounced
                self._aside = True

    def _end(self, name: str) -> None:
        match _local(name):
            case "t":
                self._gather(None)
            case "rPh":
                self._aside = False
            case "si":
                self._written += _unescaped("".join(self._text)).encode()
                self._ends.append(len(self._written))
                self._text.clear()


class _SheetReader(_Gathering):
    """The rows of a sheet that hold something; `take` hands out those that are complete."""

    def __init__(self, texts: _Texts | None, formats: list[str | int], epoch: datetime) -> None:
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
        match _local(name):
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
        match _local(name):
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
        if shown == _DATE:
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
