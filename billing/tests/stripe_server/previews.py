"""Invoices as they would be."""

from billing.tests.stripe_server import invoices, proration, subscriptions
from billing.tests.stripe_server.money import period_end
from billing.tests.stripe_server.refusals import Refused, missing, not_modelled
from billing.tests.stripe_server.world import Object, World, expanded


def preview(world: World, params: Object) -> Object:
    """The invoice that a change, or the next renewal, would make."""
    for name in params:
        if name not in ("customer", "subscription", "subscription_details", "expand"):
            raise not_modelled(f"{name} of a preview")
    if "subscription" not in params:
        raise not_modelled("a preview without a subscription")
    found = subscriptions.find(world, params["subscription"], "subscription")
    if params.get("customer", found["customer"]) != found["customer"]:
        raise missing("subscription", found["id"], "subscription")
    details = params.get("subscription_details", {})
    for name in details:
        if name not in ("items", "proration_behavior", "proration_date", "trial_end", "cancel_at_period_end"):
            raise not_modelled(f"subscription_details[{name}]")
    ending = details.get("cancel_at_period_end", found["cancel_at"] is not None)
    if found["status"] == "canceled" or (ending and "items" not in details):
        raise Refused("No upcoming invoices for customer: " + found["customer"], code="invoice_upcoming_none")
    at = details.get("proration_date", world.now)
    first = found["items"]["data"][0]
    if not first["current_period_start"] <= at <= first["current_period_end"]:
        raise Refused(
            "Cannot specify `proration_date` outside the subscription's current period.",
            param="subscription_details[proration_date]",
        )
    changed = proration.change(
        world, found, details.get("items", []), at=at, ends_trial=details.get("trial_end") == "now"
    )
    behaviour = details.get("proration_behavior", "create_prorations")
    invoice = subscriptions.drawn_up(world, found, changed, behaviour)
    if invoice is None:
        invoice = _next(world, found, changed, behaviour)
    return expanded(world, invoice, [])


def _next(world: World, subscription: Object, changed: proration.Change, behaviour: str) -> Object:
    """The next renewal's invoice, with the prorations that wait for it."""
    lines = list(world.pending_lines.get(subscription["id"], []))
    if behaviour == "create_prorations":
        lines += changed.prorations
    at = min(item["current_period_end"] for item in changed.items)
    for item in changed.items:
        start = item["current_period_end"]
        if start == at:
            end = period_end(changed.anchor, start, item["price"]["recurring"])
            item.update(current_period_start=start, current_period_end=end)
            lines.append(proration.for_period(world, item))
    return invoices.drawn_up(world, subscription, lines, reason="upcoming", is_new_period=True, at=at)
