"""Changing what was bought: more at once, less when the paid time is over.

Each act reads what Stripe says first and writes down what it says afterwards; no call of Stripe is made within a transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import Workspace
from billing.buying import ordering
from billing.buying.ordering import Order
from billing.converging import choosing, syncing
from billing.converging.choosing import Choice
from billing.errors import NoSubscription, UnknownPrice
from billing.models import BillingAccount, Interval, Price
from billing.stripe_gateway import acting, reading
from billing.stripe_gateway.acting import Line
from billing.stripe_gateway.reading import CustomerGone


@dataclass(frozen=True)
class Preview:
    """``amount_due`` is paid when the change comes, ``next_amount`` each period from then on; in the currency's smallest unit."""

    is_now: bool
    at: datetime | None
    amount_due: int
    currency: str
    lines: tuple[Line, ...]
    next_amount: int


def preview(workspace: Workspace, *, plan: str, interval: str | None, seats: int | None) -> Preview:
    """When the change would come, and what it would cost; nothing is changed. Raises as `change` does."""
    _account, present = _present(workspace)
    wanted = ordering.order_instead(present, plan, interval, seats, workspace=workspace)
    price_id, quantity = wanted.price.stripe_price_id, wanted.quantity
    later = acting.preview_period(present.facts, price_id=price_id, quantity=quantity)
    if _is_less(wanted, present):
        return Preview(False, present.facts.period_end, 0, later.currency, (), later.amount_due)
    now = timezone.now()
    if _is_the_same(wanted, present) or present.facts.status == "trialing":
        return Preview(True, now, 0, later.currency, (), later.amount_due)
    due = acting.preview_now(present.facts, price_id=price_id, quantity=quantity)
    return Preview(True, now, due.amount_due, due.currency, due.lines, later.amount_due)


def change(workspace: Workspace, *, plan: str, interval: str | None, seats: int | None, once: str) -> None:
    """More (leads, else seats, else a longer interval) at once, the difference paid at once; less when the paid time is over.

    The present plan takes back what was to come: less, or the end. Raises ValidationFailed, NotInStripe, TooManyMembers, NoSubscription,
    UnknownPrice; PaymentFailed, and then nothing was changed; Unreachable, Rejected.
    """
    account, present = _present(workspace)
    wanted = ordering.order_instead(present, plan, interval, seats, workspace=workspace)
    facts, price_id, quantity = present.facts, wanted.price.stripe_price_id, wanted.quantity
    once = f"{account.nonce}:change:{once}"
    if _is_less(wanted, present):
        _go_on(present)
        acting.change_at_period_end(
            facts, price_id=price_id, quantity=quantity, interval=wanted.price.interval, once=once
        )
    else:
        if not _is_the_same(wanted, present):
            acting.change_now(facts, price_id=price_id, quantity=quantity, once=once)
        # only now: whose card was declined keeps what was to come
        acting.forget_change(facts)
        _go_on(present)
    syncing.sync(account)


def cancel(workspace: Workspace) -> None:
    """Let the subscription end with the time that is paid for. Raises NoSubscription, UnknownPrice, Unreachable, Rejected."""
    account, present = _present(workspace)
    if not present.facts.cancel_at:
        acting.cancel_at_period_end(present.facts)
    syncing.sync(account)


def resume(workspace: Workspace) -> None:
    """Let it go on, where it was to end. Raises NoSubscription, UnknownPrice, Unreachable, Rejected."""
    account, present = _present(workspace)
    _go_on(present)
    syncing.sync(account)


def _present(workspace: Workspace) -> tuple[BillingAccount, Choice]:
    account = BillingAccount.objects.filter(workspace=workspace).exclude(customer_id="").first()
    if account is None:
        raise NoSubscription
    try:
        choice = choosing.choose(reading.subscriptions_of(account.customer_id))
    except CustomerGone:
        choice = None
    if choice is None or not choice.is_live:
        syncing.sync(account)
        raise NoSubscription
    if choice.price is None:
        raise UnknownPrice(price=choice.facts.price_id)
    return account, choice


def _go_on(present: Choice) -> None:
    if present.facts.cancel_at:
        acting.resume(present.facts)


def _is_the_same(wanted: Order, present: Choice) -> bool:
    return (wanted.price, wanted.quantity) == (present.price, present.facts.quantity)


def _is_less(wanted: Order, present: Choice) -> bool:
    """Nothing is paid for in a trial, so there nothing has to be waited for."""
    had = present.price
    assert had is not None
    if present.facts.status == "trialing":
        return False
    return _size(wanted.price, wanted.quantity) < _size(had, present.facts.quantity)


def _size(price: Price, quantity: int) -> tuple[int, float, bool, int]:
    seats = quantity if price.sells_seats else price.plan.seats
    most = float("inf") if seats is None else seats
    return price.plan.monthly_leads, most, price.interval == Interval.YEAR, price.amount
