"""Which reader a kind has, and what can be seen of a file at once."""

import io
from collections.abc import Iterable
from itertools import islice

from django.utils.translation import gettext as _

from ai.knowledge.reading import apart, plain_texts, tables
from ai.knowledge.sections import Section
from ai.models import Document
from leads.errors import UnreadableFile

Kind = Document.Kind


def sections(kind: str, data: bytes) -> Iterable[Section]:
    """What a file says. Raises UnreadableFile."""
    match kind:
        case Kind.PDF | Kind.HTML:
            return apart.sections(kind, data)
        case Kind.CSV:
            return tables.sections(io.BytesIO(data))
        case Kind.MARKDOWN:
            return plain_texts.markdown(plain_texts.decoded(data))
    return [Section(plain_texts.decoded(data))]


def checked(kind: str, data: bytes) -> None:
    """Raise UnreadableFile for what can be seen without much work: no text, no PDF, no rows. The rest is seen when it is read."""
    match kind:
        case Kind.PDF:
            # it may stand behind some bytes of others' making, as readers know
            if b"%PDF-" not in data[:1024]:
                raise UnreadableFile(reason=_("it is no PDF."))
        case Kind.CSV:
            if not list(islice(tables.sections(io.BytesIO(data)), 1)):
                raise UnreadableFile(reason=_("it has no rows."))
        case _:
            if not plain_texts.decoded(data).strip():
                raise UnreadableFile(reason=_("there is no text in it."))
