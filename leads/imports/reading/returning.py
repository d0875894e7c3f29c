"""A downloaded export that somebody imports again: its cells are read back as they stood, and what only Zevix writes is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from leads.formulas import restored
from leads.imports.reading.tables import Record, Retold, Source
from leads.values import LISTS

_SIGNS = {"id", "external_id"}
_OURS = {"email_status", "assigned_user_id", "assigned_user", "import_batch_id", "created_at", "updated_at", "version"}


def is_download(header: Sequence[str]) -> bool:
    """Whether it has the columns of one; some may be gone, for people delete what they do not need."""
    return set(header) >= _SIGNS and bool(_OURS & set(header))


class Returned(Retold):
    """A download as a file of leads."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._kept = [
            (index, _entries if heading in LISTS else restored)
            for index, heading in enumerate(source.header)
            if heading != "id" and heading not in _OURS
        ]
        self.header = [source.header[index] for index, _read in self._kept]

    def records(self) -> Iterator[Record]:
        for record in self.source.records():
            yield (
                record
                if record.problem
                else replace(record, cells=[read(record.cells[index]) for index, read in self._kept])
            )


def _entries(cell: Any) -> Any:
    """The entries of a list; one that can't be written with semicolons stands as JSON."""
    if not isinstance(cell, str) or not cell:
        return cell
    try:
        found = orjson.loads(cell) if cell.startswith("[") else cell.split(";")
    except orjson.JSONDecodeError:
        found = cell.split(";")
    return found
