"""Texts as vectors."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from django.conf import settings
from django.utils.translation import gettext as _
from pydantic import BaseModel, Field, ValidationError

from ai.errors import AnswerUnusable
from ai.openai_gateway import reading
from ai.openai_gateway.connections import client
from ai.openai_gateway.insisting import VENDOR, insist
from ai.prices import Tokens

DIMENSIONS = 1536  # asked for by this number, so that all vectors can be compared
# OpenAI takes 2,048 texts of 300,000 tokens in all; smaller requests fail smaller
_TEXTS, _BYTES = 256, 250_000

Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class _Row(BaseModel):
    index: int
    embedding: list[Coordinate]


class _Usage(BaseModel):
    prompt_tokens: reading.Count


class _Vectors(BaseModel):
    data: list[_Row]
    usage: _Usage | None = None


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, as many at once as the server takes."""
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if batch and (len(batch) == _TEXTS or size + length > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def embed(
    batch: Sequence[str], *, dimensions: int, patience: float | None = None
) -> tuple[list[list[float]], Tokens | None, int]:
    """A vector for each text of a batch, in order, what that took, and how many tries. With ``patience`` it is tried once, for so many seconds.

    Raises NotConfigured, Unreachable, Rejected, AnswerUnusable.
    """
    server, body = client(), body_of(batch, dimensions=dimensions)
    if patience is None:
        response, attempts = insist(lambda: server.embeddings.with_raw_response.create(**body))
    else:
        hurried = server.with_options(timeout=patience)
        response, attempts = insist(lambda: hurried.embeddings.with_raw_response.create(**body), tries=1)
    told: dict[str, Any] = {"vendor": VENDOR, "tokens": None, "attempts": attempts}
    try:
        found = _Vectors.model_validate_json(response.content)
    except ValidationError as error:
        reading.unusable(error, told)
    rows = sorted(found.data, key=lambda row: row.index)
    if [(row.index, len(row.embedding)) for row in rows] != [(number, dimensions) for number in range(len(batch))]:
        raise AnswerUnusable(reason=_("vectors of another number or length"), kind="form", **told)
    tokens = Tokens(input=found.usage.prompt_tokens) if found.usage else None
    return [row.embedding for row in rows], tokens, attempts


def body_of(batch: Sequence[str], *, dimensions: int) -> dict[str, Any]:
    """As it goes over the wire."""
    model = settings.OPENAI_EMBEDDING_MODEL
    body = {"model": model, "input": list(batch), "encoding_format": "float"}
    # others have one length only, and refuse the word
    return {**body, "dimensions": dimensions} if model.startswith("text-embedding-3") else body
