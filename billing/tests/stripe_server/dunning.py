"""What a paid or an unpaid invoice does to its subscription."""

from billing.tests.stripe_server import invoices
from billing.tests.stripe_server.refusals import Refused, declined, not_modelled
from billing.tests.stripe_server.world import Object, World


def collect(world: World, invoice: Object) -> bool:
    """Try an open invoice, and let its subscription follow; whether it is paid."""
    subscription = world.subscriptions[invoices.subscription_of(invoice)]
    if invoices.attempt(world, invoice):
        _recover(world, subscription, invoice)
        return True
    is_left = invoices.plan_next_attempt(world, invoice)
    if subscription["status"] in ("active", "trialing", "past_due"):
        _fall_behind(world, subscription, is_left)
    return False


def pay(world: World, params: Object, invoice: str) -> Object:
    if set(params) - {"expand"}:
        raise not_modelled("how this invoice is to be paid")
    found = invoices.retrieve(world, {}, invoice)
    if found["status"] == "paid":
        raise Refused("Invoice is already paid", code="invoice_already_paid")
    if found["status"] == "draft":
        invoices.finalize(world, found)
    if not collect(world, found):
        raise declined(keeps_changes=True)
    return found


def _recover(world: World, subscription: Object, invoice: Object) -> None:
    """The latest invoice decides: https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses"""
    if subscription["status"] in ("past_due", "unpaid") and subscription["latest_invoice"] == invoice["id"]:
        subscription["status"] = "active"
        world.emit("customer.subscription.updated", subscription)


def _fall_behind(world: World, subscription: Object, is_left: bool) -> None:
    if is_left:
        status = "past_due"
    elif world.after_last_retry == "canceled":
        end(world, subscription, reason="payment_failed")
        return
    else:
        status = world.after_last_retry
    if subscription["status"] != status:
        subscription["status"] = status
        world.emit("customer.subscription.updated", subscription)


def end(world: World, subscription: Object, *, reason: str) -> None:
    """Cancel at once. What is open of it is tried no more."""
    if subscription["canceled_at"] is None:
        subscription["canceled_at"] = world.now
    subscription.update(status="canceled", ended_at=world.now, cancel_at_period_end=False)
    subscription["cancellation_details"]["reason"] = reason
    for invoice in world.invoices.values():
        if invoices.subscription_of(invoice) == subscription["id"]:
            invoice.update(next_payment_attempt=None, auto_advance=False)
    if subscription["schedule"]:
        schedule = world.schedules[subscription["schedule"]]
        schedule.update(status="canceled", canceled_at=world.now, current_phase=None)
        world.emit("subscription_schedule.canceled", schedule)
        subscription["schedule"] = None
    world.emit("customer.subscription.deleted", subscription)
