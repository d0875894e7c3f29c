"""Customers."""

from billing.tests.stripe_server import dunning
from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.refusals import not_modelled
from billing.tests.stripe_server.world import Object, World, in_range, page

_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def create(world: World, params: Object) -> Object:
    if {"payment_method", "source", "coupon", "promotion_code"} & set(params):
        raise not_modelled("a customer created with more than data about it")
    id = world.new_id("cus")
    world.customers[id] = {
        "id": id,
        "object": "customer",
        "address": {**_ADDRESS, **(params.get("address") or {})} if params.get("address") else None,
        "balance": params.get("balance", 0),
        "created": world.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": params.get("description") or None,
        "email": params.get("email") or None,
        "invoice_prefix": id[-6:],
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merged({}, params.get("metadata")),
        "name": params.get("name") or None,
        "next_invoice_sequence": 1,
        "phone": params.get("phone") or None,
        "preferred_locales": params.get("preferred_locales", []),
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    world.emit("customer.created", world.customers[id])
    return world.customers[id]


def update(world: World, params: Object, customer: str) -> Object:
    found = world.customer(customer, "id")
    for name, value in params.items():
        if name == "metadata":
            found["metadata"] = merged(found["metadata"], value)
        elif name in ("email", "name", "description", "phone", "preferred_locales"):
            found[name] = value or None
        elif name != "expand":
            raise not_modelled(f"{name} of a customer")
    world.emit("customer.updated", found)
    return found


def retrieve(world: World, params: Object, customer: str) -> Object:
    return world.find("customer", world.customers, customer)


def listed(world: World, params: Object) -> Object:
    rows = [
        each
        for each in world.customers.values()
        if not each.get("deleted")
        and params.get("email", each.get("email")) == each.get("email")
        and in_range(each["created"], params.get("created", each["created"]))
    ]
    return page(rows, params, "/v1/customers")


def delete(world: World, params: Object, customer: str) -> Object:
    """Its subscriptions end at once: https://docs.stripe.com/api/customers/delete"""
    found = world.customer(customer, "id")
    for subscription in world.subscriptions.values():
        if subscription["customer"] == customer and subscription["status"] != "canceled":
            dunning.end(world, subscription, reason="cancellation_requested")
    world.emit("customer.deleted", found)
    world.customers[customer] = {"id": customer, "object": "customer", "deleted": True}
    return world.customers[customer]
