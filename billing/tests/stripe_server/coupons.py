"""Coupons, and the codes by which customers get them."""

from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.refusals import Refused, lacks, missing, not_modelled
from billing.tests.stripe_server.world import Object, World, page


def create_coupon(world: World, params: Object) -> Object:
    if {"applies_to", "currency_options", "redeem_by"} & set(params):
        raise not_modelled("such a coupon")
    if ("percent_off" in params) == ("amount_off" in params):
        raise Refused("You must specify exactly one of: percent_off, amount_off.", param="percent_off")
    if "amount_off" in params and "currency" not in params:
        raise lacks("currency")
    duration = params.get("duration", "once")
    if duration == "repeating" and "duration_in_months" not in params:
        raise lacks("duration_in_months")
    id = params.get("id") or world.new_id("coupon")
    if id in world.coupons:
        raise Refused("Coupon already exists.", code="resource_already_exists", param="id")
    world.coupons[id] = {
        "id": id,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": world.now,
        "currency": params.get("currency"),
        "duration": duration,
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": None if "percent_off" not in params else float(params["percent_off"]),
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }
    return world.coupons[id]


def retrieve_coupon(world: World, params: Object, coupon: str) -> Object:
    return world.find("coupon", world.coupons, coupon, "coupon")


def list_coupons(world: World, params: Object) -> Object:
    return page(world.coupons.values(), params, "/v1/coupons")


def create_promotion_code(world: World, params: Object) -> Object:
    coupon = params["promotion"].get("coupon")
    if coupon not in world.coupons:
        raise missing("coupon", str(coupon), "promotion[coupon]")
    if "restrictions" in params:
        raise not_modelled("restrictions of promotion codes")
    id = world.new_id("promo")
    code = params.get("code", id.upper())
    if any(each["code"].lower() == code.lower() and each["active"] for each in world.promotion_codes.values()):
        raise Refused("An active promotion code with `code: " + code + "` already exists.", param="code")
    world.promotion_codes[id] = {
        "id": id,
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": world.now,
        "customer": params.get("customer"),
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged({}, params.get("metadata")),
        "promotion": {"coupon": coupon, "type": "coupon"},
        "restrictions": {
            "first_time_transaction": False,
            "minimum_amount": None,
            "minimum_amount_currency": None,
        },
        "times_redeemed": 0,
    }
    return world.promotion_codes[id]


def retrieve_promotion_code(world: World, params: Object, promotion_code: str) -> Object:
    return world.find("promotion code", world.promotion_codes, promotion_code, "promotion_code")


def list_promotion_codes(world: World, params: Object) -> Object:
    code = params.get("code")
    rows = [
        each
        for each in world.promotion_codes.values()
        if code in (None, each["code"])
        and params.get("active", each["active"]) == each["active"]
        and params.get("coupon", each["promotion"]["coupon"]) == each["promotion"]["coupon"]
    ]
    return page(rows, params, "/v1/promotion_codes")
