"""Handing an export out as a file, piece by piece."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Self

from leads.downloads import csv_files, json_files, workbooks
from leads.downloads.rows import Rows
from leads.downloads.slots import Slot
from leads.errors import ExportFailed, StillRunning
from leads.models import Export

PIECE = 64 * 1024  # bytes; a few pieces wait between the server and a slow reader


@dataclass(frozen=True)
class Format:
    content_type: str
    written: Callable[[Rows], Iterator[bytes]]


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", csv_files.written),
    "xlsx": Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", workbooks.written),
    "json": Format("application/json", json_files.written),
}


class Download:
    """The file of an export, to be read to its end or closed, by the thread that began it.

    Raises StillRunning, ExportFailed, TooManyCustomFields; RateLimited where the workspace has enough downloads going already.
    An error while it is read breaks the file off: its end is missing.
    """

    def __init__(self, export: Export, format: str) -> None:
        if export.is_under_way:
            raise StillRunning
        if not export.has_file:
            raise ExportFailed
        self.content_type = FORMATS[format].content_type
        self.headers = {
            "Content-Disposition": f'attachment; filename="zevix-export-{export.pk}.{format}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        }
        self._slot = Slot.of(export.workspace_id)
        self._pieces = _even(FORMATS[format].written(Rows(export)))
        try:
            # what fails by now is answered as a refusal, not as a file without an end
            self._first = next(self._pieces)
        except BaseException:
            self._slot.free()
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()
        self._slot.free()


def _even(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    for piece in pieces:
        for start in range(0, len(piece), PIECE):
            yield piece[start : start + PIECE]
