"""Stripe on loopback: stateful, refuses what Stripe refuses, signs its events, and has a clock that only goes on.

It speaks the API of the version that the installed package speaks, as far as billing needs it. A parameter that Stripe knows and
this does not model is refused aloud. Simpler than Stripe: an invoice is final and tried at once (there: an hour later);
a subscription begins `active`, never `incomplete`, since Checkout makes it after the payment; no taxes, no currencies' conversion.
"""

from billing.tests.stripe_server.standin import StripeServer

__all__ = ["StripeServer"]
