"""The rejected rows of an import as a CSV file, to be mended and imported again."""

import csv
import io
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from leads.formulas import harmless
from leads.imports.reading.mending import COLUMNS
from leads.models import ImportBatch

_BOM = "\ufeff"  # without it Excel takes UTF-8 for something else


def lines(batch: ImportBatch) -> Iterator[str]:
    """The file, line by line: each rejected row once and as it stood, with its line and the reasons in front.

    It has the delimiter of the file that it came from. An import of it leaves the first two columns out, and reads back what was
    written otherwise so that no spreadsheet runs it.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=batch.options.get("delimiter") or ",")

    def line(cells: list[str]) -> str:
        writer.writerow(map(harmless, cells))
        written = text.getvalue()
        text.seek(0)
        text.truncate()
        return written

    yield _BOM + line([*COLUMNS, *batch.header])
    problems = batch.row_errors.order_by("row", "id").iterator(chunk_size=2000)
    for row, several in groupby(problems, key=attrgetter("row")):
        found = list(several)
        reasons = [f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in found]
        yield line([str(row), " ".join(reasons), *found[0].cells])
