"""Bodies that may be large: read in pieces onto disk, never whole into memory, and no further than the limit."""

import hashlib
import tempfile
from dataclasses import dataclass
from typing import IO, Any

from rest_framework.parsers import BaseParser

from zevix.errors import TooLarge

_PIECE = 256 * 1024  # bytes
_IN_MEMORY = 1024 * 1024  # bytes


@dataclass(frozen=True)
class Upload:
    """A body that was taken in, with its SHA-256."""

    file: IO[bytes]
    digest: bytes


def take_in(stream: IO[bytes], *, limit: int) -> Upload:
    """Read ``stream`` to its end. Raises TooLarge past ``limit`` bytes."""
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # lives as long as the upload
    digest = hashlib.sha256()
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > limit:
            file.close()
            raise TooLarge(limit=limit)
        digest.update(piece)
        file.write(piece)
    file.seek(0)
    return Upload(file, digest.digest())


class CsvParser(BaseParser):
    """``text/csv`` as an `Upload`; the view's ``max_body`` is the limit in bytes."""

    media_type = "text/csv"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return take_in(stream, limit=parser_context["view"].max_body)
