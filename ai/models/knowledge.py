"""What the AI may look up: documents, and the passages that they are cut into."""

from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex

from accounts.models import User, Workspace
from ai.openai_gateway import DIMENSIONS
from zevix.tenancy import TenantQuerySet


def _words() -> Any:
    """The stems of both languages; those of titles and headings weigh more."""
    parts = [
        SearchVector(*columns, config=config, weight=weight)
        for config in ("english", "german")
        for columns, weight in ((("title", "heading"), "B"), (("text",), "D"))
    ]
    return parts[0] + parts[1] + parts[2] + parts[3]


class DocumentManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]  # made by Django
    """Without the file, which may be large; it is read when somebody asks for it."""

    def get_queryset(self) -> Any:
        return super().get_queryset().defer("file")


class Document(models.Model):
    """Something that was handed in. Visitors' chats look into it too, unless it ``is_internal``.

    ``embedding_model`` made the vectors that ``embedded_count`` counts.
    """

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        MARKDOWN = "markdown", "Markdown"
        HTML = "html", "HTML"
        PDF = "pdf", "PDF"
        CSV = "csv", "CSV"

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="documents", db_index=False, verbose_name=_("workspace")
    )
    title = models.CharField(_("title"), max_length=300)
    category = models.CharField(_("category"), max_length=100, blank=True, default="")
    is_internal = models.BooleanField(_("for the team only"), default=False)
    kind = models.TextField(_("kind"), choices=Kind)
    file = models.BinaryField(editable=False, help_text="As it was handed in, to be cut anew.")
    digest = models.CharField(max_length=64, editable=False, help_text=_("SHA-256 of the file."))
    size = models.PositiveIntegerField(_("bytes"))
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("Percent."))
    failure = models.TextField(_("why it failed"), blank=True, default="")
    chunk_count = models.PositiveIntegerField(_("passages"), default=0)
    embedded_count = models.PositiveIntegerField(_("of these with a vector"), default=0)
    embedding_model = models.TextField(blank=True, default="", editable=False)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects: ClassVar[Any] = DocumentManager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "digest", "category"], name="ai_a_file_is_once_in_a_category")
        ]
        indexes = [models.Index(fields=["workspace", "-id"], name="ai_documents_page")]

    def __str__(self) -> str:
        return self.title


class Chunk(models.Model):
    """A passage. Without a vector it is found by its words alone; ``embedding_model`` made the one that it has.

    ``title`` and ``is_internal`` are its document's, so that a search needs no other table; a table's row may have a ``category`` of its own.
    """

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    document = models.ForeignKey(
        Document, models.CASCADE, related_name="chunks", db_index=False, verbose_name=_("document")
    )
    number = models.PositiveIntegerField(_("number"))
    title = models.CharField(_("title"), max_length=300)
    category = models.CharField(_("category"), max_length=100, blank=True, default="")
    is_internal = models.BooleanField(_("for the team only"), default=False)
    heading = models.TextField(_("heading"), blank=True, default="")
    page = models.PositiveIntegerField(_("page"), null=True)
    text = models.TextField(_("text"))
    embedding = HalfVectorField(dimensions=DIMENSIONS, null=True, editable=False)
    embedding_model = models.TextField(blank=True, default="", editable=False)
    search_vector = models.GeneratedField(expression=_words(), output_field=SearchVectorField(), db_persist=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="ai_passages_are_numbered_once")]
        indexes = [
            models.Index(
                F("workspace"), F("is_internal"), Lower("category"), include=["category"], name="ai_passages_of_a_workspace"
            ),
            GinIndex("search_vector", name="ai_passages_by_words"),
            # measured on 100,000: 0.98 of the ten nearest in 4 ms with `searching.EF_SEARCH`
            HnswIndex(fields=["embedding"], name="ai_passages_by_meaning", m=16, ef_construction=64, opclasses=["halfvec_cosine_ops"]),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.text[:80]
