"""Tables as they come, each read record by record, never the whole file at once.

`Incoming` is a file of any kind: text (CSV, TSV), a workbook (.xlsx), JSON.
"""

from leads.imports.reading.csv_files import CsvSource
from leads.imports.reading.files import Incoming
from leads.imports.reading.objects import ObjectSource
from leads.imports.reading.tables import Record, Source, Unreadable
from leads.imports.reading.workbooks import SheetSource

__all__ = ["CsvSource", "Incoming", "ObjectSource", "Record", "SheetSource", "Source", "Unreadable"]
