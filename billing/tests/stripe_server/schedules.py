"""Schedules: a subscription's items change by themselves at a moment to come."""

import copy

from billing.tests.stripe_server import dunning, phases, proration, subscriptions
from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.refusals import Refused, not_modelled
from billing.tests.stripe_server.world import Object, World, in_range, page


def create(world: World, params: Object) -> Object:
    for name in params:
        if name not in ("from_subscription", "expand", "metadata"):
            raise not_modelled(f"{name} of a new schedule")
    if "from_subscription" not in params:
        raise not_modelled("a schedule that begins a subscription")
    subscription = subscriptions.find(world, params["from_subscription"], "from_subscription")
    if subscription["status"] == "canceled":
        raise Refused("You cannot migrate a subscription that is already canceled.", param="from_subscription")
    if subscription["schedule"]:
        told = f"You cannot migrate a subscription that is already attached to a schedule: {subscription['schedule']}."
        raise Refused(told, param="from_subscription")
    id = world.new_id("sub_sched")
    first = subscription["items"]["data"][0]
    phase = phases.phase(
        [{"price": each["price"]["id"], "quantity": each["quantity"]} for each in subscription["items"]["data"]],
        first["current_period_start"],
        first["current_period_end"],
        currency=subscription["currency"],
        discounts=subscription["discounts"],
        trial_end=subscription["trial_end"] if subscription["status"] == "trialing" else None,
    )
    world.schedules[id] = {
        "id": id,
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": copy.deepcopy(subscription["billing_mode"]),
        "canceled_at": None,
        "completed_at": None,
        "created": world.now,
        "current_phase": {"start_date": phase["start_date"], "end_date": phase["end_date"]},
        "customer": subscription["customer"],
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": subscription["default_payment_method"],
            "description": None,
            "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "cancel" if subscription["cancel_at"] else "release",
        "livemode": False,
        "metadata": merged({}, params.get("metadata")),
        "pause_schedules": [],
        "phases": [phase],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": None,
    }
    subscription["schedule"] = id
    world.emit("subscription_schedule.created", world.schedules[id])
    world.emit("customer.subscription.updated", subscription)
    return world.schedules[id]


def find(world: World, id: str) -> Object:
    return world.find("subscription_schedule", world.schedules, id, "schedule")


def retrieve(world: World, params: Object, schedule: str) -> Object:
    return find(world, schedule)


def listed(world: World, params: Object) -> Object:
    rows = [
        each
        for each in world.schedules.values()
        if params.get("customer", each["customer"]) == each["customer"]
        and in_range(each["created"], params.get("created", each["created"]))
    ]
    return page(rows, params, "/v1/subscription_schedules")


def update(world: World, params: Object, schedule: str) -> Object:
    found = _active(world, schedule, "update")
    for name in params:
        if name not in ("phases", "end_behavior", "proration_behavior", "metadata", "expand"):
            raise not_modelled(f"{name} of a schedule")
    if "phases" in params:
        found["phases"] = phases.parsed(world, found, params["phases"])
    if "end_behavior" in params:
        found["end_behavior"] = params["end_behavior"]
    if "metadata" in params:
        found["metadata"] = merged(found["metadata"], params["metadata"])
    _settle(world, found)
    world.emit("subscription_schedule.updated", found)
    return found


def _active(world: World, schedule: str, what: str) -> Object:
    found = find(world, schedule)
    if found["status"] != "active":
        raise Refused(
            f"You cannot {what} a subscription schedule that is currently in the `{found['status']}` status. It must be in"
            " `not_started`, or `active`."
        )
    return found


def release(world: World, params: Object, schedule: str) -> Object:
    found = _active(world, schedule, "release")
    _release(world, found)
    return found


def _release(world: World, schedule: Object) -> None:
    subscription = world.subscriptions[schedule["subscription"]]
    schedule.update(
        status="released",
        released_at=world.now,
        released_subscription=subscription["id"],
        subscription=None,
        current_phase=None,
    )
    subscription["schedule"] = None
    world.emit("subscription_schedule.released", schedule)
    world.emit("customer.subscription.updated", subscription)


def cancel(world: World, params: Object, schedule: str) -> Object:
    found = _active(world, schedule, "cancel")
    dunning.end(world, world.subscriptions[found["subscription"]], reason="cancellation_requested")
    return found


def next_moment(schedule: Object) -> int | None:
    """When the current phase is over."""
    return schedule["current_phase"]["end_date"] if schedule["status"] == "active" else None


def move_on(world: World, schedule: Object) -> None:
    """Begin the phase whose time has come, or end the schedule."""
    following = [phase for phase in schedule["phases"] if phase["start_date"] >= world.now]
    if following:
        _enter(world, schedule, following[0])
        world.emit("subscription_schedule.updated", schedule)
    elif schedule["end_behavior"] == "cancel":
        cancel(world, {}, schedule["id"])
    else:
        _release(world, schedule)


def _settle(world: World, schedule: Object) -> None:
    """After an update: the current phase's bounds and items hold at once."""
    phase = next(each for each in schedule["phases"] if each["start_date"] <= world.now < each["end_date"])
    _enter(world, schedule, phase)


def _enter(world: World, schedule: Object, phase: Object) -> None:
    schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    subscription = world.subscriptions[schedule["subscription"]]
    subscription["discounts"] = [each["discount"] for each in phase["discounts"]]
    items = subscription["items"]["data"]
    wanted = [(each["price"], each["quantity"]) for each in phase["items"]]
    if [(each["price"]["id"], each["quantity"]) for each in items] == wanted:
        return
    if all(item["current_period_end"] == world.now for item in items):
        _replace_at_renewal(world, subscription, phase)
        return
    kept = {"price": phase["items"][0]["price"], "quantity": phase["items"][0]["quantity"], "id": items[0]["id"]}
    gone = [{"id": each["id"], "deleted": True} for each in items[1:]]
    added = [{"price": each["price"], "quantity": each["quantity"]} for each in phase["items"][1:]]
    changed = proration.change(world, subscription, [kept, *gone, *added], at=world.now)
    behaviour = phase["proration_behavior"]
    invoice = subscriptions.drawn_up(world, subscription, changed, behaviour)
    subscriptions.apply(world, subscription, changed, invoice, behaviour)


def _replace_at_renewal(world: World, subscription: Object, phase: Object) -> None:
    """The renewal that is due at this very moment bills the new items; another interval begins its cycle here."""
    items = subscription["items"]["data"]
    intervals = {each["price"]["recurring"]["interval"] for each in items}
    rows = []
    for n, each in enumerate(phase["items"]):
        price = proration.priced(world, each["price"], subscription["currency"], "items")
        period = (items[0]["current_period_start"], items[0]["current_period_end"])
        row = items[n] if n < len(items) else proration.new_item(world, subscription["id"], price, 1, period)
        row.update(**price, quantity=each["quantity"])
        rows.append(row)
    subscription["items"]["data"] = rows
    if {row["price"]["recurring"]["interval"] for row in rows} != intervals:
        subscription["billing_cycle_anchor"] = world.now
