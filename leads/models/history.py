"""What leads were before: each change and each deletion keeps the row as it stood."""

from typing import Any, ClassVar

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models.lead import Lead
from zevix.tenancy import TenantQuerySet

_Version: Any = pghistory.create_event_model(
    Lead,
    # without a condition: it would join the rows before and after, by a plan that is made once, for the few rows of that moment
    pghistory.UpdateEvent(row=pghistory.Old, condition=None),
    pghistory.DeleteEvent(),
    exclude=["search_vector"],
    obj_field=pghistory.ObjForeignKey(related_name="+", db_index=False),
    context_field=pghistory.ContextJSONField(),
    context_id_field=None,  # type: ignore[arg-type]  # as its own documentation has it
    level=pghistory.Statement,  # a tenth of the time that a trigger for each row takes
)


class LeadVersion(_Version):
    """A lead before it was changed (``pgh_label`` is ``update``) or deleted (``delete``); triggers write it, whoever changed the lead.

    ``pgh_context`` tells who did it: ``user``, ``source``, ``request`` and ``act``, as `leads.history` names them.
    """

    pgh_id = models.BigAutoField(primary_key=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("history")
        indexes = [
            models.Index(fields=["pgh_obj", "pgh_id"], name="leads_versions_of_a_lead"),
            models.Index(KT("pgh_context__act"), "pgh_obj", name="leads_versions_by_act"),
            models.Index(
                fields=["workspace", "pgh_id"], condition=Q(pgh_label="delete"), name="leads_bin",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.pgh_obj_id}: {self.version}"


class BulkChange(models.Model):
    """One act upon many leads: fields set, an owner given, or deleted."""

    class Kind(models.TextChoices):
        SET = "set", _("Change")
        ASSIGN = "assign", _("Assign")
        DELETE = "delete", _("Delete")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")
        FAILED = "failed", _("Failed")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="bulk_changes", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    kind = models.TextField(_("kind"), choices=Kind)
    changes = models.JSONField(_("changes"), default=dict)
    selection = models.JSONField(_("which leads"), default=dict, help_text=_("`ids`, or a `filter`."))
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("Percent."))
    cursor = models.BigIntegerField(default=0, editable=False, help_text="The last lead that was dealt with.")
    matched_count = models.PositiveIntegerField(_("found"), default=0)
    changed_count = models.PositiveIntegerField(_("changed"), default=0)
    failure = models.TextField(_("why it failed"), blank=True, default="")
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("bulk change")
        verbose_name_plural = _("bulk changes")

    def __str__(self) -> str:
        return f"#{self.pk}"


class Undo(models.Model):
    """The taking back of an act: an import, a bulk change or a merge. Nothing is taken back twice."""

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="undos", verbose_name=_("workspace"), db_index=False
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    act = models.TextField(_("act"), help_text=_("`import:12`, `bulk:3` or `merge:4`."))
    status = models.TextField(_("status"), choices=Status, default=Status.RUNNING)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("Percent."))
    cursor = models.BigIntegerField(default=0, editable=False, help_text="The last lead that was dealt with.")
    removed_count = models.PositiveIntegerField(_("removed"), default=0)
    reverted_count = models.PositiveIntegerField(_("changed back"), default=0)
    restored_count = models.PositiveIntegerField(_("brought back"), default=0)
    kept_count = models.PositiveIntegerField(_("kept"), default=0)
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("undo")
        verbose_name_plural = _("undone")
        constraints = [models.UniqueConstraint(fields=["workspace", "act"], name="leads_an_act_is_undone_once")]

    def __str__(self) -> str:
        return self.act


class KeptLead(models.Model):
    """A lead that an undo left as it is, wholly or in some fields, because somebody had worked on it since."""

    undo = models.ForeignKey(Undo, models.CASCADE, related_name="kept", verbose_name=_("undo"))
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False, verbose_name=_("lead")
    )
    fields = ArrayField(models.TextField(), verbose_name=_("fields"), default=list)
    reason = models.TextField(_("reason"))

    class Meta:
        verbose_name = _("kept lead")
        verbose_name_plural = _("kept leads")

    def __str__(self) -> str:
        return f"{self.lead_id}: {self.reason}"
