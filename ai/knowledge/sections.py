"""A part of a document that belongs together; and so is a passage."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """``page`` is that of a PDF. ``category`` is a row's own; None: as the document's."""

    text: str
    heading: str = ""
    page: int | None = None
    category: str | None = None
