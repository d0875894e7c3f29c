"""What was exported, and what that cost of the month's quota."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models.lead import Lead
from zevix.tenancy import TenantQuerySet


class Usage(models.Model):
    """What a workspace has exported in a month (UTC). Its row is the lock that exports of the workspace queue at."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="usage", verbose_name=_("workspace"))
    month = models.CharField(_("month"), max_length=7, help_text=_("YYYY-MM"))
    used = models.PositiveIntegerField(_("used"), default=0)
    limit_when_charged = models.PositiveIntegerField(_("limit at the last charge"), default=0)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "month"], name="leads_one_usage_per_workspace_and_month"),
            models.CheckConstraint(
                condition=Q(used__lte=models.F("limit_when_charged")),
                name="leads_usage_never_passes_the_limit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.month}: {self.used}"


class Export(models.Model):
    """The receipt of one export: what was charged, and how the quota stood afterwards."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="exports", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    month = models.CharField(_("month"), max_length=7)
    new_count = models.PositiveIntegerField(_("new"))
    duplicate_count = models.PositiveIntegerField(_("owned before"))
    not_exported_count = models.PositiveIntegerField(_("not exported"))
    unknown_count = models.PositiveIntegerField(_("unknown"))
    used = models.PositiveIntegerField(_("used afterwards"))
    limit = models.PositiveIntegerField(_("limit"))
    created_at = models.DateTimeField(_("exported"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")

    def __str__(self) -> str:
        return f"#{self.pk}"


class ExportedLead(models.Model):
    """A lead that a workspace has paid for, for ever. For a copy it names the catalogue's lead, so that both are one."""

    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, verbose_name=_("workspace")
    )
    # what was paid stays paid when the lead is gone, so this is no foreign key to the database
    lead = models.ForeignKey(
        Lead, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False, verbose_name=_("lead")
    )
    export = models.ForeignKey(Export, models.PROTECT, related_name="charges", verbose_name=_("export"))

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("exported lead")
        verbose_name_plural = _("exported leads")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "lead"], name="leads_charged_once_per_workspace_for_ever")
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.lead_id}"
