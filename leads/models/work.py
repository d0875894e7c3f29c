"""What people do with leads, and how they look at them."""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models.lead import Lead
from zevix.json_rows import json_row
from zevix.tenancy import TenantQuerySet


class ActivityQuerySet(TenantQuerySet["Activity"]):
    def open(self) -> Self:
        """Tasks that are still to be done."""
        return self.filter(type=Activity.Type.TASK, done_at=None)

    def of_present_leads(self) -> Self:
        """Those of leads that are not in the bin."""
        return self.filter(Exists(Lead.objects.filter(pk=OuterRef("lead"))))


class Activity(models.Model):
    """Something done with a lead, or, as a task, to be done. It outlives the lead's stay in the bin."""

    class Type(models.TextChoices):
        CALL = "call", _("Call")
        EMAIL = "email", _("E-mail")
        MEETING = "meeting", _("Meeting")
        NOTE = "note", _("Note")
        TASK = "task", _("Task")
        STATUS_CHANGE = "status_change", _("Change of status")

    # what counts as having been in contact
    CONTACTS: ClassVar[tuple[str, ...]] = (Type.CALL, Type.EMAIL, Type.MEETING)

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="activities", verbose_name=_("workspace"), db_index=False
    )
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, related_name="activities", verbose_name=_("lead"), db_constraint=False, db_index=False
    )
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    type = models.TextField(_("type"), choices=Type)
    text = models.TextField(_("text"), blank=True, default="")
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name = _("activity")
        verbose_name_plural = _("activities")
        constraints = [
            models.CheckConstraint(
                condition=Q(type__in=["call", "email", "meeting", "note", "task", "status_change"]),
                name="leads_activity_type_is_known",
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "id"], name="leads_activities_page"),
            models.Index(fields=["lead", "id"], name="leads_activities_by_lead"),
            models.Index(
                fields=["workspace", "due_at", "id"],
                condition=Q(type="task", done_at__isnull=True),
                name="leads_open_tasks",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()}: {self.headline[:60]}"

    @property
    def headline(self) -> str:
        """The first line of the text."""
        return next(iter(self.text.strip().splitlines()), "").strip()

    @property
    def contacted_at(self) -> datetime | None:
        """When somebody was in contact by it; None for what is no contact."""
        return self.done_at if self.type in self.CONTACTS else None

    @property
    def is_open(self) -> bool:
        """Whether it is a task that is still to be done."""
        return self.type == self.Type.TASK and self.done_at is None


ACTIVITY_ROW = json_row(
    Activity,
    ("id", "lead_id", "type", "text", "due_at", "done_at", "created_at", "updated_at"),
    computed={
        "user": "(SELECT row_to_json(u) FROM (SELECT id, email FROM accounts_user WHERE id = leads_activity.user_id) AS u)"
    },
)


class SavedView(models.Model):
    """Filters and an order that somebody wants to see again; shared with the workspace, or their own."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="saved_views", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.CASCADE, related_name="+", verbose_name=_("owner"))
    name = models.TextField(_("name"))
    filters = models.JSONField(_("filters"), default=dict, blank=True)
    ordering = models.TextField(_("order"), blank=True, default="")
    columns = ArrayField(models.TextField(), verbose_name=_("columns"), default=list, blank=True)
    is_shared = models.BooleanField(_("shared"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "user", "name"], name="leads_saved_view_names_are_unique_per_owner"
            )
        ]

    def __str__(self) -> str:
        return self.name


class CustomField(models.Model):
    """A custom field of a workspace's leads: what their ``extra`` may hold under ``key``."""

    class Kind(models.TextChoices):
        TEXT = "text", _("Text")
        NUMBER = "number", _("Number")
        DATE = "date", _("Date")
        CHOICE = "choice", _("Choice")
        BOOLEAN = "boolean", _("Yes or no")

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="custom_fields", verbose_name=_("workspace"), db_index=False
    )
    key = models.TextField(
        _("key"),
        validators=[
            RegexValidator(r"^[a-z][a-z0-9_]{0,59}\Z", _("Small letters, digits and _, beginning with a letter."))
        ],
    )
    label = models.TextField(_("label"))
    kind = models.TextField(_("kind"), choices=Kind)
    choices = ArrayField(models.TextField(), verbose_name=_("choices"), default=list, blank=True)
    position = models.PositiveIntegerField(_("position"), default=0)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("custom field")
        verbose_name_plural = _("custom fields")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "key"], name="leads_custom_field_keys_are_unique"),
        ]

    def __str__(self) -> str:
        return self.label
