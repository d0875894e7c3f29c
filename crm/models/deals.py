"""Deals, as they are in Pipedrive, and those that are still to get there."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from crm.models.connections import Connection
from crm.models.links import lead_field
from zevix.tenancy import TenantQuerySet


class Deal(models.Model):
    """A deal of a lead. Its home is Pipedrive; this is what was last read of it.

    Queued, it is not there yet: a wish that is kept until it arrives. ``is_leading`` marks the one deal of a lead whose stage is the
    lead's status.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")
        DELETED = "deleted", _("Deleted")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="deals", verbose_name=_("Pipedrive connection")
    )
    lead = lead_field()
    is_leading = models.BooleanField(_("leads the status"), default=False)
    remote_id = models.BigIntegerField(_("id in Pipedrive"), null=True)
    title = models.TextField(_("title"))
    value = models.DecimalField(_("value"), max_digits=14, decimal_places=2, null=True)
    currency = models.TextField(_("currency"), blank=True, default="")
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    pipeline_id = models.BigIntegerField(_("pipeline"), null=True)
    stage_id = models.BigIntegerField(_("stage"), null=True)
    person_id = models.BigIntegerField(_("person"), null=True)
    organization_id = models.BigIntegerField(_("organization"), null=True)
    expected_close_date = models.DateField(_("expected to close"), null=True)
    wanted_by = models.ForeignKey(
        User, models.SET_NULL, null=True, related_name="+", verbose_name=_("wanted by"), editable=False
    )
    problem = models.TextField(_("problem"), blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(_("tried again at"), null=True, editable=False)
    remote_created_at = models.DateTimeField(_("created in Pipedrive"), null=True)
    remote_updated_at = models.DateTimeField(_("changed in Pipedrive"), null=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("deal")
        verbose_name_plural = _("deals")
        constraints = [
            models.UniqueConstraint(fields=["connection", "remote_id"], name="crm_a_deal_is_kept_once"),
            models.UniqueConstraint(
                fields=["connection", "lead"], condition=Q(is_leading=True), name="crm_one_deal_leads_a_lead"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "id"], name="crm_deals_page"),
            models.Index(fields=["connection", "id"], condition=Q(status="queued"), name="crm_queued_deals"),
        ]

    def __str__(self) -> str:
        return self.title
