"""CSV as RFC 4180 has it: commas, CRLF, a header; in UTF-8 with a mark in front, without which Excel takes it for something else."""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterator

from leads.downloads.rows import Rows


def written(rows: Rows) -> Iterator[bytes]:
    yield BOM_UTF8 + _header([column.heading for column in rows.columns])
    for lines in rows.copied("FORMAT csv"):
        yield b"".join([line[:-1] + b"\r\n" for line in lines])


def _header(headings: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(headings)
    return line.getvalue().encode()
