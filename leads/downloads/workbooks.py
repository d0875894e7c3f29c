"""A workbook of one sheet, packed while it is written.

openpyxl and XlsxWriter make an object of each cell, and manage a tenth of the rows (docs/decisions/0012). Here a row is ``COPY``'s line
put into a template: texts are inline strings, so no cell can be a formula.
"""

import re
import zipfile
from collections.abc import Iterator, Sequence
from io import RawIOBase
from typing import Any

from leads.downloads.rows import Column, Rows

MAX_CELL = 32_767  # characters; Excel refuses a workbook with a longer one

_DECLARED = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f"""<Types xmlns="{_PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>
<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>""",
    "_rels/.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>""",
    "xl/workbook.xml": f"""<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">
<sheets><sheet name="Leads" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>""",
    # the second format is that of the header
    "xl/styles.xml": f"""<styleSheet xmlns="{_MAIN}">
<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>
<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>
<borders count="1"><border/></borders>
<cellStyleXfs count="1"><xf/></cellStyleXfs>
<cellXfs count="2"><xf/><xf fontId="1" applyFont="1"/></cellXfs>
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>""",
}
_SHEET = f"""{_DECLARED}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" \
activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>""".encode()

# A cell is put together of signs that no text has any more, and spelt out at the end, all rows of a slice at once: a blank one is
# _OPEN + _CLOSE, a number lies between _NUMBER and _END.
_OPEN, _CLOSE, _NUMBER, _END = b"\x01", b"\x02", b"\x03", b"\x04"
_SPELT = [
    (_OPEN + _CLOSE, b"<c/>"),
    (_OPEN + _NUMBER, b"<c><v>"),
    (_END + _CLOSE, b"</v></c>"),
    (_OPEN, b'<c t="inlineStr"><is><t xml:space="preserve">'),
    (_CLOSE, b"</t></is></c>"),
]
# as many digits as Excel keeps
_PLAIN = re.compile(rb"-?(?=[0-9.]{1,16}$)(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,14})?")


def written(rows: Rows) -> Iterator[bytes]:
    hand_over = _HandOver()
    # quick to pack; the best way takes three times as long, for files a tenth smaller
    with zipfile.ZipFile(hand_over, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, part in _PARTS.items():
            package.writestr(name, _DECLARED + part)
        with package.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(_SHEET + _header(rows.columns))
            numbers = [place for place, column in enumerate(rows.columns) if column.is_number]
            for lines in rows.copied("FORMAT text, NULL ''", longest=MAX_CELL):
                sheet.write(_sheet_rows(lines, numbers))
                yield hand_over.taken()
            sheet.write(b"</sheetData></worksheet>")
    yield hand_over.taken()


class _HandOver(RawIOBase):
    """Where the package is written to: it can't be read back, and is empty once its bytes are taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _header(columns: Sequence[Column]) -> bytes:
    line = b"\t".join(_as_copied(column.heading) for column in columns) + b"\n"
    return _sheet_rows([line], []).replace(b"<c ", b'<c s="1" ')


def _as_copied(text: str) -> bytes:
    return text.translate({ord("\\"): r"\\", ord("\t"): r"\t", ord("\n"): r"\n", ord("\r"): r"\r"}).encode()


def _sheet_rows(lines: list[bytes], numbers: Sequence[int]) -> bytes:
    """The lines of `COPY` as rows of the sheet; ``numbers`` are the places of cells that may be such."""
    found = _as_xml(b"".join(lines)).split(b"\n")[:-1]
    rows = b"".join(
        [b"<row>" + _OPEN + (_CLOSE + _OPEN).join(_cells(line, numbers)) + _CLOSE + b"</row>" for line in found]
    )
    for signs, spelt in _SPELT:
        rows = rows.replace(signs, spelt)
    return rows


def _cells(line: bytes, numbers: Sequence[int]) -> list[bytes]:
    cells = line.split(b"\t")
    for place in numbers:
        if _PLAIN.fullmatch(cells[place]):
            cells[place] = _NUMBER + cells[place] + _END
    return cells


_UNHOLDABLE = bytes(code for code in range(0x20) if code not in b"\t\n")
_ESCAPED_BY_COPY = re.compile(rb"\\(.)")
_MEANT = {b"t": b"&#9;", b"n": b"&#10;", b"r": b"&#13;", b"\\": b"\\"}
_TAKEN_FOR_AN_ESCAPE = re.compile(rb"_(?=x[0-9A-Fa-f]{4}_)")


def _as_xml(text: bytes) -> bytes:
    """What `COPY` has written, without what XML can't hold; tabs and line breaks stay where they part cells and rows."""
    text = text.translate(None, _UNHOLDABLE).replace(b"\xef\xbf\xbe", b"").replace(b"\xef\xbf\xbf", b"")
    text = text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    if b"\\" in text:
        text = _ESCAPED_BY_COPY.sub(lambda found: _MEANT.get(found[1], b""), text)
    return _TAKEN_FOR_AN_ESCAPE.sub(b"_x005F_", text) if b"_x" in text else text
