"""What things cost, and when periods end. Amounts are in the currency's smallest unit."""

import calendar
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.tests.stripe_server.world import DAY, World


def amount_of(world: World, price: dict[str, Any], quantity: int) -> int:
    """A price for so many, by its graduated tiers where it has such."""
    if price["billing_scheme"] == "per_unit":
        return price["unit_amount"] * quantity
    total, reached = 0, 0
    for tier in world.includable[price["id"], "tiers"]:
        top = quantity if tier["up_to"] is None else min(tier["up_to"], quantity)
        if top > reached or (reached == 0 and quantity == 0):
            total += (tier["unit_amount"] or 0) * (top - reached) + (tier["flat_amount"] or 0)
            reached = top
    return total


def share(amount: int, part: int, whole: int) -> int:
    """So many seconds' worth of an amount for a whole period."""
    return rounded(Decimal(amount) * part / whole)


def rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def period_end(anchor: int, start: int, recurring: dict[str, Any]) -> int:
    """The first end of a period after `start`; months keep the anchor's day where they have it."""
    interval, count = recurring["interval"], recurring["interval_count"]
    if interval in ("day", "week"):
        length = count * DAY * (7 if interval == "week" else 1)
        return start + length - (start - anchor) % length
    months = count * (12 if interval == "year" else 1)
    steps = 1
    while (end := plus_months(anchor, steps * months)) <= start:
        steps += 1
    return end


def plus_months(moment: int, months: int) -> int:
    begun = datetime.fromtimestamp(moment, UTC)
    year, month = divmod(begun.year * 12 + begun.month - 1 + months, 12)
    day = min(begun.day, calendar.monthrange(year, month + 1)[1])
    return int(begun.replace(year=year, month=month + 1, day=day).timestamp())
