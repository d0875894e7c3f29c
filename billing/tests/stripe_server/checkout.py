"""Checkout: a session is made, and a customer completes it, or not."""

from billing.tests.stripe_server import catalogue, discounts
from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.money import amount_of
from billing.tests.stripe_server.refusals import Refused, lacks, missing, not_modelled
from billing.tests.stripe_server.world import DAY, Object, World, in_range, page

_MODELLED = {
    "mode", "line_items", "customer", "customer_email", "client_reference_id", "metadata", "subscription_data",
    "payment_intent_data", "discounts", "allow_promotion_codes", "success_url", "cancel_url", "locale", "expires_at",
    "billing_address_collection", "customer_creation", "payment_method_collection", "payment_method_types",
    "submit_type", "tax_id_collection", "customer_update", "expand", "ui_mode", "invoice_creation",
}  # fmt: skip


def create(world: World, params: Object) -> Object:
    mode = _checked_mode(params)
    rows = [_row(world, each, mode, n) for n, each in enumerate(params["line_items"])]
    customer = params.get("customer")
    if customer is not None:
        world.customer(customer)
    sources = discounts.checked(world, params.get("discounts") or [])
    expires = params.get("expires_at", world.now + DAY)
    if not world.now + 1800 <= expires <= world.now + DAY:
        told = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise Refused(told, param="expires_at")
    id = world.new_id("cs_test")
    world.asked[id] = {**params, "sources": sources}
    world.includable[id, "line_items"] = {
        "object": "list", "data": rows, "has_more": False, "url": f"/v1/checkout/sessions/{id}/line_items",
    }  # fmt: skip
    world.sessions[id] = _session(world, id, params, expires)
    count(world, world.sessions[id])
    return world.sessions[id]


def _checked_mode(params: Object) -> str:
    for name in params:
        if name not in _MODELLED:
            raise not_modelled(f"{name} of a Checkout session")
    mode = params.get("mode")
    if mode is None:
        raise lacks("mode")
    if mode == "setup" or params.get("ui_mode", "hosted_page") != "hosted_page":
        raise not_modelled("another Checkout than the hosted page in the modes subscription and payment")
    if not params.get("success_url"):
        raise lacks("success_url")
    if not params.get("line_items"):
        raise lacks("line_items")
    _refuse_pairs(params)
    other = "payment_intent_data" if mode == "subscription" else "subscription_data"
    if other in params:
        raise Refused(f"You can not pass `{other}` in `{mode}` mode.", param=other)
    return mode


def _refuse_pairs(params: Object) -> None:
    for one, other in (("customer", "customer_email"), ("allow_promotion_codes", "discounts")):
        if one in params and other in params:
            raise Refused(f"You may only specify one of these parameters: {one}, {other}.", param=one)
    if len(params.get("discounts") or []) > 1:
        raise Refused("You may only specify one discount.", param="discounts")


def _row(world: World, wanted: Object, mode: str, n: int) -> Object:
    param = f"line_items[{n}]"
    for name in wanted:
        if name not in ("price", "price_data", "quantity"):
            raise not_modelled(f"{param}[{name}]")
    if "price_data" in wanted:
        wanted["price"] = _made_for_this(world, wanted["price_data"])
    if "price" not in wanted:
        raise lacks(f"{param}[price]")
    price = world.price(wanted["price"], f"{param}[price]")
    if not price["active"] and "price_data" not in wanted:
        told = f"The price specified is inactive. This field only accepts active prices: {price['id']}."
        raise Refused(told, param=f"{param}[price]")
    if mode == "payment" and price["type"] == "recurring":
        told = "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices."
        raise Refused(told, param=param)
    if mode == "subscription" and price["type"] != "recurring":
        raise Refused("You must provide at least one recurring price in `subscription` mode.", param=param)
    quantity = wanted.get("quantity")
    if quantity is None:
        raise Refused("Quantity is required. Add `quantity` to `" + param + "`", param=f"{param}[quantity]")
    if quantity < 1:
        raise Refused("Invalid positive integer", code="parameter_invalid_integer", param=f"{param}[quantity]")
    amount = amount_of(world, price, quantity)
    return {
        "id": world.new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": world.products[price["product"]]["name"],
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def _made_for_this(world: World, data: Object) -> str:
    """The price of an inline description; Stripe keeps such a one archived."""
    return catalogue.create_price(world, {**data, "active": False})["id"]


def _session(world: World, id: str, params: Object, expires: int) -> Object:
    return {
        "id": id,
        "object": "checkout.session",
        "adaptive_pricing": None,
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": None,
        "amount_total": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": world.now,
        "currency": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None,
        },
        "customer": params.get("customer"),
        "customer_creation": None if "customer" in params else "always",
        "customer_details": None,
        "customer_email": params.get("customer_email"),
        "discounts": [{"coupon": each.get("coupon"), "promotion_code": each.get("promotion_code")}
                      for each in params.get("discounts") or []],
        "expires_at": expires,
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": merged({}, params.get("metadata")),
        "mode": params["mode"],
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": params.get("payment_method_collection", "always"),
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"https://checkout.stripe.com/c/pay/{id}",
        "wallet_options": None,
    }  # fmt: skip


def count(world: World, session: Object) -> None:
    """What is to be paid now."""
    asked = world.asked[session["id"]]
    rows = world.includable[session["id"], "line_items"]["data"]
    subtotal = 0 if trial_end(world, asked) else sum(row["amount_subtotal"] for row in rows)
    off = 0
    for coupon, _ in asked["sources"]:
        found = world.coupons[coupon]
        percent = found["percent_off"]
        off += min(subtotal, found["amount_off"]) if percent is None else round(subtotal * percent / 100)
    session.update(currency=rows[0]["currency"], amount_subtotal=subtotal, amount_total=subtotal - off)
    session["total_details"]["amount_discount"] = off


def trial_end(world: World, asked: Object) -> int | None:
    data = asked.get("subscription_data", {})
    for name in data:
        if name not in ("metadata", "trial_period_days", "trial_end", "trial_settings", "description", "billing_mode"):
            raise not_modelled(f"subscription_data[{name}]")
    days = data.get("trial_period_days")
    if days is not None and days < 1:
        raise Refused("The minimum number of trial period days is 1.", param="subscription_data[trial_period_days]")
    return world.now + days * DAY if days else data.get("trial_end")


def find(world: World, session: str) -> Object:
    if session not in world.sessions:
        raise missing("checkout.session", session, "session")
    return world.sessions[session]


def retrieve(world: World, params: Object, session: str) -> Object:
    return find(world, session)


def line_items(world: World, params: Object, session: str) -> Object:
    return world.includable[find(world, session)["id"], "line_items"]


def listed(world: World, params: Object) -> Object:
    if {"customer_details", "payment_link"} & set(params):
        raise not_modelled("this filter of sessions")
    if "customer" in params:
        world.customer(params["customer"])
    wanted = {name: params[name] for name in ("customer", "subscription", "status", "payment_intent") if name in params}
    rows = [
        each
        for each in world.sessions.values()
        if all(each[name] == value for name, value in wanted.items())
        and in_range(each["created"], params.get("created", each["created"]))
    ]
    return page(rows, params, "/v1/checkout/sessions")


def expire(world: World, params: Object, session: str) -> Object:
    found = find(world, session)
    if found["status"] != "open":
        raise Refused(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of `{found["status"]}`.',
        )
    found.update(status="expired", url=None)
    world.emit("checkout.session.expired", found)
    return found
