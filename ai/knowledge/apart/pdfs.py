"""The text of a PDF, page by page."""

import io
import logging
from collections.abc import Iterator

from pypdf import PdfReader

from ai.knowledge.apart.refusing import CannotRead, Part

PAGES = 2_000


def read(data: bytes) -> Iterator[Part]:
    """A section for each page that has text. Raises CannotRead."""
    logging.disable()  # it grumbles about each fault of a file that it copes with
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise CannotRead("encrypted")
        count = len(reader.pages)
        if count > PAGES:
            raise CannotRead("pages")
        has_text = False
        for number in range(count):
            if text := reader.pages[number].extract_text().strip():
                has_text = True
                yield "", number + 1, text
    except (CannotRead, MemoryError):
        raise
    except Exception as error:  # what a broken file makes of pypdf is of any kind: KeyError, RecursionError, its own
        raise CannotRead(_reason(error)) from None
    if not has_text:
        raise CannotRead("scanned")


def _reason(error: Exception) -> str:
    # without the package that it would need, it can't even try the empty password
    return "encrypted" if type(error).__name__ == "DependencyError" else "broken"
