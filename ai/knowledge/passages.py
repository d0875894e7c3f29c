"""A passage of a document, as it is found and cited."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Passage:
    """``number`` is its place in the document, from 1; ``page`` that of a PDF. ``score`` grows with the fit; it orders, and says no more."""

    document_id: int
    title: str
    category: str
    number: int
    heading: str
    page: int | None
    text: str
    score: float
