"""`stripe_server`, for every test of the project."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.tests.stripe_server import StripeServer


@pytest.fixture(scope="session")
def started_stripe_server() -> Iterator[StripeServer]:
    server = StripeServer()
    yield server
    server.stop()


@pytest.fixture
def stripe_server(started_stripe_server: StripeServer, settings: Any) -> Iterator[StripeServer]:
    """A new, empty account of Stripe, which the settings point at."""
    started_stripe_server.reset()
    settings.STRIPE_SECRET_KEY = started_stripe_server.secret_key
    settings.STRIPE_WEBHOOK_SECRETS = [started_stripe_server.webhook_secret]
    settings.STRIPE_API_BASE = started_stripe_server.url
    yield started_stripe_server
    started_stripe_server.slow(0)
    assert started_stripe_server.faults == []
