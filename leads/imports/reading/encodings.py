"""Which encoding a text is in."""

import codecs
from typing import IO

from django.utils.translation import gettext as _

from leads.errors import UnreadableFile
from zevix.errors import ValidationFailed

_PIECE = 1024 * 1024  # bytes
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# control characters that no text file holds; NUL is one of them
_BINARY = bytes(code for code in range(32) if chr(code) not in "\t\n\r\x0b\x0c\x1a\x1b")

# Python's own inventions: no file is written in them, and what they decode to need not be text
_NO_FILES = {"charmap", "idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"}


def detect_encoding(file: IO[bytes]) -> str:
    """UTF-8 with or without BOM, UTF-16, else Windows-1252. Reads the file through once, a piece at a time. Raises UnreadableFile."""
    file.seek(0)
    start = file.read(_PIECE)
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            return encoding
    if b"\x00" in start:
        return _bare_utf16(start)
    for encoding in ("utf-8", "windows-1252"):
        if _decodes(file, encoding):
            return encoding
    raise UnreadableFile(reason=_("it is no text in UTF-8, UTF-16 or Windows-1252."))


def checked_encoding(name: str) -> str:
    """Python's name of an encoding that somebody named. Raises ValidationFailed."""
    try:
        found = codecs.lookup(name).name
        "".encode(found)  # some codecs are no encodings of text: zip, rot13
    except (LookupError, ValueError):
        found = ""
    if not found or found.replace("-", "_") in _NO_FILES:
        raise ValidationFailed(fields={"encoding": [_("There is no such encoding.")]})
    return "utf-8-sig" if found == "utf-8" else found


def _bare_utf16(start: bytes) -> str:
    """Western text in UTF-16 has a NUL in every second byte; anything else with NULs is no text."""
    even, odd = start[::2], start[1::2]
    if odd.count(0) > 0.7 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if even.count(0) > 0.7 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    raise UnreadableFile(reason=_("it is a binary file."))


def _decodes(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    while piece := file.read(_PIECE):
        if len(piece.translate(None, _BINARY)) < len(piece):
            raise UnreadableFile(reason=_("it is a binary file."))
        try:
            decoder.decode(piece)
        except UnicodeDecodeError:
            return False
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
