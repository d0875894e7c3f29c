"""Excel workbooks for tests: whole ones as openpyxl writes them, and hand-written ones that it would never write."""

import io
import zipfile
from typing import Any

from openpyxl import Workbook

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def workbook(*rows: list[Any], **sheets: list[list[Any]]) -> bytes:
    """A workbook with one sheet of these rows, or with the sheets named."""
    book = Workbook(write_only=True)
    for name, table in (sheets or {"Leads": list(rows)}).items():
        sheet = book.create_sheet(name)
        for row in table:
            sheet.append(row)
    return saved(book)


def saved(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def handmade(
    rows: str = "", *, sheet: str = "", styles: str = "", texts: str = "", parts: dict[str, Any] | None = None
) -> bytes:
    """A workbook of hand-written XML: ``rows`` of a sheet, or the whole ``sheet``; ``parts`` replace whole parts, None leaves one out."""
    whole = {
        "_rels/.rels": f'<Relationships {_PACKAGE}><Relationship Id="a" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_RELATIONS}"><sheets><sheet name="One" sheetId="1" r:id="s"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships {_PACKAGE}>"
        f'<Relationship Id="s" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="t" Type="{_RELATIONS}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
        f'<Relationship Id="f" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet or f"<worksheet {_MAIN}><sheetData>{rows}</sheetData></worksheet>",
        "xl/sharedStrings.xml": f"<sst {_MAIN}>{texts}</sst>" if texts else None,
        "xl/styles.xml": f"<styleSheet {_MAIN}>{styles}</styleSheet>" if styles else None,
    } | (parts or {})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in whole.items():
            if content is not None:
                archive.writestr(name, content)
    return file.getvalue()
