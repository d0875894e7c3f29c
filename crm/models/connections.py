"""Which account of Pipedrive a workspace works with, and how much may be asked of it."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from zevix.tenancy import TenantQuerySet


class Connection(models.Model):
    """A workspace's account of Pipedrive. Without a token of its own it is the one of the settings."""

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")
        BROKEN = "broken", _("Broken")
        # kept, so that the same account finds its links again
        DISCONNECTED = "disconnected", _("Disconnected")

    class Scope(models.TextChoices):
        ALL = "all", _("Every lead")
        LINKED = "linked", _("Leads that were sent")

    workspace = models.OneToOneField(Workspace, models.CASCADE, related_name="pipedrive", verbose_name=_("workspace"))
    sealed_token = models.TextField(blank=True, default="", editable=False)
    domain = models.TextField(_("company's domain"), blank=True, default="", help_text=_("As in acme.pipedrive.com."))
    state = models.TextField(_("how it stands"), choices=State, default=State.ACTIVE)
    problem = models.TextField(_("problem"), blank=True, default="")
    problem_at = models.DateTimeField(_("problem since"), null=True, editable=False)
    retry_at = models.DateTimeField(_("tried again at"), null=True, editable=False)

    # who the token is, as Pipedrive tells it
    company_id = models.BigIntegerField(null=True, editable=False)
    company_name = models.TextField(_("company"), blank=True, default="", editable=False)
    user_id = models.BigIntegerField(null=True, editable=False, help_text="The user there that the token belongs to.")
    currency = models.TextField(blank=True, default="", editable=False)

    scope = models.TextField(_("which leads"), choices=Scope, default=Scope.ALL)
    takes_new = models.BooleanField(
        _("takes new persons"), default=True, help_text=_("Persons that are new in Pipedrive become leads.")
    )
    pipeline_id = models.BigIntegerField(_("pipeline"), null=True, blank=True)
    stages = models.JSONField(_("stages"), default=dict, blank=True, help_text=_("Status of a lead → id of a stage."))
    mapping = models.JSONField(_("fields"), default=list, blank=True)
    # fields, pipelines, stages and users of the account, as they were read
    account = models.JSONField(default=dict, editable=False)
    account_read_at = models.DateTimeField(null=True, editable=False)

    webhook_id = models.BigIntegerField(null=True, editable=False)
    webhook_secret = models.TextField(blank=True, default="", editable=False, help_text="The last part of its path.")
    sealed_webhook_password = models.TextField(blank=True, default="", editable=False)
    webhook_problem = models.TextField(_("problem of the webhook"), blank=True, default="", editable=False)
    swept_until = models.DateTimeField(_("looked through until"), null=True, editable=False)
    connected_at = models.DateTimeField(_("connected"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("Pipedrive connection")
        verbose_name_plural = _("Pipedrive connections")
        constraints = [
            models.UniqueConstraint(
                fields=["webhook_secret"],
                condition=~Q(webhook_secret=""),
                name="crm_a_webhook_path_names_one_connection",
            )
        ]

    def __str__(self) -> str:
        return self.company_name or self.domain or str(self.workspace)


class TokenMeter(models.Model):
    """What was asked of an account lately: the tokens of the day (in UTC), and the moments of the last and the next requests."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+", verbose_name=_("workspace"))
    connection = models.OneToOneField(
        Connection, models.CASCADE, related_name="meter", verbose_name=_("Pipedrive connection")
    )
    daily_limit = models.PositiveIntegerField(
        _("tokens a day"), default=30_000, help_text=_("30,000 × the plan's factor × seats, for the whole company.")
    )
    day = models.DateField(_("day"), null=True, editable=False)
    spent = models.PositiveIntegerField(_("spent"), default=0, editable=False)
    burst_limit = models.PositiveSmallIntegerField(
        _("requests in two seconds"),
        default=20,
        help_text=_("20, 40, 100 or 120, by the plan; Pipedrive's answers correct it."),
    )
    search_limit = models.PositiveSmallIntegerField(
        _("searches in two seconds"), default=10, help_text=_("10, with every plan.")
    )
    requested = ArrayField(models.DateTimeField(), default=list, editable=False)
    searched = ArrayField(models.DateTimeField(), default=list, editable=False)
    closed_until = models.DateTimeField(_("closed until"), null=True, editable=False)
    refused = models.PositiveSmallIntegerField(
        default=0,
        editable=False,
        help_text="Times in a row that too much was asked for, without a word on when to go on.",
    )

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("token budget")
        verbose_name_plural = _("token budgets")

    def __str__(self) -> str:
        return f"{self.spent_today}/{self.daily_limit}"

    @property
    def spent_today(self) -> int:
        return self.spent if self.day == timezone.now().date() else 0
