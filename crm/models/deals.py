"""Deals, as they are in Pipedrive, and those that are still to get there."""

from typing import Any, ClassVar, Self

import pgtrigger
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from crm.models.connections import Connection
from crm.models.links import lead_field
from leads.models import Lead
from zevix.tenancy import TenantQuerySet


class DealQuerySet(TenantQuerySet["Deal"]):
    def of_present_leads(self) -> Self:
        """Not those of leads in the bin."""
        return self.filter(Exists(Lead.objects.filter(pk=OuterRef("lead"))))

    def to_be_done(self) -> Self:
        """Those with something still to be done in Pipedrive: to be made there, or to be given their note."""
        return self.filter(Q(status=Deal.Status.QUEUED) | ~Q(note=""))

    def due(self) -> Self:
        """Those of them whose time has come."""
        return self.to_be_done().filter(Q(retry_at=None) | Q(retry_at__lte=timezone.now())).of_present_leads()


class Deal(models.Model):
    """A deal of a lead. Its home is Pipedrive; this is what was last read of it.

    Queued, it is not there yet: a wish that is kept until it arrives, or until Pipedrive refuses it. ``is_leading`` marks the one deal
    of a lead whose stage is the lead's status.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")
        DELETED = "deleted", _("Deleted")
        REFUSED = "refused", _("Refused by Pipedrive")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="deals", verbose_name=_("Pipedrive connection")
    )
    lead = lead_field()
    is_leading = models.BooleanField(_("leads the status"), default=False)
    remote_id = models.BigIntegerField(_("id in Pipedrive"), null=True)
    title = models.TextField(_("title"))
    wanted_title = models.TextField(blank=True, default="", editable=False, help_text="As it was asked for here.")
    value = models.DecimalField(_("value"), max_digits=14, decimal_places=2, null=True)
    currency = models.TextField(_("currency"), blank=True, default="")
    status = models.TextField(_("status"), choices=Status, default=Status.QUEUED)
    pipeline_id = models.BigIntegerField(_("pipeline"), null=True)
    stage_id = models.BigIntegerField(_("stage"), null=True)
    person_id = models.BigIntegerField(_("person"), null=True)
    organization_id = models.BigIntegerField(_("organization"), null=True)
    expected_close_date = models.DateField(_("expected to close"), null=True)
    lost_reason = models.TextField(_("why it was lost"), blank=True, default="")
    note = models.TextField(
        _("note to be written"),
        blank=True,
        default="",
        help_text=_("The lead's notes, until they are at the deal in Pipedrive."),
    )
    # field → what the lead had for it when the deal was asked for
    sent = models.JSONField(default=dict, editable=False)
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

    objects: ClassVar[Any] = DealQuerySet.as_manager()

    class Meta:
        verbose_name = _("deal")
        verbose_name_plural = _("deals")
        constraints = [
            models.UniqueConstraint(fields=["connection", "remote_id"], name="crm_a_deal_is_kept_once"),
            # by expressions: what carries rows along in a merge takes columns for a promise about every row, and would leave deals behind
            models.UniqueConstraint(
                "connection", "lead", condition=Q(is_leading=True), name="crm_one_deal_leads_a_lead"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "id"], name="crm_deals_page"),
            models.Index(
                fields=["connection", "id"], condition=Q(status="queued") | ~Q(note=""), name="crm_deals_to_be_done"
            ),
            models.Index(fields=["connection", "lead"], name="crm_deals_by_lead"),
        ]
        triggers = [
            # leads are merged, and merges undone, by statements that know nothing of deals
            pgtrigger.Trigger(
                name="leads_where_no_other_does",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__lead__df=pgtrigger.F("new__lead")),
                func="""
                    NEW.is_leading = (OLD.is_leading OR NEW.status = 'open') AND NOT EXISTS (
                        SELECT FROM crm_deal WHERE connection_id = NEW.connection_id AND lead_id = NEW.lead_id AND is_leading AND id <> NEW.id
                    );
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.title
