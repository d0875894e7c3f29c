"""Coupons at work: who has one, and what it takes off."""

from decimal import Decimal

from billing.tests.stripe_server.money import plus_months, rounded
from billing.tests.stripe_server.refusals import Refused, missing
from billing.tests.stripe_server.world import Object, World


def checked(world: World, wanted: list[Object]) -> list[tuple[str, str | None]]:
    """(coupon, promotion code) of what a request names. Raises Refused."""
    return [_source(world, each, f"discounts[{n}]") for n, each in enumerate(wanted)]


def _source(world: World, wanted: Object, param: str) -> tuple[str, str | None]:
    if "coupon" in wanted:
        if wanted["coupon"] not in world.coupons:
            raise missing("coupon", wanted["coupon"], f"{param}[coupon]")
        return wanted["coupon"], None
    id = wanted.get("promotion_code", "")
    if id not in world.promotion_codes:
        raise missing("promotion code", id, f"{param}[promotion_code]")
    code = world.promotion_codes[id]
    worn_out = code["max_redemptions"] is not None and code["times_redeemed"] >= code["max_redemptions"]
    late = code["expires_at"] is not None and code["expires_at"] <= world.now
    if not code["active"] or worn_out or late:
        raise Refused("This promotion code cannot be redeemed.", param=f"{param}[promotion_code]")
    return code["promotion"]["coupon"], id


def give(world: World, sources: list[tuple[str, str | None]], *, customer: str, session: str) -> list[str]:
    """Redeem coupons for a subscription to be: the ids of its discounts."""
    return [_redeem(world, coupon, code, customer, session) for coupon, code in sources]


def _redeem(world: World, coupon: str, code: str | None, customer: str, session: str) -> str:
    found = world.coupons[coupon]
    found["times_redeemed"] += 1
    if code:
        world.promotion_codes[code]["times_redeemed"] += 1
    months = found["duration_in_months"]
    id = world.new_id("di")
    world.discounts[id] = {
        "id": id,
        "object": "discount",
        "checkout_session": session,
        "customer": customer,
        "end": plus_months(world.now, months) if months else None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code,
        "source": {"coupon": coupon, "type": "coupon"},
        "start": world.now,
        "subscription": None,
        "subscription_item": None,
    }
    return id


def taken_off(world: World, lines: list[Object], discounts: list[str], *, is_new_period: bool) -> list[Object]:
    """Give the lines their `discount_amounts`; the sums by discount. Credits stay as they are: they are of what was billed."""
    sums: dict[str, int] = {}
    for id in discounts:
        coupon = world.coupons[world.discounts[id]["source"]["coupon"]]
        left = coupon["amount_off"] or 0
        for line in lines:
            if not line["discountable"] or (coupon["amount_off"] and not is_new_period):
                continue
            price = line["amount"] - sum(each["amount"] for each in line["discount_amounts"])
            if coupon["percent_off"] is not None:
                off = rounded(Decimal(price) * Decimal(str(coupon["percent_off"])) / 100)
            else:
                off = min(price, left)
                left -= off
            line["discount_amounts"].append({"amount": off, "discount": id})
            sums[id] = sums.get(id, 0) + off
    return [{"amount": amount, "discount": id} for id, amount in sums.items()]


def lasting(world: World, discounts: list[str], *, was_used: bool) -> list[str]:
    """Those that a subscription keeps after an invoice."""
    kept = []
    for id in discounts:
        discount = world.discounts[id]
        is_once = world.coupons[discount["source"]["coupon"]]["duration"] == "once"
        is_over = discount["end"] is not None and discount["end"] <= world.now
        if not is_over and not (is_once and was_used):
            kept.append(id)
    return kept
