"""What a change of a subscription's items costs, to the second. Nothing is written down here: a preview asks the same.

Source: https://docs.stripe.com/billing/subscriptions/prorations, with the credits of billing mode `flexible`, which are shares of
what was billed.
"""

import copy
from dataclasses import dataclass, field

from billing.tests.stripe_server import invoices
from billing.tests.stripe_server.money import amount_of, period_end, share
from billing.tests.stripe_server.refusals import Refused, missing, not_modelled
from billing.tests.stripe_server.world import Object, World


@dataclass
class Change:
    """The items as they would be, and what is billed for it."""

    items: list[Object]
    anchor: int
    prorations: list[Object] = field(default_factory=list)
    new_periods: list[Object] = field(default_factory=list)
    billed: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> list[Object]:
        return self.prorations + self.new_periods


def change(world: World, subscription: Object, wanted: list[Object], *, at: int, ends_trial: bool = False) -> Change:
    """The items after `wanted` (as in `items[]` of an update). Raises Refused."""
    changed = Change(copy.deepcopy(subscription["items"]["data"]), subscription["billing_cycle_anchor"])
    is_free = subscription["status"] == "trialing" and not ends_trial
    for n, each in enumerate(wanted):
        _change(world, subscription, changed, each, f"items[{n}]", at, is_free)
    if ends_trial:
        _end_trial(world, changed, at)
    if not changed.items:
        raise Refused("A subscription must have at least one active plan.", param="items")
    if len({item["price"]["id"] for item in changed.items}) < len(changed.items):
        raise Refused("Cannot add multiple subscription items with the same plan.", param="items")
    return changed


def _change(
    world: World, subscription: Object, changed: Change, wanted: Object, param: str, at: int, is_free: bool
) -> None:
    _only_modelled(wanted)
    if "id" not in wanted:
        _add(world, subscription, changed, wanted, param, at, is_free)
        return
    item = next((each for each in changed.items if each["id"] == wanted["id"]), None)
    if item is None:
        raise missing("subscription_item", wanted["id"], f"{param}[id]")
    before = copy.deepcopy(item)
    if wanted.get("deleted"):
        changed.items.remove(item)
        _credit(world, changed, before, at, is_free)
        return
    if "price" in wanted:
        item.update(priced(world, wanted["price"], subscription["currency"], f"{param}[price]"))
    item["quantity"] = wanted.get("quantity", item["quantity"])
    if "metadata" in wanted:
        item["metadata"] = wanted["metadata"] or {}
    if (item["price"]["id"], item["quantity"]) != (before["price"]["id"], before["quantity"]):
        _credit(world, changed, before, at, is_free)
        _debit(world, changed, before, item, at, is_free)


def _only_modelled(wanted: Object) -> None:
    for name in wanted:
        if name not in ("id", "price", "quantity", "deleted", "metadata"):
            raise not_modelled(f"{name} of a subscription's item")


def _add(
    world: World, subscription: Object, changed: Change, wanted: Object, param: str, at: int, is_free: bool
) -> None:
    if "price" not in wanted:
        raise Refused(f"You must pass a `price` in {param}.", code="parameter_missing", param=f"{param}[price]")
    first = changed.items[0]
    item = new_item(
        world,
        subscription["id"],
        priced(world, wanted["price"], subscription["currency"], f"{param}[price]"),
        wanted.get("quantity", 1),
        (first["current_period_start"], first["current_period_end"]),
    )
    changed.items.append(item)
    _debit(world, changed, item, item, at, is_free)


def priced(world: World, price: str, currency: str, param: str) -> Object:
    """The fields of an item at a price that can be subscribed to in this currency."""
    found = world.price(price, param)
    if not found["active"]:
        told = f"The price specified is inactive. This field only accepts active prices: {price}."
        raise Refused(told, param=param)
    if found["type"] != "recurring":
        told = f"The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`: {price}."
        raise Refused(told, param=param)
    if found["currency"] != currency:
        raise Refused("The price's currency differs from the subscription's.", param=param)
    return {"price": copy.deepcopy(found), "plan": _plan(found)}


def _plan(price: Object) -> Object:
    """The old name of a price, which items still carry."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def new_item(world: World, subscription: str, price: Object, quantity: int, period: tuple[int, int]) -> Object:
    if quantity < 0:
        raise Refused("Invalid non-negative integer", code="parameter_invalid_integer", param="quantity")
    return {
        "id": world.new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": world.now,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        **price,
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def _credit(world: World, changed: Change, item: Object, at: int, is_free: bool) -> None:
    start, end = item["current_period_start"], item["current_period_end"]
    if is_free or not start <= at < end:
        return
    unused = share(world.billed.get(item["id"], 0), end - at, end - start)
    if unused:
        told = f"Unused time on {item['quantity']} × {item['price']['id']}"
        changed.prorations.append(
            invoices.line(world, item, amount=-unused, period=(at, end), description=told, is_proration=True)
        )


def _debit(world: World, changed: Change, before: Object, item: Object, at: int, is_free: bool) -> None:
    """The rest of the period at the new price; at another interval, a whole new period from now."""
    whole = amount_of(world, item["price"], item["quantity"])
    start, end = item["current_period_start"], item["current_period_end"]
    if is_free:
        return
    if _interval(before) != _interval(item):
        changed.anchor = at
        item.update(current_period_start=at, current_period_end=period_end(at, at, item["price"]["recurring"]))
        changed.new_periods.append(for_period(world, item))
        return
    changed.billed[item["id"]] = whole
    told = f"Remaining time on {item['quantity']} × {item['price']['id']}"
    amount = share(whole, end - at, end - start)
    changed.prorations.append(
        invoices.line(world, item, amount=amount, period=(at, end), description=told, is_proration=True)
    )


def _interval(item: Object) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _end_trial(world: World, changed: Change, at: int) -> None:
    changed.anchor, changed.prorations, changed.new_periods = at, [], []
    for item in changed.items:
        item.update(current_period_start=at, current_period_end=period_end(at, at, item["price"]["recurring"]))
        changed.new_periods.append(for_period(world, item))


def for_period(world: World, item: Object) -> Object:
    """The position for an item's whole current period."""
    return invoices.line(
        world,
        item,
        amount=amount_of(world, item["price"], item["quantity"]),
        period=(item["current_period_start"], item["current_period_end"]),
        description=f"{item['quantity']} × {item['price']['id']}",
    )
