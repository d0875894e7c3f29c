"""Tables, such as of products: each row a section of its own, so that it is found by itself."""

from collections.abc import Iterator
from typing import IO

from ai.knowledge.sections import Section
from ai.knowledge.texts import plain
from leads.imports.reading import CsvSource

_CATEGORY = ("category", "kategorie")
_LONGEST = 100  # characters of a category


def sections(file: IO[bytes]) -> Iterator[Section]:
    """``column: value``, a line for each cell that has one. A column “category” or “Kategorie” is the row's own. Raises UnreadableFile."""
    table = CsvSource(file)
    names = [plain(name) for name in table.header]
    place = next((number for number, name in enumerate(names) if name.lower() in _CATEGORY), None)
    for record in table.records():
        cells = [plain(str(cell)).strip() for cell in record.cells]
        lines = [f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=False) if cell]
        own = cells[place][:_LONGEST].strip() if place is not None and place < len(cells) else ""
        if lines:
            yield Section("\n".join(lines), category=own or None)
