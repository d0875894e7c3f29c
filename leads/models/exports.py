"""What was exported, what it would cost, and whom nobody wants to write to."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.models.lead import Lead
from zevix.tenancy import TenantQuerySet

_NONE: Any = models.Value([], ArrayField(models.BigIntegerField()))


class Export(models.Model):
    """The receipt of one export: what was charged, and how the quota stood afterwards.

    ``leads`` are those that were handed over, charged now or owned before, in the order asked for; of a copy it is the catalogue's
    lead. ``lists`` are the ids as they were given, by what became of them; an export of very many has none.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")

    UNDER_WAY = (Status.QUEUED, Status.RUNNING)

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="exports", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    month = models.CharField(_("month"), max_length=7)
    status = models.TextField(_("status"), choices=Status, default=Status.COMPLETED, db_default="completed")
    progress = models.PositiveSmallIntegerField(_("progress"), default=100, db_default=100, help_text=_("percent"))
    failure = models.TextField(_("failure"), blank=True, default="", db_default="")
    leads = ArrayField(models.BigIntegerField(), default=list, db_default=_NONE, editable=False)
    lists = models.JSONField(null=True, editable=False)
    new_count = models.PositiveIntegerField(_("new"))
    duplicate_count = models.PositiveIntegerField(_("owned before"))
    not_exported_count = models.PositiveIntegerField(_("not exported"))
    unknown_count = models.PositiveIntegerField(_("unknown"))
    used = models.PositiveIntegerField(_("used afterwards"))
    limit = models.PositiveIntegerField(_("limit"))
    created_at = models.DateTimeField(_("exported"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True, editable=False)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def is_under_way(self) -> bool:
        return self.status in self.UNDER_WAY

    @property
    def has_file(self) -> bool:
        """Whether it is over, and something was handed over by then."""
        return not self.is_under_way and (self.status == self.Status.COMPLETED or bool(self.leads))


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


class ExportQuote(models.Model):
    """What an export would cost, promised for a quarter of an hour; ``export`` is what became of it.

    ``leads`` are those to be handed over, new or owned, in the order asked for; of a copy it is the catalogue's lead.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", verbose_name=_("user"))
    leads = ArrayField(models.BigIntegerField(), default=list, editable=False)
    new_count = models.PositiveIntegerField(_("new"))
    owned_count = models.PositiveIntegerField(_("owned"))
    suppressed_count = models.PositiveIntegerField(_("suppressed"))
    undeliverable_count = models.PositiveIntegerField(_("undeliverable"))
    unknown_count = models.PositiveIntegerField(_("unknown"))
    cost = models.PositiveIntegerField(_("cost"))
    remaining_after = models.PositiveIntegerField(_("remaining afterwards"))
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    export = models.OneToOneField(
        Export, models.SET_NULL, null=True, related_name="quote", editable=False, verbose_name=_("export")
    )

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("quote")
        verbose_name_plural = _("quotes")

    def __str__(self) -> str:
        return f"#{self.pk}: {self.cost}"


class Suppression(models.Model):
    """An address, or all addresses of a domain, that a workspace does not want to buy or write to. In small letters."""

    class Kind(models.TextChoices):
        EMAIL = "email", _("e-mail address")
        DOMAIN = "domain", _("domain")

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="suppressions", verbose_name=_("workspace"))
    kind = models.TextField(_("kind"), choices=Kind)
    value = models.TextField(_("address or domain"))
    reason = models.TextField(_("reason"), blank=True, default="", db_default="")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+", editable=False, verbose_name=_("user"))
    created_at = models.DateTimeField(_("added"), auto_now_add=True, db_default=models.functions.Now())

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("suppression")
        verbose_name_plural = _("suppressions")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "value"], name="leads_one_suppression_per_value"),
        ]

    def __str__(self) -> str:
        return self.value
