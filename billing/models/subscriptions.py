"""What a workspace has bought, or was given."""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from billing.models.offers import Interval, Plan, TopUpPack
from zevix.tenancy import TenantQuerySet

# Stripe's words for a subscription's state; an empty one is a plan that the operator gave
RUNNING = ("", "active", "trialing")
OVERDUE = ("past_due", "unpaid")
LIVE = (*RUNNING, *OVERDUE)


class SubscriptionQuerySet(TenantQuerySet["Subscription"]):
    def in_force(self) -> Self:
        """Those whose plan counts now: running ones, and overdue ones for the days of grace."""
        overdue = Q(status__in=OVERDUE, overdue_since__gt=timezone.now() - settings.BILLING_GRACE)
        return self.filter(Q(status__in=RUNNING) | overdue)


class Subscription(models.Model):
    """The plan that a workspace has; one without a row has the free plan, and so has one whose row is not in force.

    Where ``stripe_id`` is set, the row says what Stripe said when it was read last, and only `billing.converging.syncing` writes it.
    """

    workspace = models.OneToOneField(
        Workspace, models.CASCADE, related_name="subscription", verbose_name=_("workspace")
    )
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="subscriptions", verbose_name=_("plan"))
    stripe_id = models.TextField(_("subscription in Stripe"), blank=True, default="", db_default="", editable=False)
    status = models.TextField(_("status"), blank=True, default="", db_default="", editable=False)
    interval = models.TextField(_("interval"), choices=Interval, blank=True, default="", db_default="", editable=False)
    seats = models.PositiveIntegerField(
        _("seats"), null=True, blank=True, help_text=_("Empty: as many as the plan includes.")
    )
    period_end = models.DateTimeField(_("paid until"), null=True, editable=False)
    trial_end = models.DateTimeField(_("trial until"), null=True, editable=False)
    cancel_at = models.DateTimeField(_("ends"), null=True, editable=False)
    pending_plan = models.ForeignKey(
        Plan, models.PROTECT, null=True, editable=False, related_name="+", verbose_name=_("next plan")
    )
    pending_interval = models.TextField(choices=Interval, blank=True, default="", db_default="", editable=False)
    pending_at = models.DateTimeField(_("next plan from"), null=True, editable=False)
    overdue_since = models.DateTimeField(_("unpaid since"), null=True, editable=False)
    problem = models.TextField(_("problem"), blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects: ClassVar[Any] = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.UniqueConstraint(
                fields=["stripe_id"], condition=~Q(stripe_id=""), name="billing_stripe_subscription_names_one_row"
            )
        ]

    def __str__(self) -> str:
        return f"{self.workspace} · {self.plan}"

    @property
    def is_live_in_stripe(self) -> bool:
        """Whether Stripe will go on charging for it, or at least try."""
        return bool(self.stripe_id) and self.status in LIVE

    def make_given(self) -> None:
        """Forget what Stripe said of it: the plan is the operator's gift from now on, and in force."""
        self.stripe_id = self.status = self.interval = self.pending_interval = self.problem = ""
        self.period_end = self.trial_end = self.cancel_at = self.overdue_since = None
        self.pending_plan = self.pending_at = None


class TopUp(models.Model):
    """A pack that a workspace has paid for. One payment (a Checkout session of Stripe) makes one."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="top_ups", verbose_name=_("workspace"))
    pack = models.ForeignKey(TopUpPack, models.SET_NULL, null=True, related_name="+", verbose_name=_("pack"))
    leads = models.PositiveIntegerField(_("leads"))
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.PositiveIntegerField(_("amount"))
    session_id = models.TextField(_("Checkout session"), unique=True)
    created_at = models.DateTimeField(_("paid"), auto_now_add=True)

    objects: ClassVar[Any] = TenantQuerySet.as_manager()

    class Meta:
        verbose_name = _("top-up")
        verbose_name_plural = _("top-ups")

    def __str__(self) -> str:
        return f"+{self.leads}"
