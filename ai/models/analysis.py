"""Having the AI look at many leads, after an import or on demand."""

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models import ImportBatch
from zevix.tenancy import TenantQuerySet


class AnalysisRun(models.Model):
    """``cursor`` is the last lead that was looked at, so that a killed run goes on where it was."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="analyses", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    batch = models.OneToOneField(
        ImportBatch, models.SET_NULL, null=True, related_name="analysis", verbose_name=_("import")
    )
    selection = models.JSONField(default=dict)
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("percent"))
    failure = models.TextField(_("failure"), blank=True, default="")
    cursor = models.BigIntegerField(default=0)
    matched_count = models.PositiveIntegerField(_("leads"), default=0)
    done_count = models.PositiveIntegerField(_("looked at"), default=0)
    changed_count = models.PositiveIntegerField(_("changed"), default=0)
    failed_count = models.PositiveIntegerField(_("failed"), default=0)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("analysis")
        verbose_name_plural = _("analyses")

    def __str__(self) -> str:
        return f"#{self.pk}"
