"""Files that Zevix wrote itself, which somebody imports again: their cells are read back as they stood."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from leads.formulas import restored
from leads.imports.reading.tables import Record, Retold, Source

COLUMNS = ["row", "error"]


def is_list_of_rejected(header: Sequence[str]) -> bool:
    return list(header[:2]) == COLUMNS and len(header) > 2


class Mended(Retold):
    """A list of rejected rows as the file that they came from: without line and error, cells as they stood."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.header = [restored(heading) for heading in source.header[2:]]

    def records(self) -> Iterator[Record]:
        for record in self.source.records():
            cells = [restored(cell) for cell in record.cells[2:]]
            if record.problem or any(str(cell).strip() for cell in cells):
                yield replace(record, cells=cells)
