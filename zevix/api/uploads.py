"""Bodies that may be large: read in pieces onto disk, never whole into memory, and no further than the limit."""

import hashlib
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any

from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser

from zevix.errors import Malformed, TooLarge, ValidationFailed

_PIECE = 256 * 1024  # bytes
_IN_MEMORY = 1024 * 1024  # bytes
_ENVELOPE = 3 * 1024 * 1024  # bytes that the parts of a form may take besides the file


@dataclass(frozen=True)
class Upload:
    """A file that was taken in, with its SHA-256; its name and the ``options`` beside it where it came in a form."""

    file: IO[bytes]
    digest: bytes
    media_type: str
    name: str = ""
    options: dict[str, str] = field(default_factory=dict)


class TakesUploads:
    """For API views with the parsers below: ``max_body`` is the limit in bytes, and what was taken in is gone after the answer."""

    max_body: int
    uploads: ExitStack

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as self.uploads:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # a mixin before APIView


class _FileParser(BaseParser):
    """A body that is a file, as an `Upload`, for views that are `TakesUploads`."""

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        view: TakesUploads = parser_context["view"]
        taken = _Taken(view.max_body, view.uploads)
        while piece := stream.read(_PIECE):
            taken.add(piece)
        return Upload(taken.finished(), taken.digest.digest(), self.media_type)


class CsvParser(_FileParser):
    media_type = "text/csv"


class TsvParser(_FileParser):
    media_type = "text/tab-separated-values"


class WorkbookParser(_FileParser):
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class JsonFileParser(_FileParser):
    media_type = "application/json"


class FormParser(BaseParser):
    """A form with one file, under whatever name, as an `Upload`; its other fields are the ``options``."""

    media_type = "multipart/form-data"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        view: TakesUploads = parser_context["view"]
        meta = parser_context["request"].META
        part = _FilePart(_Taken(view.max_body, view.uploads))
        body = _Counted(stream, view.max_body + _ENVELOPE)
        try:
            fields, _files = MultiPartParser(meta, body, [part], "utf-8").parse()  # type: ignore[arg-type]  # it only reads
        except MultiPartParserError:
            raise Malformed
        if not body.ended_with(_boundary(meta)):
            raise Malformed  # half a file would else be imported as a whole one
        if part.name is None:
            raise ValidationFailed(fields={"file": [_("Send one file.")]})
        several = [name for name, values in fields.lists() if len(values) > 1]
        if several:
            raise ValidationFailed(fields={name: [_("This may be given once.")] for name in several})
        taken = part.taken
        options = {name: str(value) for name, value in fields.items()}
        return Upload(taken.finished(), taken.digest.digest(), self.media_type, part.name[:255], options)


class _Taken:
    """What has been taken in of a file. Raises TooLarge past ``limit`` bytes; ``until`` closes it."""

    def __init__(self, limit: int, until: ExitStack) -> None:
        self.limit = limit
        self.size = 0
        self.digest = hashlib.sha256()
        self.file: IO[bytes] = until.enter_context(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.limit:
            raise TooLarge(limit=self.limit)
        self.digest.update(piece)
        self.file.write(piece)

    def finished(self) -> IO[bytes]:
        self.file.seek(0)
        return self.file


class _FilePart(FileUploadHandler):
    """Django's way to be handed a form's files, a piece at a time."""

    name: str | None = None

    def __init__(self, taken: _Taken) -> None:
        super().__init__()
        self.taken = taken

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        if self.name is not None:
            raise ValidationFailed(fields={field_name: [_("Send one file.")]})
        self.name = file_name

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.taken.add(raw_data)

    def file_complete(self, file_size: int) -> None:
        return None


class _Counted:
    """A stream that remembers its end and is read no further than the limit."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream, self.left, self.limit = stream, limit, limit
        self.tail = b""

    def read(self, size: int) -> bytes:
        piece = self.stream.read(size)
        self.left -= len(piece)
        if self.left < 0:
            raise TooLarge(limit=self.limit)
        self.tail = (self.tail + piece)[-1_000:]
        return piece

    def ended_with(self, boundary: str) -> bool:
        return f"--{boundary}--".encode() in self.tail


def _boundary(meta: dict[str, str]) -> str:
    _media_type, parameters = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
    return parameters.get("boundary", "")
