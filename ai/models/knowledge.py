"""What the AI may look up: documents, and the passages they are cut into."""

from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.utils.translation import gettext_lazy as _
from pgvector.django import HnswIndex, VectorField

from accounts.models import User, Workspace
from zevix.tenancy import TenantQuerySet

DIMENSIONS = 1536  # of OPENAI_EMBEDDING_MODEL's vectors; asked for by that number where the model can cut them


class Document(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        MARKDOWN = "markdown", "Markdown"
        HTML = "html", "HTML"
        PDF = "pdf", "PDF"
        CSV = "csv", "CSV"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="documents", verbose_name=_("workspace"))
    title = models.CharField(_("title"), max_length=300)
    category = models.CharField(_("category"), max_length=100, blank=True, default="")
    kind = models.TextField(_("kind"), choices=Kind)
    digest = models.CharField(max_length=64, editable=False, help_text=_("SHA-256 of the file."))
    size = models.PositiveIntegerField(_("bytes"))
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("percent"))
    failure = models.TextField(_("failure"), blank=True, default="")
    chunk_count = models.PositiveIntegerField(_("passages"), default=0)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        indexes = [models.Index(fields=["workspace", "category", "id"], name="ai_documents_by_category")]

    def __str__(self) -> str:
        return self.title


class DocumentFile(models.Model):
    """The file itself, for cutting it anew."""

    document = models.OneToOneField(Document, models.CASCADE, primary_key=True, related_name="file")
    data = models.BinaryField()

    def __str__(self) -> str:
        return str(self.document_id)


class Chunk(models.Model):
    """A passage. Without an embedding it is found by its words alone."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    document = models.ForeignKey(Document, models.CASCADE, related_name="chunks", verbose_name=_("document"))
    category = models.CharField(_("category"), max_length=100, blank=True, default="")
    number = models.PositiveIntegerField(_("number"))
    heading = models.TextField(_("heading"), blank=True, default="")
    page = models.PositiveIntegerField(_("page"), null=True)
    text = models.TextField(_("text"))
    embedding = VectorField(dimensions=DIMENSIONS, null=True, editable=False)
    search_vector = models.GeneratedField(
        expression=SearchVector("heading", "text", config="english") + SearchVector("heading", "text", config="german"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="ai_passages_are_numbered_once")]
        indexes = [
            models.Index(fields=["workspace", "category"], name="ai_passages_by_category"),
            GinIndex("search_vector", name="ai_passages_by_words"),
            HnswIndex(
                fields=["embedding"], name="ai_passages_by_meaning", m=16, ef_construction=64,
                opclasses=["vector_cosine_ops"],
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.text[:80]
