"""How billing refuses."""

from django.utils.translation import gettext_lazy as _

from zevix.errors import Conflict, Refusal


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
