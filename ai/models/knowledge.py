"""What the AI may look up: documents, and the passages that they are cut into."""

from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex

from accounts.models import User, Workspace
from ai.openai_gateway import DIMENSIONS
from zevix.tenancy import TenantQuerySet


class Document(models.Model):
    """Something that was handed in. Visitors' chats look into it too, unless it ``is_internal``."""

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
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        indexes = [models.Index(fields=["workspace", "-id"], name="ai_documents_page")]

    def __str__(self) -> str:
        return self.title


class Chunk(models.Model):
    """A passage. Without a vector it is found by its words alone; ``embedding_model`` made the one that it has."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    document = models.ForeignKey(
        Document, models.CASCADE, related_name="chunks", db_index=False, verbose_name=_("document")
    )
    number = models.PositiveIntegerField(_("number"))
    category = models.CharField(_("category"), max_length=100, blank=True, default="")
    is_internal = models.BooleanField(_("for the team only"), default=False)
    heading = models.TextField(_("heading"), blank=True, default="")
    page = models.PositiveIntegerField(_("page"), null=True)
    text = models.TextField(_("text"))
    embedding = HalfVectorField(dimensions=DIMENSIONS, null=True, editable=False)
    embedding_model = models.TextField(blank=True, default="", editable=False)
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
            models.Index(fields=["id"], condition=Q(embedding__isnull=True), name="ai_passages_without_a_vector"),
            GinIndex("search_vector", name="ai_passages_by_words"),
            HnswIndex(fields=["embedding"], name="ai_passages_by_meaning", m=16, ef_construction=64, opclasses=["halfvec_cosine_ops"]),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.text[:80]
