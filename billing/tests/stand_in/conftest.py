"""What is asked of the stand-in for Stripe, by the package that production uses."""

import pytest
import stripe


@pytest.fixture
def api(stripe_server):
    return stripe.StripeClient(stripe_server.secret_key, base_addresses={"api": stripe_server.url})


@pytest.fixture
def customer(api):
    return api.v1.customers.create({"email": "ann@example.com"})


@pytest.fixture
def product(api):
    return api.v1.products.create({"name": "Pro"})


@pytest.fixture
def price(api, product):
    """Makes prices of the product: an amount, an interval or None, and what else."""

    def make(amount, interval="month", **more):
        recurring = {"recurring": {"interval": interval}} if interval else {}
        return api.v1.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount": amount, **recurring, **more}
        )

    return make


@pytest.fixture
def checkout(api, customer):
    def make(price, *, mode="subscription", quantity=1, **more):
        return api.v1.checkout.sessions.create(
            {
                "mode": mode,
                "customer": customer.id,
                "line_items": [{"price": price.id, "quantity": quantity}],
                "success_url": "https://example.com/done",
                **more,
            }
        )

    return make


@pytest.fixture
def subscribe(api, checkout, stripe_server):
    """A subscription as a completed Checkout leaves it."""

    def make(price, *, code=None, **more):
        session = checkout(price, **more)
        stripe_server.complete(session.id, promotion_code=code)
        return api.v1.subscriptions.retrieve(stripe_server.sessions[session.id]["subscription"])

    return make
