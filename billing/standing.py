"""What a workspace has bought, as it is shown to it."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from accounts import seats
from accounts.models import Workspace
from billing import entitlements
from billing.models import Plan, Subscription
from billing.stripe_gateway.client import is_configured


@dataclass(frozen=True)
class Standing:
    """``plan`` is the one in force; ``subscription`` is what was bought or given, also when it is over."""

    plan: Plan
    subscription: Subscription | None
    seats_limit: int | None
    seats_used: int

    @property
    def status(self) -> str:
        """Stripe's word; ``given`` for a plan by the operator, ``none`` where there never was one."""
        if self.subscription is None:
            return "none"
        return self.subscription.status or "given"

    @property
    def grace_until(self) -> datetime | None:
        """Until when an unpaid plan is kept."""
        since = self.subscription and self.subscription.overdue_since
        return since + settings.BILLING_GRACE if since else None

    @property
    def billing(self) -> str:
        return "stripe" if is_configured() else "off"


def standing(workspace: Workspace) -> Standing:
    """Five queries."""
    rows = Subscription.objects.for_workspace(workspace).select_related("pending_plan")
    return Standing(
        entitlements.plan_of(workspace), rows.first(), entitlements.seats_of(workspace), seats.taken_in(workspace)
    )
