"""Excel workbooks (.xlsx): one sheet of them, row by row.

Written on the XML parser itself. openpyxl, whose knowledge of number formats and dates serves here, takes three times as long for
a sheet, refuses workbooks for styles that are of no interest, and goes on from row 2 to row 999,999,999 where one says so.
The format: ECMA-376, part 1, 18.3 (worksheets), 18.4 (shared strings), 18.8 (styles).
"""

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import IO

from django.utils.translation import gettext as _
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH

from leads.errors import UnreadableFile
from leads.imports.reading.packages import DAMAGED, Package
from leads.imports.reading.sheets import DATE, SheetReader, Texts, local, parser_of
from leads.imports.reading.tables import Record, checked_header, fitted
from zevix.errors import ValidationFailed

_MAX_STRINGS = 256 * 1024 * 1024  # bytes of a workbook's shared texts, which are kept in memory
_MAX_STYLES = 16 * 1024 * 1024  # bytes of what tells of sheets and styles
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
            self._texts = book.texts()
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
        reader = SheetReader(self._texts, self._formats, self._epoch)
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

    def texts(self) -> Texts | None:
        """Those that the cells share."""
        part = self._part_of_kind("sharedStrings")
        return Texts(self._package.pieces(part, limit=_MAX_STRINGS)) if part in self._package else None

    def sheet(self, wanted: str) -> tuple[str, str]:
        """Name and part of the sheet of that name, else of the first that is not hidden."""
        paths = {}
        for sheet in self._sheets:
            relation = next((value for name, value in sheet.items() if local(name) == "id"), "")
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
        """Of each cell style: `DATE`, or how many digits a number is shown with at least (0 for any other)."""
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
        parser = parser_of(lambda name, attributes: met.append((local(name), attributes)))
        for piece in chain(self._package.pieces(part, limit=_MAX_STYLES), [None]):
            parser.Parse(piece or b"", piece is None)
            yield from met
            met.clear()


@lru_cache(maxsize=1_000)
def _shown_as(code: str) -> str | int:
    if _SPAN.search(code):
        return 0
    if is_date_format(code):
        return DATE
    return len(code) if code.strip("0") == "" else 0
