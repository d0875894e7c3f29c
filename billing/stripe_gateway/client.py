"""The connection to Stripe: one client for each key, with a timeout, the package's retries, and errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import stripe
from django.conf import settings

from zevix.errors import NotConfigured, Rejected, Unanswered, Unreachable

_TIMEOUT, _RETRIES = 20.0, 2  # seconds for each try
_HURRY = 1.0  # seconds, where somebody waits for an answer that can do without Stripe


def is_configured() -> bool:
    return bool(settings.STRIPE_SECRET_KEY)


def client(*, in_a_hurry: bool = False) -> stripe.StripeClient:
    """Stripe, with the installation's key. Raises NotConfigured where there is none. In a hurry it tries once, and not for long."""
    if not is_configured():
        raise NotConfigured(setting="STRIPE_SECRET_KEY")
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, in_a_hurry)


@lru_cache(maxsize=4)
def _client(key: str, base: str, in_a_hurry: bool) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base} if base else {},
        max_network_retries=0 if in_a_hurry else _RETRIES,
        http_client=stripe.RequestsClient(timeout=_HURRY if in_a_hurry else _TIMEOUT),
    )


@contextmanager
def asking() -> Iterator[None]:
    """Turn the package's errors into ours: Unreachable (try later; Unanswered is one) and Rejected (do not), with Stripe's code as ``kind``.

    Source: https://docs.stripe.com/api/errors
    """
    try:
        yield
    except stripe.APIConnectionError as error:
        # the package's own sentence is a page long, and holds the address with its ids
        raise Unanswered(vendor="Stripe", reason="no connection, or no answer in time", kind=error.code) from error
    except stripe.RateLimitError as error:
        raise Unreachable(vendor="Stripe", reason=_reason(error), kind=error.code) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise Rejected(vendor="Stripe", reason=_reason(error), kind="authentication") from error
    except stripe.StripeError as error:
        # a fault over there, or the same idempotency key at work in another request
        passing = (error.http_status or 500) >= 500 or error.http_status == 409
        failure = Unreachable if passing else Rejected
        raise failure(vendor="Stripe", reason=_reason(error), kind=error.code) from error


def _reason(error: stripe.StripeError) -> str:
    return error.user_message or type(error).__name__
