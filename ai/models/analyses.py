"""Having the AI look at many leads, after an import or when somebody asks for it."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from ai.models.calls import AICall
from leads.models import ImportBatch, Lead
from zevix.tenancy import TenantQuerySet


class AnalysisRun(models.Model):
    """A run over many leads. `LeadAnalysis` has what came of each, so that a killed run goes on with those that are left.

    The leads of an import become its rows when it begins; those that somebody chose are there from the start.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="analyses", db_index=False, verbose_name=_("workspace")
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    batch = models.OneToOneField(
        ImportBatch, models.SET_NULL, null=True, related_name="analysis", verbose_name=_("import")
    )
    language = models.CharField(
        _("language"), max_length=10, help_text=_("For leads whose country does not tell it, and for what failed.")
    )
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("Percent."))
    failure = models.TextField(_("why it failed"), blank=True, default="")
    matched_count = models.PositiveIntegerField(_("leads"), default=0)
    analyzed_count = models.PositiveIntegerField(_("analyzed"), default=0)
    changed_count = models.PositiveIntegerField(_("of these changed"), default=0)
    skipped_count = models.PositiveIntegerField(_("left out"), default=0)
    failed_count = models.PositiveIntegerField(_("not analyzed"), default=0)
    cost = models.PositiveBigIntegerField(_("cost"), default=0, help_text=_("Millionths of a US dollar."))
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("analysis")
        verbose_name_plural = _("analyses")
        indexes = [models.Index(fields=["workspace", "-id"], name="ai_analyses_page")]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def act(self) -> str:
        """What the history calls the changes that it made."""
        return f"analysis:{self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)


class LeadAnalysis(models.Model):
    """What the AI thought of a lead in a run, what was written of that, and what was kept since somebody else had the say there.

    Left out (``skipped``) is a lead that was gone or closed by then.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        SKIPPED = "skipped", _("left out")
        FAILED = "failed", _("failed")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    run = models.ForeignKey(
        AnalysisRun, models.CASCADE, related_name="leads", db_index=False, verbose_name=_("analysis")
    )
    lead = models.ForeignKey(Lead, models.DO_NOTHING, related_name="+", db_constraint=False, verbose_name=_("lead"))
    status = models.TextField(_("status"), choices=Status, default=Status.WAITING)
    found = models.JSONField(_("what the AI found"), null=True)
    written = models.JSONField(_("written"), default=list)
    kept = models.JSONField(_("kept"), default=list)
    failure = models.TextField(_("why it failed"), blank=True, default="")
    call = models.ForeignKey(AICall, models.SET_NULL, null=True, related_name="+", verbose_name=_("AI call"))
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("analysis of a lead")
        verbose_name_plural = _("analyses of leads")
        constraints = [models.UniqueConstraint(fields=["run", "lead"], name="ai_a_run_looks_at_a_lead_once")]
        indexes = [
            models.Index(fields=["run", "workspace", "id"], name="ai_leads_of_a_run"),
            models.Index(fields=["run", "id"], condition=Q(status="waiting"), name="ai_leads_that_wait"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.lead_id}"
