"""Bodies that may be large: read in pieces onto disk, never whole into memory, and no further than the limit."""

import hashlib
import tempfile
from contextlib import ExitStack
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


class TakesUploads:
    """For API views with `CsvParser`: ``max_body`` is the limit in bytes, and what was taken in is gone after the answer."""

    max_body: int
    uploads: ExitStack

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as self.uploads:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # a mixin before APIView


class CsvParser(BaseParser):
    """``text/csv`` as an `Upload`, for views that are `TakesUploads`."""

    media_type = "text/csv"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        view: TakesUploads = parser_context["view"]
        return take_in(stream, limit=view.max_body, until=view.uploads)


def take_in(stream: IO[bytes], *, limit: int, until: ExitStack) -> Upload:
    """Read ``stream`` to its end; ``until`` closes the file. Raises TooLarge past ``limit`` bytes."""
    file = until.enter_context(tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115  # `until` closes it
    digest = hashlib.sha256()
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > limit:
            raise TooLarge(limit=limit)
        digest.update(piece)
        file.write(piece)
    file.seek(0)
    return Upload(file, digest.digest())
