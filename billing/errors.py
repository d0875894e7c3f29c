"""How billing refuses."""

from django.utils.translation import gettext_lazy as _

from zevix.errors import Conflict, NotConfigured, Refusal, ValidationFailed


class InvalidSignature(Refusal):
    code, status = "invalid_signature", 400
    message = _("This is not signed by Stripe, or it was signed too long ago.")


class UnknownPrice(Conflict):
    message = _(
        "Stripe charges by the price {price}, which no plan here has. Enter it at a plan's price, and try again."
    )


class TwoCustomers(Conflict):
    message = _("Stripe's customer {customer} names the workspace {workspace}, which is another customer there.")


class NotOurPack(Conflict):
    message = _("The Checkout session {session} does not say how many leads were paid for.")


class NotInStripe(NotConfigured):
    message = _("The price of this plan is not in Stripe yet; the operator runs manage.py sync_plans.")


class NoSuchCoupon(ValidationFailed):
    def __init__(self) -> None:
        super().__init__(fields={"coupon": [_("This code does not exist, or can't be used here.")]})


class AlreadySubscribed(Conflict):
    message = _("There is a subscription already; change it instead.")


class NoSubscription(Conflict):
    message = _("There is no subscription to change; buy a plan first.")


class TooManyMembers(Conflict):
    code = "seat_limit_reached"
    message = _("The workspace has {members} members, and there would be {limit} seats.")


class PaymentFailed(Refusal):
    code, status = "payment_failed", 402
    message = _("The payment failed, and nothing was changed: {reason}")
