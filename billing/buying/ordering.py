"""What somebody wants to buy: at which price, with how many seats, and whether it can be had."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts import seats
from accounts.models import Workspace
from billing.converging.choosing import Choice
from billing.errors import NotInStripe, TooManyMembers
from billing.models import FREE, Interval, Plan, Price, TopUpPack
from zevix.errors import ValidationFailed


@dataclass(frozen=True)
class Order:
    """A price that is in Stripe, and the quantity as Stripe counts it: seats, where more can be bought than the plan includes; else 1."""

    price: Price
    quantity: int


def order(plan_code: str, interval: str | None, wanted_seats: int | None, *, workspace: Workspace) -> Order:
    """A first order. Raises ValidationFailed, NotInStripe, TooManyMembers."""
    price = _on_offer(_plan(plan_code), interval or Interval.MONTH)
    return _checked(price, _quantity(price, wanted_seats), workspace)


def order_instead(
    present: Choice, plan_code: str, interval: str | None, wanted_seats: int | None, *, workspace: Workspace
) -> Order:
    """An order by somebody who has bought something. What is not named stays: the interval, and the seats of the same plan.

    So does the price of the same plan and interval: those who pay an old one keep it. Raises as `order` does.
    """
    had = present.price
    assert had is not None
    interval = interval or had.interval
    is_same_plan = plan_code == had.plan.code
    if is_same_plan and wanted_seats is None and had.sells_seats:
        wanted_seats = present.facts.quantity
    if is_same_plan and interval == had.interval and (had.sells_seats or wanted_seats is None):
        price = had
    else:
        price = _on_offer(_plan(plan_code), interval)
    return _checked(price, _quantity(price, wanted_seats), workspace)


def pack(code: str) -> TopUpPack:
    """Raises ValidationFailed."""
    found = TopUpPack.objects.filter(code=code, is_active=True).first()
    if found is None:
        raise _refusal("pack", _("There is no such pack."))
    return found


def _plan(code: str) -> Plan:
    plan = Plan.objects.filter(code=code, is_active=True).first()
    if plan is None:
        raise _refusal("plan", _("There is no such plan."))
    if plan.code == FREE:
        raise _refusal("plan", _("This plan costs nothing; it is what is left after cancelling."))
    return plan


def _on_offer(plan: Plan, interval: str) -> Price:
    prices = {price.interval: price for price in Price.objects.on_offer().filter(plan=plan).select_related("plan")}
    if not prices:
        raise _refusal("plan", _("This plan is not for sale."))
    if interval not in prices:
        raise _refusal("interval", _("This plan is not sold at this interval."))
    price = prices[interval]
    if not price.stripe_price_id:
        raise NotInStripe
    return price


def _quantity(price: Price, wanted: int | None) -> int:
    included = price.plan.seats
    if price.sells_seats and included is not None:
        return max(wanted or 0, included)
    if wanted is not None and included is not None and wanted > included:
        raise _refusal("seats", _("This plan has {seats} seats, and no more are sold.").format(seats=included))
    return 1


def _checked(price: Price, quantity: int, workspace: Workspace) -> Order:
    limit = quantity if price.sells_seats else price.plan.seats
    members = seats.taken_in(workspace)
    if limit is not None and members > limit:
        raise TooManyMembers(members=members, limit=limit)
    return Order(price, quantity)


def _refusal(field: str, sentence: Any) -> ValidationFailed:
    return ValidationFailed(fields={field: [sentence]})
