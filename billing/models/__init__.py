"""The tables of billing: what is on offer, what a workspace has of it, and what Stripe said."""

from billing.models.offers import FREE, Interval, Plan, Price, TopUpPack
from billing.models.stripe import BillingAccount, StripeEvent
from billing.models.subscriptions import Subscription, TopUp

__all__ = [
    "FREE",
    "BillingAccount",
    "Interval",
    "Plan",
    "Price",
    "StripeEvent",
    "Subscription",
    "TopUp",
    "TopUpPack",
]
