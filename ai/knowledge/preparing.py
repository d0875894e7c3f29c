"""The work on a document: it is cut into passages, which can then be found by their words, and each is given its vector.

It can be broken off anywhere and taken up again. Passages that there was no vector for (no key, no budget left, the server down), or
that have one of another model than is set now, are given one later.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import translation
from django.utils.translation import gettext as _
from procrastinate.exceptions import AlreadyEnqueued

from ai import openai_gateway
from ai.errors import BudgetExceeded, TooManyPassages
from ai.knowledge import cutting, documents, reading, vectors
from ai.knowledge.sections import Section
from ai.models import Chunk, Document
from leads.errors import UnreadableFile
from zevix.errors import NotConfigured, Refusal, UpstreamError

log = structlog.get_logger("ai")

Status = Document.Status
_AT_ONCE = 128  # passages
_CUT = 20  # percent of the work


def prepare(document: Document, language: str) -> None:
    """Cut it, unless that is done, and give its passages their vectors. What can't be read leaves it failed, with a sentence."""
    with translation.override(language):
        if document.status == Status.FAILED or not _is_cut(document):
            return
    embed(document)
    # with no passages it waits to be cut anew by another job
    Document.objects.filter(pk=document.pk, chunk_count__gt=0).update(status=Status.READY, progress=100)


def embed(document: Document) -> bool:
    """Give a vector to those of its passages that have none of the model that is set. Whether all have one now."""
    model = settings.OPENAI_EMBEDDING_MODEL
    if document.embedding_model != model:
        Document.objects.filter(pk=document.pk).update(embedding_model=model, embedded_count=0)
    while batch := list(_waiting(document, model)[:_AT_ONCE]):
        try:
            made = vectors.of([_told(chunk) for chunk in batch], workspace=document.workspace, user=document.user)
        except (BudgetExceeded, NotConfigured, UpstreamError) as refusal:
            log.warning("passages_without_vectors", document_id=document.pk, reason=refusal.code)
            return False
        _keep(document, batch, made, model)
    return True


def queue_rest() -> None:
    """Have a worker go on with the documents that lack vectors, those of each workspace by themselves."""
    from ai.jobs import embed_rest

    if not openai_gateway.is_configured():
        return
    for workspace_id in _lacking().order_by("workspace_id").values_list("workspace_id", flat=True).distinct():
        name = f"knowledge:{workspace_id}"
        with suppress(AlreadyEnqueued), transaction.atomic():
            embed_rest.configure(lock=name, queueing_lock=name).defer(workspace_id=workspace_id)


def embed_rest(workspace_id: int) -> None:
    """Go on with a workspace's documents that lack vectors, until one can't be had."""
    for document in _lacking().for_workspace(workspace_id).select_related("workspace", "user").order_by("pk"):
        if not embed(document):
            return


def _lacking() -> Any:
    is_behind = Q(embedded_count__lt=F("chunk_count")) | ~Q(embedding_model=settings.OPENAI_EMBEDDING_MODEL)
    return Document.objects.filter(is_behind, status=Status.READY, chunk_count__gt=0)


# Cutting --------------------------------------------------------------------------------------------------------------------


def _is_cut(document: Document) -> bool:
    """Whether it has passages; it is cut where it has none yet."""
    if document.chunk_count:
        return True
    file = Document.objects.filter(pk=document.pk).values_list("file", flat=True).first()
    if file is None:  # deleted meanwhile
        return False
    Document.objects.filter(pk=document.pk).update(status=Status.RUNNING)
    try:
        _keep_passages(document, _passages(document.kind, bytes(file)))
    except Refusal as refusal:
        _fail(document, str(refusal))
        return False
    except OperationalError:
        raise
    except Exception:
        _fail(document, _("Something went wrong on our side. It has been noted."))
        raise
    return True


def _passages(kind: str, file: bytes) -> list[Section]:
    limit = settings.DOCUMENT_MAX_PASSAGES
    found = list(islice(cutting.cut(reading.sections(kind, file)), limit + 1))
    if len(found) > limit:
        raise TooManyPassages(limit=limit)
    if not found:
        raise UnreadableFile(reason=_("there is no text in it."))
    return found


@transaction.atomic
def _keep_passages(document: Document, passages: Sequence[Section]) -> None:
    documents.lock(document.workspace_id)
    # a job that was taken for dead may have been at it, too; and somebody may have deleted it meanwhile
    if not Document.objects.select_for_update().filter(pk=document.pk, chunk_count=0).exists():
        return
    documents.require_room(document.workspace, passages=len(passages))
    Chunk.objects.bulk_create(_chunks(document, passages), batch_size=500)
    document.chunk_count, document.progress = len(passages), _CUT
    document.save(update_fields=["chunk_count", "progress"])


def _chunks(document: Document, passages: Sequence[Section]) -> Iterable[Chunk]:
    for number, passage in enumerate(passages, start=1):
        yield Chunk(
            workspace_id=document.workspace_id,
            document=document,
            number=number,
            title=document.title,
            category=document.category if passage.category is None else passage.category,
            is_internal=document.is_internal,
            heading=passage.heading,
            page=passage.page,
            text=passage.text,
        )


def _fail(document: Document, why: str) -> None:
    Document.objects.filter(pk=document.pk).update(status=Status.FAILED, failure=why)


# Vectors --------------------------------------------------------------------------------------------------------------------


def _waiting(document: Document, model: str) -> QuerySet[Chunk]:
    return Chunk.objects.filter(document=document).exclude(embedding_model=model).defer("embedding").order_by("number")


def _told(chunk: Chunk) -> str:
    """What a passage's vector is made of: a heading says what its text may not."""
    return "\n".join(filter(None, (chunk.title, chunk.heading, chunk.text)))


@transaction.atomic
def _keep(document: Document, chunks: Sequence[Chunk], made: Sequence[list[float]], model: str) -> None:
    rows = [(str(vector), model, chunk.pk) for chunk, vector in zip(chunks, made, strict=True)]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE ai_chunk SET embedding = %s::halfvec, embedding_model = %s WHERE id = %s", rows)
    done = Chunk.objects.filter(document=document, embedding_model=model).count()
    progress = _CUT + (100 - _CUT) * done // max(document.chunk_count, done)
    Document.objects.filter(pk=document.pk).update(embedded_count=done, embedding_model=model, progress=progress)
