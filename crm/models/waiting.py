"""What waits to be brought into step, and the runs that do it."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from crm.models.connections import Connection
from zevix.tenancy import TenantQuerySet


class ChangedLead(models.Model):
    """A lead of a connected workspace that was changed here since it was last compared. A trigger of leads writes it.

    ``version`` is the lead's at that moment; of one that was deleted, its last.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", db_constraint=False)
    lead_id = models.BigIntegerField(unique=True)
    version = models.BigIntegerField()
    changed_at = models.DateTimeField(_("changed"))
    problem = models.TextField(_("problem"), blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(_("tried again at"), null=True, editable=False)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("changed lead")
        verbose_name_plural = _("changed leads")
        indexes = [models.Index(fields=["workspace", "lead_id"], name="crm_changed_leads")]

    def __str__(self) -> str:
        return str(self.lead_id)


class InboxEvent(models.Model):
    """Something that Pipedrive told by its webhook, or that a sweep found; kept once, and worked off by a job."""

    class Outcome(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Done")
        ECHO = "echo", _("Our own")
        IGNORED = "ignored", _("Left alone")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="inbox", verbose_name=_("Pipedrive connection")
    )
    event_id = models.TextField(_("event"))
    entity = models.TextField(_("kind"))
    entity_id = models.BigIntegerField(_("id in Pipedrive"))
    action = models.TextField(_("what happened"))
    body = models.JSONField(default=dict, editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True)
    received_at = models.DateTimeField(_("received"), auto_now_add=True)
    outcome = models.TextField(_("outcome"), choices=Outcome, default=Outcome.WAITING)
    problem = models.TextField(_("problem"), blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(_("tried again at"), null=True, editable=False)
    done_at = models.DateTimeField(_("worked off"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("event of Pipedrive")
        verbose_name_plural = _("events of Pipedrive")
        constraints = [models.UniqueConstraint(fields=["connection", "event_id"], name="crm_an_event_is_kept_once")]
        indexes = [
            models.Index(fields=["connection", "id"], condition=Q(outcome="waiting"), name="crm_waiting_events"),
            models.Index(
                fields=["connection", "entity", "entity_id"],
                condition=Q(outcome="waiting"),
                name="crm_waiting_by_object",
            ),
            models.Index(fields=["received_at"], name="crm_events_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.entity_id}: {self.action}"


class SyncRun(models.Model):
    """One pass over many leads: to bring them into step, to show what that would do, or to look through what changed there."""

    class Kind(models.TextChoices):
        SYNC = "sync", _("Sync")
        PLAN = "plan", _("Plan")
        BACKFILL = "backfill", _("Backfill")
        SWEEP = "sweep", _("Sweep")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")
        FAILED = "failed", _("Failed")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="runs", verbose_name=_("Pipedrive connection")
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    kind = models.TextField(_("kind"), choices=Kind)
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    lead_ids = ArrayField(models.BigIntegerField(), null=True, editable=False, help_text="Only these; null for all.")
    cursor = models.BigIntegerField(
        default=0, editable=False, help_text="The last lead (of a sweep: link) that was dealt with."
    )
    total_count = models.PositiveIntegerField(_("leads"), default=0)
    done_count = models.PositiveIntegerField(_("done"), default=0)
    created_count = models.PositiveIntegerField(_("created"), default=0)
    pushed_count = models.PositiveIntegerField(_("changed in Pipedrive"), default=0)
    pulled_count = models.PositiveIntegerField(_("changed here"), default=0)
    conflict_count = models.PositiveIntegerField(_("conflicts"), default=0)
    failed_count = models.PositiveIntegerField(_("failed"), default=0)
    result = models.JSONField(
        default=dict, editable=False, help_text="Of a plan: what would be done; else the leads that failed, and why."
    )
    failure = models.TextField(_("why it failed"), blank=True, default="")
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    beat_at = models.DateTimeField(null=True, editable=False, help_text="When somebody was last at it.")
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "kind"],
                condition=Q(kind__in=["sync", "backfill"], status__in=["queued", "running"]),
                name="crm_one_run_of_a_kind_at_a_time",
            )
        ]
        indexes = [models.Index(fields=["workspace", "id"], name="crm_runs_page")]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def progress(self) -> int:
        """Percent."""
        if self.status == self.Status.COMPLETED:
            return 100
        return min(99, 100 * self.done_count // self.total_count) if self.total_count else 0
