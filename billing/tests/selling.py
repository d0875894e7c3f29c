"""What it takes to have a paying customer, at the stand-in for Stripe."""

from billing import entitlements
from billing.models import BillingAccount, Interval, Plan, Price
from billing.stripe_gateway.client import client

_PAGES = {"success_url": "https://zevix.example/done", "cancel_url": "https://zevix.example/"}


def price_in_stripe(amount=2900, interval="month"):
    """The id of a price that Stripe knows."""
    product = client().v1.products.create({"name": "Plan"})
    recurring = {"recurring": {"interval": interval}} if interval else {}
    wanted = {"product": product.id, "currency": "usd", "unit_amount": amount, **recurring}
    return client().v1.prices.create(wanted).id


def sell(code, interval=Interval.MONTH):
    """A plan's price, known to Stripe and to us."""
    price = Price.objects.get(plan__code=code, interval=interval, is_current=True)
    price.stripe_price_id = price_in_stripe(price.amount, interval)
    price.save()
    return price


def make_account(workspace):
    """A workspace that is Stripe's customer."""
    customer = client().v1.customers.create({})
    return BillingAccount.objects.create(workspace=workspace, customer_id=customer.id)


def begin_checkout(customer_id, price_id, mode="subscription", **fields):
    wanted = {"mode": mode, "line_items": [{"price": price_id, "quantity": 1}], **_PAGES, **fields}
    return client().v1.checkout.sessions.create(wanted | ({"customer": customer_id} if customer_id else {})).id


def subscribe(stripe_server, account, price_id, **fields):
    """The id of a subscription that the customer went through Checkout for."""
    return stripe_server.complete(begin_checkout(account.customer_id, price_id, **fields))["subscription"]


def buy_pack(stripe_server, account, leads="100", pack="leads-100", payment="ok", **fields):
    """The id of a session in which a pack was paid for."""
    metadata = {"workspace": str(account.workspace_id), "pack": pack, "leads": leads}
    session = begin_checkout(account.customer_id, price_in_stripe(900, None), "payment", metadata=metadata, **fields)
    stripe_server.complete(session, payment)
    return session


def plan(code):
    return Plan.objects.get(code=code)


def code_of(account):
    """Of the plan that the account's workspace has."""
    return entitlements.plan_of(account.workspace).code
