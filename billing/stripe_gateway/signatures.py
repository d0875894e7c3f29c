"""Whether what came to the webhook is from Stripe. Source: https://docs.stripe.com/webhooks#verify-manually"""

from typing import Any

import orjson
import stripe
from django.conf import settings

from billing.errors import InvalidSignature
from zevix.errors import Malformed, NotConfigured

_TOLERANCE = 300  # seconds


def verified(body: bytes, header: str) -> Any:
    """The JSON of a webhook's body. Raises InvalidSignature, Malformed, and NotConfigured where there is nothing to check by.

    Each of STRIPE_WEBHOOK_SECRETS counts: while one takes the other's place, Stripe may sign by either.
    """
    if not settings.STRIPE_SECRET_KEY:
        raise NotConfigured(setting="STRIPE_SECRET_KEY")
    if not settings.STRIPE_WEBHOOK_SECRETS:
        raise NotConfigured(setting="STRIPE_WEBHOOK_SECRET")
    if not any(_is_signed(body, header, secret) for secret in settings.STRIPE_WEBHOOK_SECRETS):
        raise InvalidSignature
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed from error


def _is_signed(body: bytes, header: str, secret: str) -> bool:
    if not header.isascii():  # the comparison takes no other text
        return False
    try:
        return stripe.WebhookSignature.verify_header(body, header, secret, _TOLERANCE)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
