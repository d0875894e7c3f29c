"""CSV and TSV files: which encoding, which delimiter, and the records one by one."""

import csv
import io
import os
import re
from collections.abc import Iterator
from typing import IO

from django.utils.translation import gettext as _

from leads.errors import UnreadableFile
from leads.imports.headings import recognised
from leads.imports.reading.encodings import checked_encoding, detect_encoding
from leads.imports.reading.tables import MAX_COLUMNS, Record, checked_header, fitted
from zevix.errors import ValidationFailed

MAX_LINE = 1024 * 1024  # characters
DELIMITERS = ",;\t|"
# what Excel writes, hides and obeys: the delimiter, in a line of its own before the header
_HINT = re.compile(r"\"?sep=(.)\"?\r?\n?", re.IGNORECASE)


class CsvSource:
    """A CSV file: encoding and delimiter are found out, unless they are given.

    Raises UnreadableFile for what is no text, has no header, or has lines or cells beyond all measure.
    """

    def __init__(self, file: IO[bytes], *, encoding: str = "", delimiter: str = "") -> None:
        self.file = file
        self.encoding = checked_encoding(encoding) if encoding else detect_encoding(file)
        self._size = file.seek(0, os.SEEK_END)
        self._hint = self._hinted()
        self._line = ""
        self.delimiter = _checked_delimiter(delimiter) if delimiter else self._hint or self._detect_delimiter()
        self.header = self._header()

    @property
    def fraction(self) -> float:
        return min(self.file.tell() / self._size, 1) if self._size else 1

    @property
    def found(self) -> dict[str, str]:
        return {"encoding": self.encoding, "delimiter": self.delimiter}

    def records(self) -> Iterator[Record]:
        rows = self._rows(self.delimiter)
        next(rows)
        width = len(self.header)
        for record in rows:
            if record.problem or any(cell.strip() for cell in record.cells):
                yield fitted(record, width)

    def _rows(self, delimiter: str) -> Iterator[Record]:
        """All records, the header and blank ones too; a spreadsheet counts them all."""
        reader = csv.reader(self._lines(), delimiter=delimiter, strict=True)
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
                written = self._line.rstrip("\r\n").split(delimiter)[:MAX_COLUMNS]
                yield Record(number, written, _("A quotation mark inside a quoted cell must be doubled."))
                continue
            yield Record(number, cells)

    def _header(self) -> list[str]:
        first = next(self._rows(self.delimiter), None)
        return checked_header([] if first is None or first.problem else first.cells)

    def _detect_delimiter(self) -> str:
        """The one by which most headings are known; among equals the one that makes most columns."""

        def known_and_columns(delimiter: str) -> tuple[int, int]:
            try:
                first = next(self._rows(delimiter))
            except (StopIteration, UnreadableFile):
                return (0, 0)
            cells = [] if first.problem else first.cells
            return (recognised(cells[:MAX_COLUMNS]), len(cells))

        return max(DELIMITERS, key=known_and_columns)

    def _hinted(self) -> str:
        self._hint = ""
        told = _HINT.fullmatch(next(self._lines(), ""))
        return told[1] if told and told[1] in DELIMITERS else ""

    def _lines(self) -> Iterator[str]:
        self.file.seek(0)
        text = io.TextIOWrapper(self.file, encoding=self.encoding, newline="")
        number = 0
        try:
            while line := text.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    reason = _("line {number} is longer than {limit} characters.")
                    raise UnreadableFile(reason=reason.format(number=number, limit=MAX_LINE))
                if "\x00" in line:
                    raise UnreadableFile(reason=_("it is a binary file."))
                if number == 1:
                    line = line.removeprefix("\ufeff")  # where the encoding was given, and named no BOM
                    if self._hint:
                        continue
                self._line = line
                yield line
        except UnicodeError:
            raise UnreadableFile(reason=_("it is not in the encoding {encoding}.").format(encoding=self.encoding))
        finally:
            text.detach()  # the file is the caller's, and is read again


def _unreadable(error: csv.Error, row: int) -> UnreadableFile:
    if "field limit" in str(error):
        limit = csv.field_size_limit()
        reason = _("a cell in row {row} is longer than {limit} characters; is a closing quotation mark missing?")
        return UnreadableFile(reason=reason.format(row=row, limit=limit))
    if "unexpected end" in str(error):
        return UnreadableFile(reason=_("the quotation mark opened in row {row} is never closed.").format(row=row))
    return UnreadableFile(reason=_("row {row} is no CSV.").format(row=row))


def _checked_delimiter(written: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(written.lower(), written)
    if delimiter not in tuple(DELIMITERS):
        raise ValidationFailed(fields={"delimiter": [_("One of: comma, semicolon, tab, pipe.")]})
    return delimiter
