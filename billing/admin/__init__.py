"""Billing in the admin: what is on offer, who has what, and what Stripe said. All of it is the operator's alone."""

from billing.admin.plans import PlanAdmin, TopUpPackAdmin
from billing.admin.stripe import BillingAccountAdmin, StripeEventAdmin
from billing.admin.subscriptions import SubscriptionAdmin, SubscriptionInline, TopUpAdmin

__all__ = [
    "BillingAccountAdmin",
    "PlanAdmin",
    "StripeEventAdmin",
    "SubscriptionAdmin",
    "SubscriptionInline",
    "TopUpAdmin",
    "TopUpPackAdmin",
]
