"""Text that can be kept."""

import unicodedata


def plain(text: str) -> str:
    """Without what PostgreSQL does not store (NUL, halves of surrogate pairs); letters and their accents as one."""
    return unicodedata.normalize("NFC", text.replace("\0", "").encode("utf-8", "replace").decode())
