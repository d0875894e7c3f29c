"""Subscriptions: begun by Checkout, changed, renewed, ended."""

from billing.tests.stripe_server import discounts, dunning, invoices, proration
from billing.tests.stripe_server.catalogue import merged
from billing.tests.stripe_server.money import period_end
from billing.tests.stripe_server.refusals import Refused, declined, missing, not_modelled
from billing.tests.stripe_server.world import DAY, Object, World, in_range, page

_ENDS = {"cancel_at", "cancel_at_period_end"}
_UPDATES = {
    "items", "proration_behavior", "proration_date", "payment_behavior", "cancel_at_period_end", "cancel_at", "trial_end",
    "metadata", "description", "cancellation_details", "default_payment_method", "expand", "discounts",
}  # fmt: skip


def begin(
    world: World,
    customer: str,
    items: list[tuple[str, int]],
    *,
    metadata: dict[str, str],
    trial_end: int | None,
    discount_ids: list[str],
    trial_settings: Object | None,
) -> Object:
    """What a completed Checkout makes: a subscription, and its first invoice paid."""
    id = world.new_id("sub")
    anchor = trial_end or world.now
    currency = world.prices[items[0][0]]["currency"]
    rows = []
    for price, quantity in items:
        fields = proration.priced(world, price, currency, "line_items")
        end = trial_end or period_end(anchor, anchor, fields["price"]["recurring"])
        rows.append(proration.new_item(world, id, fields, quantity, (world.now, end)))
    world.subscriptions[id] = {
        "id": id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}, "updated_at": world.now},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": world.now,
        "currency": currency,
        "customer": customer,
        "days_until_due": None,
        "default_payment_method": world.cards.get(customer),
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": discount_ids,
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None, "custom_fields": None, "description": None, "footer": None, "issuer": {"type": "self"},
        },
        "items": {
            "object": "list", "data": rows, "has_more": False, "url": f"/v1/subscription_items?subscription={id}",
        },
        "latest_invoice": None,
        "livemode": False,
        "metadata": metadata,
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": world.now,
        "status": "trialing" if trial_end else "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": trial_settings or {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": world.now if trial_end else None,
    }  # fmt: skip
    subscription = world.subscriptions[id]
    for each in discount_ids:
        world.discounts[each]["subscription"] = id
    world.customers[customer]["currency"] = currency
    if trial_end:
        lines = [
            invoices.line(world, item, amount=0, period=(world.now, trial_end), description="Trial period")
            for item in rows
        ]
    else:
        lines = [proration.for_period(world, item) for item in rows]
    draft = invoices.drawn_up(world, subscription, lines, reason="subscription_create", is_new_period=not trial_end)
    invoice = invoices.keep(world, subscription, draft)
    world.emit("customer.subscription.created", subscription)
    invoices.finalize(world, invoice)
    invoices.attempt(world, invoice)
    return subscription


def find(world: World, id: str, param: str = "id") -> Object:
    return world.find("subscription", world.subscriptions, id, param)


def listed(world: World, params: Object) -> Object:
    for name in params:
        if name not in ("customer", "status", "price", "created", "limit", "starting_after", "ending_before", "expand"):
            raise not_modelled(f"{name} of a list of subscriptions")
    if "customer" in params:
        world.customer(params["customer"])
    rows = [each for each in world.subscriptions.values() if _is_wanted(each, params)]
    return page(rows, params, "/v1/subscriptions")


def _is_wanted(subscription: Object, params: Object) -> bool:
    status, wanted = subscription["status"], params.get("status")
    if wanted is None or wanted == "ended":
        fits = (status in ("canceled", "incomplete_expired")) == (wanted == "ended")
    else:
        fits = wanted in ("all", status)
    prices = [item["price"]["id"] for item in subscription["items"]["data"]]
    return (
        fits
        and params.get("customer", subscription["customer"]) == subscription["customer"]
        and params.get("price", prices[0]) in prices
        and in_range(subscription["created"], params.get("created", subscription["created"]))
    )


def retrieve(world: World, params: Object, subscription: str) -> Object:
    return find(world, subscription)


def update(world: World, params: Object, subscription: str) -> Object:
    found = find(world, subscription)
    _refuse_what_does_not_go(found, params)
    at = params.get("proration_date", world.now)
    ends_trial = params.get("trial_end") == "now"
    if "items" in params or ends_trial:
        changed = proration.change(world, found, params.get("items", []), at=at, ends_trial=ends_trial)
        invoice = drawn_up(world, found, changed, params.get("proration_behavior", "create_prorations"))
        behaviour = params.get("payment_behavior", "allow_incomplete")
        if invoice and behaviour == "error_if_incomplete" and not _is_payable(world, found, invoice):
            raise declined()
    _set_facts(world, found, params)
    if "items" in params or ends_trial:
        if ends_trial and found["status"] == "trialing":
            found.update(status="active", trial_end=world.now)
        apply(world, found, changed, invoice, params.get("proration_behavior", "create_prorations"))
    else:
        world.emit("customer.subscription.updated", found)
    return found


def _is_payable(world: World, subscription: Object, invoice: Object) -> bool:
    return invoices.can_be_paid(world, subscription["customer"], invoice["amount_due"])


def _refuse_what_does_not_go(subscription: Object, params: Object) -> None:
    for name in params:
        if name not in _UPDATES:
            raise not_modelled(f"{name} of a subscription")
    if params.get("payment_behavior") in ("pending_if_incomplete", "default_incomplete"):
        raise not_modelled(f"payment_behavior={params['payment_behavior']}")
    if params.get("trial_end", "now") != "now":
        raise not_modelled("another end of a trial than now")
    if params.get("discounts"):
        raise not_modelled("discounts given to a running subscription")
    if subscription["status"] == "canceled" and set(params) - {"metadata", "cancellation_details", "expand"}:
        raise Refused("A canceled subscription can only update its cancellation_details and metadata.")
    if subscription["schedule"] and _ENDS & set(params):
        raise Refused(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any"
            " cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    if len(_ENDS & set(params)) == 2:
        raise Refused(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.", param="cancel_at"
        )


def _set_facts(world: World, subscription: Object, params: Object) -> None:
    if "metadata" in params:
        subscription["metadata"] = merged(subscription["metadata"], params["metadata"])
    if "cancellation_details" in params:
        subscription["cancellation_details"].update(params["cancellation_details"])
    for name in ("description", "default_payment_method"):
        if name in params:
            subscription[name] = params[name] or None
    if params.get("discounts") == "":
        subscription["discounts"] = []
    if "cancel_at_period_end" in params:
        end = current_period_end(subscription) if params["cancel_at_period_end"] else None
        _will_end(world, subscription, end, at_period_end=params["cancel_at_period_end"])
    if "cancel_at" in params:
        at = params["cancel_at"] or None
        if isinstance(at, str):
            pick = {"min_period_end": min, "max_period_end": max}[at]
            at = pick(item["current_period_end"] for item in subscription["items"]["data"])
        if at is not None and at <= world.now:
            raise Refused("`cancel_at` must be in the future.", param="cancel_at")
        _will_end(world, subscription, at, at_period_end=False)


def _will_end(world: World, subscription: Object, at: int | None, *, at_period_end: bool) -> None:
    subscription.update(cancel_at=at, cancel_at_period_end=at_period_end, canceled_at=None if at is None else world.now)
    subscription["cancellation_details"]["reason"] = None if at is None else "cancellation_requested"


def current_period_end(subscription: Object) -> int:
    return min(item["current_period_end"] for item in subscription["items"]["data"])


def drawn_up(world: World, subscription: Object, changed: proration.Change, behaviour: str) -> Object | None:
    """The invoice that a change makes at once, if it makes one."""
    prorations = changed.prorations if behaviour != "none" else []
    if changed.new_periods:
        lines = world.pending_lines.get(subscription["id"], []) + prorations + changed.new_periods
    elif behaviour == "always_invoice" and prorations:
        lines = world.pending_lines.get(subscription["id"], []) + prorations
    else:
        return None
    return invoices.drawn_up(
        world, subscription, lines, reason="subscription_update", is_new_period=bool(changed.new_periods)
    )


def apply(
    world: World, subscription: Object, changed: proration.Change, invoice: Object | None, behaviour: str
) -> None:
    """Make a change be, and collect its invoice."""
    subscription["items"]["data"] = changed.items
    subscription["billing_cycle_anchor"] = changed.anchor
    if subscription["schedule"]:
        _tell_schedule(world.schedules[subscription["schedule"]], changed.items)
    for item in changed.items:
        if item["id"] in changed.billed:
            world.billed[item["id"]] = _after_discounts(world, subscription, item)
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = current_period_end(subscription)
    if invoice is None:
        if behaviour == "create_prorations" and changed.prorations:
            world.pending_lines.setdefault(subscription["id"], []).extend(changed.prorations)
        world.emit("customer.subscription.updated", subscription)
        return
    world.pending_lines.pop(subscription["id"], None)
    invoices.keep(world, subscription, invoice)
    invoices.finalize(world, invoice)
    world.emit("customer.subscription.updated", subscription)
    dunning.collect(world, invoice)


def _tell_schedule(schedule: Object, items: list[Object]) -> None:
    """The present phase follows what is changed directly; later ones stay."""
    start = schedule["current_phase"]["start_date"]
    phase = next(each for each in schedule["phases"] if each["start_date"] == start)
    pattern = phase["items"][0]
    phase["items"] = [
        {**pattern, "plan": each["price"]["id"], "price": each["price"]["id"], "quantity": each["quantity"]}
        for each in items
    ]


def _after_discounts(world: World, subscription: Object, item: Object) -> int:
    line = proration.for_period(world, item)
    valid = discounts.lasting(world, subscription["discounts"], was_used=False)
    off = discounts.taken_off(world, [line], valid, is_new_period=False)
    return line["amount"] - sum(each["amount"] for each in off)


def cancel(world: World, params: Object, subscription: str) -> Object:
    found = find(world, subscription)
    if params.get("invoice_now") or params.get("prorate"):
        raise not_modelled("a last invoice at a cancellation")
    if found["status"] == "canceled":
        raise missing("subscription", subscription, "id")
    found["cancellation_details"].update(params.get("cancellation_details", {}))
    dunning.end(world, found, reason="cancellation_requested")
    return found


def renew(world: World, subscription: Object) -> None:
    """Begin the next period of every item whose period is over, and collect for it."""
    if subscription["status"] == "trialing" and _ends_without_card(world, subscription):
        dunning.end(world, subscription, reason="cancellation_requested")
        return
    lines = world.pending_lines.pop(subscription["id"], [])
    for item in subscription["items"]["data"]:
        start = item["current_period_end"]
        if start > world.now:
            continue
        end = period_end(subscription["billing_cycle_anchor"], start, item["price"]["recurring"])
        item.update(current_period_start=start, current_period_end=end)
        lines.append(proration.for_period(world, item))
    draft = invoices.drawn_up(world, subscription, lines, reason="subscription_cycle", is_new_period=True)
    invoice = invoices.keep(world, subscription, draft)
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    world.emit("customer.subscription.updated", subscription)
    if subscription["status"] == "unpaid":
        invoice["auto_advance"] = False
        return
    invoices.finalize(world, invoice)
    dunning.collect(world, invoice)


def _ends_without_card(world: World, subscription: Object) -> bool:
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behaviour == "pause":
        raise not_modelled("a subscription that pauses after its trial")
    return behaviour == "cancel" and subscription["customer"] not in world.cards


def trial_warning_at(subscription: Object) -> int:
    """Three days before the end: https://docs.stripe.com/billing/subscriptions/trials"""
    return max(subscription["trial_start"], subscription["trial_end"] - 3 * DAY)
