"""The archive that a workbook is, opened as what a stranger sent: no part is unpacked beyond its measure."""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from django.conf import settings
from django.utils.translation import gettext as _

from leads.errors import UnreadableFile

_PIECE = 64 * 1024  # bytes
_SMALL = 16 * 1024 * 1024  # bytes; a part of any workbook may come to that
_RATIO = 200  # sheets are packed to about a tenth, blank ones to a hundredth; a bomb to a thousandth
_MAX_DIRECTORY = 1024 * 1024  # bytes, about 15,000 parts
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"


class Package:
    """The parts of an archive by their names. What can't be read raises one of `DAMAGED`, or UnreadableFile."""

    def __init__(self, file: IO[bytes]) -> None:
        self._size = file.seek(0, os.SEEK_END)
        _check_directory(file, self._size)
        self._zip = zipfile.ZipFile(file)

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def size(self, name: str) -> int:
        """Of the unpacked part, in bytes, as the archive tells; it is never more."""
        return self._zip.getinfo(name).file_size

    def pieces(self, name: str, limit: int = 0) -> Iterator[bytes]:
        """The part, unpacked, of at most ``limit`` bytes where one is given."""
        info = self._zip.getinfo(name)
        if info.flag_bits & 1 or info.compress_type not in _METHODS:
            raise UnreadableFile(reason=_("it is packed in a way that no workbook is."))
        most = min(settings.IMPORT_MAX_UNPACKED_BYTES, max(_SMALL, self._size * _RATIO), limit or self._size * 2_000)
        if info.file_size > most:
            raise too_large()
        with self._zip.open(info) as part:
            while piece := part.read(_PIECE):
                yield piece


DAMAGED = (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, KeyError, OverflowError, ValueError,
           NotImplementedError, struct.error)  # fmt: skip


def too_large() -> UnreadableFile:
    return UnreadableFile(reason=_("unpacked it would be too large."))


def _check_directory(file: IO[bytes], size: int) -> None:
    """The list of parts is read as a whole, so it must not be what fills the memory."""
    file.seek(max(0, size - 66_000))
    tail = file.read()
    end = len(tail) - 22 if tail[-22:-18] == _END else tail.rfind(_END)
    if end < 0:
        raise zipfile.BadZipFile
    (length,) = struct.unpack_from("<L", tail, end + 12)
    larger = tail.rfind(_END_64, 0, end)
    if larger >= 0:
        length = max(length % 0xFFFFFFFF, *struct.unpack_from("<Q", tail, larger + 40))
    if length > _MAX_DIRECTORY:
        raise too_large()
