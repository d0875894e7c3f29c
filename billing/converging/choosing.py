"""Which of a customer's subscriptions in Stripe gives the workspace its plan, and what is odd about them."""

from dataclasses import dataclass
from typing import Any

from billing.models import Price
from billing.models.subscriptions import LIVE, RUNNING
from billing.stripe_gateway.reading import ItemFacts, SubscriptionFacts


@dataclass(frozen=True)
class Choice:
    """``problem`` is for the operator, in English: whoever reads it first is a job."""

    facts: SubscriptionFacts
    price: Price | None
    pending_price: Price | None
    problem: str

    @property
    def is_live(self) -> bool:
        return self.facts.status in LIVE

    @property
    def unknown_price(self) -> str:
        """By which it is charged, and which no plan has; empty where all is well."""
        return self.facts.price_id if self.is_live and not self.price else ""


def choose(found: list[SubscriptionFacts]) -> Choice | None:
    """The one that counts, with the item that counts: live before dead, of a known price before unknown, paid before overdue, with more
    leads before fewer, and then the newest. None where there is none.
    """
    prices = _known_prices(found)
    ranked = sorted((_led_by_best(one, prices) for one in found), key=lambda one: _rank(one, prices), reverse=True)
    if not ranked:
        return None
    best = ranked[0]
    return Choice(
        facts=best,
        price=prices.get(best.price_id),
        pending_price=prices.get(best.pending_price_id),
        problem=" ".join(_problems(best, ranked, prices)),
    )


def _known_prices(found: list[SubscriptionFacts]) -> dict[str, Price]:
    ids = {id for one in found for id in (*one.price_ids, one.pending_price_id) if id}
    prices = Price.objects.filter(stripe_price_id__in=ids).select_related("plan")
    return {price.stripe_price_id: price for price in prices}


def _led_by_best(one: SubscriptionFacts, prices: dict[str, Price]) -> SubscriptionFacts:
    def leads(item: ItemFacts) -> int:
        price = prices.get(item.price_id)
        return price.plan.monthly_leads if price else -1

    return one.led_by(max(one.items, key=leads)) if len(one.items) > 1 else one


def _rank(one: SubscriptionFacts, prices: dict[str, Price]) -> Any:
    price = prices.get(one.price_id)
    leads = price.plan.monthly_leads if price else 0
    return one.status in LIVE, price is not None, one.status in RUNNING, leads, one.created, one.id


def _problems(best: SubscriptionFacts, ranked: list[SubscriptionFacts], prices: dict[str, Price]) -> list[str]:
    live = [one.id for one in ranked if one.status in LIVE]
    if best.id not in live:
        return []
    problems = []
    if len(live) > 1:
        problems.append(
            f"The customer has {len(live)} live subscriptions in Stripe ({', '.join(live)}); {best.id} counts."
        )
    if len(best.items) != 1:
        problems.append(f"The subscription {best.id} has {len(best.items)} items; the price {best.price_id} counts.")
    if best.price_id not in prices:
        problems.append(f"The subscription {best.id} has the price {best.price_id}, which no plan has.")
    if best.pending_price_id and best.pending_price_id not in prices:
        problems.append(f"The subscription {best.id} goes on to the price {best.pending_price_id}, which no plan has.")
    return problems
