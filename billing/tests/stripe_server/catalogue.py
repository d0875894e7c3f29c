"""Products and prices."""

from decimal import Decimal
from typing import Any

from billing.tests.stripe_server.refusals import Refused, lacks, missing, not_modelled
from billing.tests.stripe_server.world import Object, World, page


def merged(metadata: dict[str, str], given: Any) -> dict[str, str]:
    """Metadata after an update: an empty value takes its key away, and an empty string all of them."""
    if given == "":
        return {}
    return {name: value for name, value in {**metadata, **(given or {})}.items() if value != ""}


def create_product(world: World, params: Object) -> Object:
    if "default_price_data" in params:
        raise not_modelled("default_price_data")
    id = params.get("id") or world.new_id("prod")
    if id in world.products:
        raise Refused("Product already exists.", code="resource_already_exists", param="id")
    world.products[id] = {
        "id": id,
        "object": "product",
        "active": params.get("active", True),
        "created": world.now,
        "default_price": None,
        "description": params.get("description") or None,
        "images": params.get("images", []),
        "livemode": False,
        "marketing_features": params.get("marketing_features", []),
        "metadata": merged({}, params.get("metadata")),
        "name": params["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": params.get("statement_descriptor"),
        "tax_code": params.get("tax_code"),
        "type": "service",
        "unit_label": params.get("unit_label"),
        "updated": world.now,
        "url": params.get("url"),
    }
    world.emit("product.created", world.products[id])
    return world.products[id]


def update_product(world: World, params: Object, id: str) -> Object:
    found = world.find("product", world.products, id)
    for name, value in params.items():
        if name == "metadata":
            found["metadata"] = merged(found["metadata"], value)
        elif name in ("name", "active", "default_price", "marketing_features", "images"):
            found[name] = value
        elif name in ("description", "unit_label", "statement_descriptor", "tax_code", "url"):
            found[name] = value or None
        elif name != "expand":
            raise not_modelled(f"{name} of a product")
    found["updated"] = world.now
    world.emit("product.updated", found)
    return found


def retrieve_product(world: World, params: Object, id: str) -> Object:
    return world.find("product", world.products, id)


def list_products(world: World, params: Object) -> Object:
    if {"shippable", "url", "type"} & set(params):
        raise not_modelled("this filter of products")
    rows = [
        each
        for each in world.products.values()
        if params.get("active", each["active"]) == each["active"] and each["id"] in params.get("ids", [each["id"]])
    ]
    return page(rows, params, "/v1/products")


def create_price(world: World, params: Object) -> Object:
    if {"custom_unit_amount", "transform_quantity", "currency_options"} & set(params):
        raise not_modelled("such a price")
    if "product" in params:
        if params["product"] not in world.products:
            raise missing("product", params["product"], "product")
        product = params["product"]
    elif "product_data" in params:
        product = create_product(world, params["product_data"])["id"]
    else:
        raise lacks("product")
    currency = params["currency"].lower()
    if len(currency) != 3:
        raise Refused(f"Invalid currency: {currency}.", param="currency")
    is_tiered = params.get("billing_scheme") == "tiered"
    unit = _unit_amount(params, is_tiered)
    _take_lookup_key(world, params)
    id = world.new_id("price")
    if is_tiered:
        world.includable[id, "tiers"] = _tiers(params)
    recurring = params.get("recurring")
    world.prices[id] = {
        "id": id,
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": "tiered" if is_tiered else "per_unit",
        "created": world.now,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.get("lookup_key") or None,
        "metadata": merged({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product,
        "recurring": recurring
        and {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": recurring.get("usage_type", "licensed"),
        },
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode"),
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": unit,
        "unit_amount_decimal": None if unit is None else str(unit),
    }
    world.emit("price.created", world.prices[id])
    return world.prices[id]


def _unit_amount(params: Object, is_tiered: bool) -> int | None:
    if is_tiered:
        if "unit_amount" in params or "unit_amount_decimal" in params:
            raise Refused("You cannot set `unit_amount` when `billing_scheme=tiered`.", param="unit_amount")
        if not params.get("tiers"):
            raise lacks("tiers")
        if "tiers_mode" not in params:
            raise lacks("tiers_mode")
        return None
    if "tiers" in params:
        raise Refused("You must set `billing_scheme=tiered` to use tiers.", param="tiers")
    if "unit_amount" in params:
        if params["unit_amount"] < 0:
            raise Refused("Invalid non-negative integer", code="parameter_invalid_integer", param="unit_amount")
        return params["unit_amount"]
    if "unit_amount_decimal" not in params:
        raise lacks("unit_amount")
    if params["unit_amount_decimal"] != int(params["unit_amount_decimal"]):
        raise not_modelled("fractions of the smallest unit")
    return int(params["unit_amount_decimal"])


def _tiers(params: Object) -> list[Object]:
    if params["tiers_mode"] != "graduated":
        raise not_modelled("volume pricing")
    last, tops = params["tiers"][-1], [tier["up_to"] for tier in params["tiers"][:-1]]
    if last["up_to"] != "inf" or tops != sorted(set(tops)):
        raise Refused("Tiers must rise, and the last one must be `inf`.", param="tiers")
    return [_tier(tier) for tier in params["tiers"]]


def _tier(tier: Object) -> Object:
    def decimal(amount: int | None) -> str | None:
        return None if amount is None else str(Decimal(amount))

    flat, unit = tier.get("flat_amount"), tier.get("unit_amount")
    if flat is None and unit is None:
        raise lacks("tiers[unit_amount]")
    return {
        "flat_amount": flat,
        "flat_amount_decimal": decimal(flat),
        "unit_amount": unit,
        "unit_amount_decimal": decimal(unit),
        "up_to": None if tier["up_to"] == "inf" else tier["up_to"],
    }


def _take_lookup_key(world: World, params: Object) -> None:
    key = params.get("lookup_key")
    owner = next((each for each in world.prices.values() if key and each["lookup_key"] == key), None)
    if owner is None:
        return
    if not params.get("transfer_lookup_key"):
        raise Refused(f"A price (`{owner['id']}`) already uses that lookup key.", param="lookup_key")
    owner["lookup_key"] = None
    world.emit("price.updated", owner)


def update_price(world: World, params: Object, price: str) -> Object:
    found = world.find("price", world.prices, price, "price")
    if params.get("lookup_key") != found["lookup_key"]:
        _take_lookup_key(world, params)
    for name, value in params.items():
        if name == "metadata":
            found["metadata"] = merged(found["metadata"], value)
        elif name in ("active", "nickname", "lookup_key", "tax_behavior"):
            found[name] = None if value == "" else value
        elif name not in ("expand", "transfer_lookup_key"):
            raise not_modelled(f"{name} of a price")
    world.emit("price.updated", found)
    return found


def retrieve_price(world: World, params: Object, price: str) -> Object:
    return world.find("price", world.prices, price, "price")


def list_prices(world: World, params: Object) -> Object:
    if "recurring" in params or "created" in params:
        raise not_modelled("this filter of prices")
    wanted = {name: params[name] for name in ("active", "product", "currency", "type") if name in params}
    rows = [
        each
        for each in world.prices.values()
        if all(each[name] == value for name, value in wanted.items())
        and each["lookup_key"] in params.get("lookup_keys", [each["lookup_key"]])
    ]
    return page(rows, params, "/v1/prices")
