"""What is for sale in Stripe: products, which are our plans, and prices."""

from dataclasses import dataclass
from typing import Any

import stripe

from billing.stripe_gateway.client import asking, client

_PAGE = 100
_PLAN = "zevix_plan"  # the product's metadata


@dataclass(frozen=True)
class ProductFacts:
    id: str
    name: str
    is_active: bool
    plan_code: str


@dataclass(frozen=True)
class Terms:
    """What a price says. Where further seats are sold, ``amount`` is for all of ``seats``, and ``extra_seat_amount`` for each beyond."""

    interval: str
    currency: str
    amount: int
    seats: int | None = None
    extra_seat_amount: int | None = None


@dataclass(frozen=True)
class PriceFacts:
    """``terms`` is None where the price is of a kind that no plan here can have."""

    id: str
    product_id: str
    is_active: bool
    terms: Terms | None


def products() -> list[ProductFacts]:
    """All of them, archived ones too. Raises Unreachable, Rejected."""
    with asking():
        found = client().v1.products.list({"limit": _PAGE})
        return [_product(row.to_dict()) for row in found.auto_paging_iter()]


def create_product(plan_code: str, name: str, *, once: str) -> str:
    wanted: Any = {"name": name, "metadata": {_PLAN: plan_code}}
    with asking():
        return client().v1.products.create(wanted, {"idempotency_key": once}).id


def name_product(product_id: str, plan_code: str, name: str) -> None:
    """Give it this name, for this plan, and offer it again if it was archived."""
    with asking():
        client().v1.products.update(product_id, {"name": name, "active": True, "metadata": {_PLAN: plan_code}})


def price(price_id: str) -> PriceFacts | None:
    with asking():
        try:
            return _price(client().v1.prices.retrieve(price_id).to_dict())
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            raise


def price_by_key(lookup_key: str) -> PriceFacts | None:
    with asking():
        found = client().v1.prices.list({"lookup_keys": [lookup_key], "limit": 1}).data
        return _price(found[0].to_dict()) if found else None


def create_price(product_id: str, terms: Terms, *, lookup_key: str, once: str) -> str:
    """The new price takes the lookup key over from the one that had it."""
    wanted: Any = {
        "product": product_id,
        "currency": terms.currency,
        "recurring": {"interval": terms.interval},
        "lookup_key": lookup_key,
        "transfer_lookup_key": True,
        **_amounts(terms),
    }
    with asking():
        return client().v1.prices.create(wanted, {"idempotency_key": once}).id


def offer_price(price_id: str, *, active: bool) -> None:
    """Have it on offer, or archive it: those who pay it go on."""
    with asking():
        client().v1.prices.update(price_id, {"active": active})


def _amounts(terms: Terms) -> dict[str, Any]:
    if terms.extra_seat_amount is None:
        return {"unit_amount": terms.amount}
    return {
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "tiers": [
            {"up_to": terms.seats, "flat_amount": terms.amount, "unit_amount": 0},
            {"up_to": "inf", "unit_amount": terms.extra_seat_amount},
        ],
    }


def _product(row: dict[str, Any]) -> ProductFacts:
    return ProductFacts(row["id"], row["name"], row["active"], (row.get("metadata") or {}).get(_PLAN, ""))


def _price(row: dict[str, Any]) -> PriceFacts:
    if row["billing_scheme"] == "tiered":  # only then there are tiers, and only who asks for them gets them
        row = client().v1.prices.retrieve(row["id"], {"expand": ["tiers"]}).to_dict()
    return PriceFacts(row["id"], row["product"], row["active"], _terms(row))


def _terms(row: dict[str, Any]) -> Terms | None:
    recurring = row.get("recurring") or {}
    is_plain = (recurring.get("interval_count"), recurring.get("usage_type")) == (1, "licensed")
    if not is_plain or row.get("transform_quantity") or recurring["interval"] not in ("month", "year"):
        return None
    interval, currency = recurring["interval"], row["currency"]
    if row["billing_scheme"] == "per_unit":
        amount = row.get("unit_amount")
        return None if amount is None else Terms(interval, currency, amount)
    match row.get("tiers_mode"), row.get("tiers"):
        case "graduated", [
            {"up_to": int(seats), "flat_amount": int(amount), "unit_amount": 0 | None},
            {"up_to": None, "flat_amount": 0 | None, "unit_amount": int(extra)},
        ]:
            return Terms(interval, currency, amount, seats, extra)
    return None
