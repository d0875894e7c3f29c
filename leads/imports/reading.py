"""Tables as they come: which encoding, which delimiter, and the records one by one, never the whole file at once."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from django.utils.translation import gettext as _

from leads.errors import NotACsv
from leads.imports.headings import recognised
from zevix.errors import ValidationFailed

MAX_COLUMNS = 2_000
MAX_LINE = 1024 * 1024  # characters
_CHUNK = 1024 * 1024  # bytes
_DELIMITERS = ",;\t|"
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# control characters that no text file holds; NUL is one of them
_BINARY = bytes(code for code in range(32) if chr(code) not in "\t\n\r\x0b\x0c\x1a\x1b")


@dataclass(frozen=True)
class Record:
    """One row: ``row`` is its line as a spreadsheet shows it, the header being 1. ``problem`` says why it can't be read."""

    row: int
    cells: list[Any]
    problem: str = ""


class Source(Protocol):
    """A table that can be read more than once."""

    header: list[str]

    def records(self) -> Iterator[Record]: ...


class CsvSource:
    """A CSV file: encoding and delimiter are found out, unless they are given.

    Raises NotACsv for what is no text, has no header, or has lines or cells beyond all measure.
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        encoding: str = "",
        delimiter: str = "",
        progress: Callable[[int], None] = lambda position: None,
    ) -> None:
        self.file = file
        self.progress = progress
        self.encoding = _checked_encoding(encoding) if encoding else detect_encoding(file)
        self.delimiter = _checked_delimiter(delimiter) if delimiter else self._detect_delimiter()
        self.header = self._header()

    def records(self) -> Iterator[Record]:
        rows = self._rows(self.delimiter)
        next(rows)
        width = len(self.header)
        for record in rows:
            if record.problem or any(cell.strip() for cell in record.cells):
                yield _fitted(record, width)

    def _rows(self, delimiter: str) -> Iterator[Record]:
        """All records, the header and blank ones too; a spreadsheet counts them all."""
        self.file.seek(0)
        lines = _lines(self.file, self.encoding, self.progress)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "expected after" not in str(error):
                    raise _unreadable(error, number)
                # only this line is lost: the reader begins anew with the next
                yield Record(number, [], _("A quotation mark inside a quoted cell must be doubled."))
                continue
            yield Record(number, cells)

    def _header(self) -> list[str]:
        first = next(self._rows(self.delimiter), None)
        if first is None or first.problem or not any(cell.strip() for cell in first.cells):
            raise NotACsv(reason=_("there is no header in its first line."))
        if len(first.cells) > MAX_COLUMNS:
            raise NotACsv(reason=_("it has more than {limit} columns.").format(limit=MAX_COLUMNS))
        return [cell.strip() for cell in first.cells]

    def _detect_delimiter(self) -> str:
        """The one by which most headings are known; among equals the one that makes most columns."""

        def known_and_columns(delimiter: str) -> tuple[int, int]:
            try:
                cells = next(self._rows(delimiter)).cells
            except (StopIteration, NotACsv):
                cells = []
            return (recognised(cells[:MAX_COLUMNS]), len(cells))

        return max(_DELIMITERS, key=known_and_columns)


class ObjectSource:
    """A JSON array of objects; ``row`` counts them from 1."""

    def __init__(self, objects: Sequence[Any]) -> None:
        if not objects:
            raise ValidationFailed(fields={"non_field_errors": [_("The list is empty.")]})
        self.objects = objects
        self.header = list(dict.fromkeys(str(key) for item in objects if isinstance(item, dict) for key in item))
        if len(self.header) > MAX_COLUMNS:
            raise NotACsv(reason=_("it has more than {limit} columns.").format(limit=MAX_COLUMNS))
        if any("\x00" in name for name in self.header):
            raise NotACsv(reason=_("it is a binary file."))

    def records(self) -> Iterator[Record]:
        for number, item in enumerate(self.objects, start=1):
            if not isinstance(item, dict):
                yield Record(number, [], _("This is no object."))
                continue
            yield Record(number, [item.get(name) for name in self.header])


def detect_encoding(file: IO[bytes]) -> str:
    """UTF-8 with or without BOM, UTF-16, else Windows-1252. Reads the file through once, a piece at a time. Raises NotACsv."""
    file.seek(0)
    start = file.read(_CHUNK)
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            return encoding
    if b"\x00" in start:
        return _bare_utf16(start)
    for encoding in ("utf-8", "windows-1252"):
        if _decodes(file, encoding):
            return encoding
    raise NotACsv(reason=_("it is no text in UTF-8, UTF-16 or Windows-1252."))


def _bare_utf16(start: bytes) -> str:
    """Western text in UTF-16 has a NUL in every second byte; anything else with NULs is no text."""
    even, odd = start[::2], start[1::2]
    if odd.count(0) > 0.7 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.7 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    raise NotACsv(reason=_("it is a binary file."))


def _decodes(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    while chunk := file.read(_CHUNK):
        if len(chunk.translate(None, _BINARY)) < len(chunk):
            raise NotACsv(reason=_("it is a binary file."))
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError:
            return False
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines(file: IO[bytes], encoding: str, progress: Callable[[int], None]) -> Iterator[str]:
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    number = 0
    try:
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise NotACsv(
                    reason=_("line {number} is longer than {limit} characters.").format(number=number, limit=MAX_LINE)
                )
            if "\x00" in line:
                raise NotACsv(reason=_("it is a binary file."))
            if number == 1:
                line = line.removeprefix("\ufeff")  # where the encoding was given, and named no BOM
            if number % 5000 == 0:
                progress(file.tell())
            yield line
        progress(file.tell())
    except UnicodeError:
        raise NotACsv(reason=_("it is not in the encoding {encoding}.").format(encoding=encoding))
    finally:
        text.detach()  # the file is the caller's, and is read again


def _fitted(record: Record, width: int) -> Record:
    """The record with as many cells as the header; blanks that a spreadsheet left away come back."""
    cells = record.cells
    if len(cells) == width or record.problem:
        return record
    if len(cells) < width:
        return Record(record.row, cells + [""] * (width - len(cells)))
    if any(cells[width:]):
        problem = _("It has {count} cells, the header {width}.").format(count=len(cells), width=width)
        return Record(record.row, cells[:MAX_COLUMNS], problem)
    return Record(record.row, cells[:width])


def _unreadable(error: csv.Error, row: int) -> NotACsv:
    if "field limit" in str(error):
        limit = csv.field_size_limit()
        reason = _("a cell in row {row} is longer than {limit} characters; is a closing quotation mark missing?")
        return NotACsv(reason=reason.format(row=row, limit=limit))
    if "unexpected end" in str(error):
        return NotACsv(reason=_("the quotation mark opened in row {row} is never closed.").format(row=row))
    return NotACsv(reason=_("row {row} is no CSV.").format(row=row))


# Python's own inventions: no file is written in them, and what they decode to need not be text
_NO_FILES = {"charmap", "idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"}


def _checked_encoding(name: str) -> str:
    try:
        found = codecs.lookup(name).name
        "".encode(found)  # some codecs are no encodings of text: zip, rot13
    except (LookupError, ValueError):
        found = ""
    if not found or found.replace("-", "_") in _NO_FILES:
        raise ValidationFailed(fields={"encoding": [_("There is no such encoding.")]})
    return "utf-8-sig" if found == "utf-8" else found


def _checked_delimiter(written: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(written.lower(), written)
    if delimiter not in tuple(_DELIMITERS):
        raise ValidationFailed(fields={"delimiter": [_("One of: comma, semicolon, tab, pipe.")]})
    return delimiter
