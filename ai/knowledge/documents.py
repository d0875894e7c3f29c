"""Documents: handed in, cut into passages by a worker, cut anew, deleted."""

import hashlib
from pathlib import PurePath

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from ai.errors import DocumentExists, KnowledgeFull
from ai.knowledge import reading
from ai.knowledge.texts import plain
from ai.models import Document
from zevix.errors import NotFound, ValidationFailed

_KINDS = {
    ".txt": Document.Kind.TEXT, ".text": Document.Kind.TEXT, ".md": Document.Kind.MARKDOWN, ".markdown": Document.Kind.MARKDOWN,
    ".html": Document.Kind.HTML, ".htm": Document.Kind.HTML, ".pdf": Document.Kind.PDF, ".csv": Document.Kind.CSV, ".tsv": Document.Kind.CSV,
}  # fmt: skip


def kind_of(file_name: str) -> str:
    """By the end of its name. Raises ValidationFailed for one that is none of ours."""
    kind = _KINDS.get(PurePath(file_name).suffix.lower())
    if kind is None:
        raise ValidationFailed(fields={"file": [_("One of: {choices}.").format(choices=", ".join(_KINDS))]})
    return kind


def add(
    data: bytes, *, title: str, kind: str, category: str = "", is_internal: bool = False, workspace: Workspace, by: User
) -> Document:
    """Take a document in; a worker cuts it.

    Raises ValidationFailed for one without text, UnreadableFile for one of another kind, DocumentExists, KnowledgeFull.
    """
    if not data:
        raise ValidationFailed(fields={"file": [_("It is empty.")]})
    reading.checked(kind, data)
    with transaction.atomic():
        lock(workspace.pk)
        digest = hashlib.sha256(data).hexdigest()
        _refuse_twins(workspace, digest, category)
        require_room(workspace, size=len(data), passages=1)
        document: Document = Document.objects.create(
            workspace=workspace,
            user=by,
            title=plain(title),
            category=plain(category),
            is_internal=is_internal,
            kind=kind,
            file=data,
            digest=digest,
            size=len(data),
        )
        _queue(document)
    return document


@transaction.atomic
def delete(document_id: int, workspace: Workspace) -> None:
    """With its passages. Raises NotFound."""
    deleted, _counts = Document.objects.for_workspace(workspace).filter(pk=document_id).delete()
    if not deleted:
        raise NotFound


@transaction.atomic
def cut_anew(document: Document) -> None:
    """Read the file again, and cut and embed what it says; until then it is not found."""
    Document.objects.filter(pk=document.pk).update(
        status=Document.Status.QUEUED, progress=0, failure="", chunk_count=0, embedded_count=0, embedding_model=""
    )
    document.chunks.all().delete()
    _queue(document)


def lock(workspace_id: int) -> None:
    """Until the transaction ends, nobody else adds to what this workspace has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('ai.documents:' || %s, 0))", [workspace_id])


def require_room(workspace: Workspace, *, size: int = 0, passages: int = 0) -> None:
    """Raise KnowledgeFull where the workspace would have more than the settings allow."""
    sums = Document.objects.for_workspace(workspace).aggregate(size=Sum("size"), passages=Sum("chunk_count"))
    if (sums["size"] or 0) + size > settings.KNOWLEDGE_MAX_BYTES:
        raise KnowledgeFull(limit=_("{count} bytes").format(count=settings.KNOWLEDGE_MAX_BYTES))
    if (sums["passages"] or 0) + passages > settings.KNOWLEDGE_MAX_PASSAGES:
        raise KnowledgeFull(limit=_("{count} passages").format(count=settings.KNOWLEDGE_MAX_PASSAGES))


def _queue(document: Document) -> None:
    from ai.jobs import prepare_document

    lock = f"knowledge:{document.workspace_id}"
    prepare_document.configure(lock=lock).defer(document_id=document.pk, language=translation.get_language() or "en")


def _refuse_twins(workspace: Workspace, digest: str, category: str) -> None:
    twin = Document.objects.for_workspace(workspace).filter(digest=digest, category=plain(category)).first()
    if twin:
        raise DocumentExists(document_id=twin.pk, title=twin.title)
