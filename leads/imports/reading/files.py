"""Which kind of file it is."""

import io
from dataclasses import dataclass
from typing import IO

import orjson
from django.utils.translation import gettext as _

from leads.errors import UnreadableFile
from leads.imports.reading.csv_files import CsvSource
from leads.imports.reading.mending import Mended, is_list_of_rejected
from leads.imports.reading.objects import ObjectSource
from leads.imports.reading.returning import Returned, is_download
from leads.imports.reading.tables import Source
from leads.imports.reading.workbooks import SheetSource
from zevix.errors import Malformed, ValidationFailed

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Incoming:
    """A file as it came in, and what was said about it.

    ``encoding`` and ``delimiter`` are for text, ``sheet`` is for workbooks; they are found out where they are not given.
    """

    file: IO[bytes]
    name: str = ""
    is_json: bool = False
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""

    def table(self) -> Source:
        """The table in the file: its kind is what it holds, whatever it is called, but .tsv says that tabs part its cells.

        Raises UnreadableFile for what holds none, ValidationFailed for an encoding, delimiter or sheet that there is not.
        """
        if self.is_json or self.name.lower().endswith(".json"):
            return self._objects()
        self.file.seek(0)
        start = self.file.read(8)
        if start == _OLE:
            reason = _("it is protected by a password or of an old kind (.xls): save it as .xlsx without a password.")
            raise UnreadableFile(reason=reason)
        source: Source
        if start.startswith(_ZIP):
            source = SheetSource(self.file, sheet=self.sheet)
        else:
            by_name = "tab" if self.name.lower().endswith((".tsv", ".tab")) else ""
            source = CsvSource(self.file, encoding=self.encoding, delimiter=self.delimiter or by_name)
        if is_list_of_rejected(source.header):
            source = Mended(source)
        return Returned(source) if is_download(source.header) else source

    def _objects(self) -> Source:
        self.file.seek(0)
        try:
            sent = orjson.loads(self.file.read())
        except orjson.JSONDecodeError:
            raise Malformed
        if isinstance(sent, dict) and sent.keys() == {"csv"} and isinstance(sent["csv"], str):
            text = io.BytesIO(sent["csv"].encode())
            return Incoming(text, encoding="utf-8", delimiter=self.delimiter).table()
        if not isinstance(sent, list):
            raise ValidationFailed(fields={"csv": [_("Send CSV text under `csv`, or an array of objects.")]})
        return ObjectSource(sent)
