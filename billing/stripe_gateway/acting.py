"""What we ask Stripe to do for a customer. ``once`` is the idempotency key: the same act asked for again is done once.

Amounts are in the currency's smallest unit, times are in UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stripe

from billing.errors import NoSuchCoupon, PaymentFailed
from billing.stripe_gateway.client import asking, client
from billing.stripe_gateway.reading import SubscriptionFacts


@dataclass(frozen=True)
class WayBack:
    """Where Stripe's pages lead to when all is done."""

    success_url: str
    cancel_url: str


@dataclass(frozen=True)
class Line:
    description: str
    amount: int


@dataclass(frozen=True)
class Preview:
    """An invoice as it would be."""

    amount_due: int
    currency: str
    lines: tuple[Line, ...]


# Customers ------------------------------------------------------------------------------------------------------------------


def create_customer(workspace_id: int, *, once: str) -> str:
    """The new customer's id. Nothing of it may change between two tries, or Stripe refuses the second: so no name, no address."""
    with asking():
        made = client().v1.customers.create({"metadata": {"zevix_workspace": str(workspace_id)}}, _once(once))
    return made.id


def describe_customer(customer_id: str, *, name: str, email: str) -> None:
    with asking():
        client().v1.customers.update(customer_id, {"name": name, "email": email})


# Checkout and portal --------------------------------------------------------------------------------------------------------


def begin_subscription(
    customer_id: str,
    *,
    workspace_id: int,
    price_id: str,
    quantity: int,
    trial_days: int,
    promotion_code: str,
    back: WayBack,
    once: str,
) -> tuple[str, str]:
    """A Checkout page that sells a subscription: its session's id and its address."""
    # what stands on the session does not reach the subscription
    sold: dict[str, Any] = {"metadata": {"zevix_workspace": str(workspace_id)}}
    if trial_days:
        sold["trial_period_days"] = trial_days
    wanted: dict[str, Any] = {
        "mode": "subscription",
        "line_items": [{"price": price_id, "quantity": quantity}],
        "subscription_data": sold,
        "metadata": {"kind": "subscription", "workspace": str(workspace_id)},
    }
    if promotion_code:
        wanted["discounts"] = [{"promotion_code": _promotion(promotion_code)}]
    else:
        wanted["allow_promotion_codes"] = True
    return _checkout(customer_id, workspace_id, wanted, back, once)


def begin_payment(
    customer_id: str,
    *,
    workspace_id: int,
    pack: str,
    leads: int,
    name: str,
    currency: str,
    amount: int,
    back: WayBack,
    once: str,
) -> tuple[str, str]:
    """A Checkout page that sells a pack, once: its session's id and its address."""
    told = {"kind": "top_up", "workspace": str(workspace_id), "pack": pack, "leads": str(leads)}
    price = {"currency": currency, "unit_amount": amount, "product_data": {"name": name}}
    wanted = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "metadata": told,
        "payment_intent_data": {"metadata": told},
    }
    return _checkout(customer_id, workspace_id, wanted, back, once)


def _checkout(customer_id: str, workspace_id: int, wanted: dict[str, Any], back: WayBack, once: str) -> tuple[str, str]:
    whole: Any = {
        "customer": customer_id,
        "client_reference_id": str(workspace_id),
        "success_url": back.success_url,
        "cancel_url": back.cancel_url,
        **wanted,
    }
    with asking():
        try:
            made = client().v1.checkout.sessions.create(whole, _once(once))
        except stripe.InvalidRequestError as error:
            if "discounts" in (error.param or ""):  # one for other customers, or for a higher price
                raise NoSuchCoupon from error
            raise
    return made.id, made.url or ""


def close_checkout(session_id: str) -> None:
    """See to it that nobody can pay at this session any more. One that was paid, or is over, stays as it is."""
    sessions = client().v1.checkout.sessions
    with asking():
        try:
            sessions.expire(session_id)
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing" and sessions.retrieve(session_id).status == "open":
                raise


def portal(customer_id: str, *, return_url: str) -> str:
    """The address of Stripe's page for the customer's own cards, invoices and data."""
    with asking():
        return client().v1.billing_portal.sessions.create({"customer": customer_id, "return_url": return_url}).url


def _promotion(code: str) -> str:
    """The id of a code that customers type. Raises NoSuchCoupon."""
    with asking():
        found = client().v1.promotion_codes.list({"code": code, "active": True, "limit": 1}).data
    if not found:
        raise NoSuchCoupon
    return found[0].id


# Changing a subscription ----------------------------------------------------------------------------------------------------


def change_now(subscription: SubscriptionFacts, *, price_id: str, quantity: int, once: str) -> None:
    """Another price or quantity at once; what is left of the paid time counts, and the difference is paid at once.

    Raises PaymentFailed, and then nothing is another than before.
    """
    wanted: Any = {
        "items": [{"id": subscription.item_id, "price": price_id, "quantity": quantity}],
        "proration_behavior": "always_invoice",
        "payment_behavior": "error_if_incomplete",
    }
    with asking():
        try:
            client().v1.subscriptions.update(subscription.id, wanted, _once(once))
        except stripe.CardError as error:
            raise PaymentFailed(reason=error.user_message or type(error).__name__) from error


def change_at_period_end(
    subscription: SubscriptionFacts, *, price_id: str, quantity: int, interval: str, once: str
) -> None:
    """Another price or quantity when the paid time is over, by a schedule; a change that was to come before is forgotten."""
    schedules = client().v1.subscription_schedules
    with asking():
        if subscription.schedule_id:
            schedule = schedules.retrieve(subscription.schedule_id)
        else:
            schedule = schedules.create({"from_subscription": subscription.id}, _once(once))
        present = _present_phase(schedule.to_dict(), subscription)
        kept = {name: present[name] for name in ("discounts",) if name in present}
        then = {"items": [{"price": price_id, "quantity": quantity}], "proration_behavior": "none", **kept}
        then["duration"] = {"interval": interval, "interval_count": 1}
        plan: Any = {"phases": [present, then], "end_behavior": "release"}
        schedules.update(schedule.id, plan)


def _present_phase(schedule: dict[str, Any], subscription: SubscriptionFacts) -> dict[str, Any]:
    """The time that is paid for, as it is: what a schedule's update leaves out is lost."""
    began = schedule["current_phase"]["start_date"]
    found = next(phase for phase in schedule["phases"] if phase["start_date"] == began)
    discounts = [{"discount": _id(one["discount"])} for one in found.get("discounts") or [] if one.get("discount")]
    return {
        "items": [{"price": _id(item["price"]), "quantity": item["quantity"]} for item in found["items"]],
        "start_date": began,
        "end_date": _seconds(subscription.period_end) or found["end_date"],
        **({"discounts": discounts} if discounts else {}),
    }


def forget_change(subscription: SubscriptionFacts) -> None:
    """The subscription goes on as it is; what its schedule had in store is forgotten."""
    if subscription.schedule_id:
        with asking():
            client().v1.subscription_schedules.release(subscription.schedule_id)


def cancel_at_period_end(subscription: SubscriptionFacts) -> None:
    forget_change(subscription)  # Stripe lets nobody cancel past a schedule
    with asking():
        client().v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})


def resume(subscription: SubscriptionFacts) -> None:
    """Take a cancellation back that has not come yet."""
    wanted: Any = {"cancel_at_period_end": False} if subscription.cancels_at_period_end else {"cancel_at": ""}
    with asking():
        client().v1.subscriptions.update(subscription.id, wanted)


# Asking what it would cost --------------------------------------------------------------------------------------------------


def preview_now(subscription: SubscriptionFacts, *, price_id: str, quantity: int) -> Preview:
    """The invoice that `change_now` would make."""
    return _preview(subscription, price_id, quantity, "always_invoice")


def preview_period(subscription: SubscriptionFacts, *, price_id: str, quantity: int) -> Preview:
    """The invoice of a whole period at that price."""
    return _preview(subscription, price_id, quantity, "none")


def _preview(subscription: SubscriptionFacts, price_id: str, quantity: int, proration_behavior: str) -> Preview:
    item = {"id": subscription.item_id, "price": price_id, "quantity": quantity}
    wanted: Any = {
        "customer": subscription.customer_id,
        "subscription": subscription.id,
        "subscription_details": {"items": [item], "proration_behavior": proration_behavior},
    }
    with asking():
        invoice = client().v1.invoices.create_preview(wanted)
    lines = tuple(Line(line.description or "", line.amount) for line in invoice.lines.data)
    return Preview(invoice.amount_due, invoice.currency, lines)


def _once(key: str) -> Any:
    return {"idempotency_key": key}


def _id(thing: Any) -> str:
    return thing["id"] if isinstance(thing, dict) else thing


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
