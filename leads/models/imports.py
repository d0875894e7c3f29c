"""Imports: what came in, what was refused, and what is still to be read."""

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from zevix.tenancy import TenantQuerySet


class ImportBatch(models.Model):
    """One import and what came of it."""

    class Mode(models.TextChoices):
        CREATE = "create", _("Create only")
        UPSERT = "upsert", _("Create and update")
        UPDATE = "update", _("Update only")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")
        FAILED = "failed", _("Failed")

    class Analysis(models.TextChoices):
        QUEUED = "queued", _("Queued")
        NOT_CONFIGURED = "not_configured", _("Not configured")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="imports", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    file_name = models.TextField(_("file"), blank=True, default="")
    mode = models.TextField(_("mode"), choices=Mode, default=Mode.UPSERT)
    header = models.JSONField(_("columns"), default=list)
    mapping = models.JSONField(_("columns and their fields"), default=dict)
    status = models.TextField(_("status"), choices=Status, default=Status.RUNNING)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("Percent."))
    failure = models.TextField(_("why it failed"), blank=True, default="")
    options = models.JSONField(_("options"), default=dict)
    ai_analysis = models.TextField(_("AI analysis"), choices=Analysis, default=Analysis.NOT_CONFIGURED)

    total_rows = models.PositiveIntegerField(_("rows"), default=0)
    created_count = models.PositiveIntegerField(_("created"), default=0)
    updated_count = models.PositiveIntegerField(_("updated"), default=0)
    unchanged_count = models.PositiveIntegerField(_("of these unchanged"), default=0)
    skipped_count = models.PositiveIntegerField(_("skipped"), default=0)
    error_count = models.PositiveIntegerField(_("rejected"), default=0)
    needs_action_count = models.PositiveIntegerField(_("need action"), default=0)
    without_last_contact_count = models.PositiveIntegerField(_("never contacted"), default=0)
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    # the errors to show with the answer; the whole are in `row_errors`
    rejected: "list[RejectedRow]"

    def __str__(self) -> str:
        return f"#{self.pk} {self.file_name}"

    @property
    def imported_count(self) -> int:
        return self.created_count + self.updated_count


class ImportPiece(models.Model):
    """A piece of a file that a worker, maybe on another machine, has yet to import; gone when that is over."""

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="pieces", db_index=False)
    number = models.PositiveIntegerField()
    data = models.BinaryField(help_text="At most 1 MiB.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="leads_import_pieces_are_numbered"),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}: {self.number}"


class RememberedMapping(models.Model):
    """What somebody once said about the columns of a file, for the next file with the same ones."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"), db_index=False
    )
    header_key = models.TextField(editable=False, help_text="The same for every file with the same columns.")
    mapping = models.JSONField(_("columns and their fields"), default=dict)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("remembered mapping")
        verbose_name_plural = _("remembered mappings")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "header_key"], name="leads_one_mapping_per_header"),
        ]

    def __str__(self) -> str:
        return ", ".join(self.mapping)


class RejectedRow(models.Model):
    """A cell that kept its row from being imported, with the row as it stood in the file, so that it can be mended there."""

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="row_errors", verbose_name=_("import"))
    row = models.PositiveIntegerField(_("row"), help_text=_("The line in the file, the header being 1."))
    field = models.TextField(_("field"), blank=True, default="")
    message = models.TextField(_("message"))
    cells = models.JSONField(_("the row"), default=list)

    class Meta:
        verbose_name = _("rejected row")
        verbose_name_plural = _("rejected rows")
        ordering = ["row", "id"]

    def __str__(self) -> str:
        return f"{self.row}: {self.field}: {self.message}"
