"""Billing in the admin: what is on offer, who has what, and what Stripe said. All of it is the operator's alone."""

from billing.admin.plans import PlanAdmin, SubscriptionAdmin, SubscriptionInline
from billing.admin.stripe import BillingAccountAdmin, StripeEventAdmin

__all__ = ["BillingAccountAdmin", "PlanAdmin", "StripeEventAdmin", "SubscriptionAdmin", "SubscriptionInline"]
