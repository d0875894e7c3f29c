"""What Stripe says, in our words: a customer's subscriptions, and what was paid at Checkout."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import stripe
from stripe import V1Services

from billing.stripe_gateway.client import asking, client
from zevix.errors import Rejected

_PAGE = 100
_OVERDUE = ("past_due", "unpaid")
_UNSETTLED = ("open", "draft", "uncollectible")  # an unpaid subscription's later invoices stay drafts
_OVER = ("canceled", "incomplete_expired")


class CustomerGone(Rejected):
    """The customer was deleted in Stripe, and all subscriptions with it."""


@dataclass(frozen=True)
class ItemFacts:
    id: str
    price_id: str
    interval: str
    quantity: int
    period_end: datetime | None


@dataclass(frozen=True)
class SubscriptionFacts:
    """A subscription as Stripe describes it now. Times are in UTC, ids and statuses Stripe's own.

    ``cancel_at`` is when it ends: the time asked for, or the period's end where that was asked for. ``pending_…`` is what its
    schedule goes on to next. ``overdue_since`` is when the invoice was made that is still to be paid.
    """

    id: str
    customer_id: str
    status: str
    items: tuple[ItemFacts, ...]
    trial_end: datetime | None
    cancel_at: datetime | None
    cancels_at_period_end: bool
    schedule_id: str
    pending_price_id: str
    pending_at: datetime | None
    overdue_since: datetime | None
    created: datetime

    @property
    def item(self) -> ItemFacts:
        """The item that counts: the first. See `led_by`."""
        return self.items[0] if self.items else ItemFacts("", "", "", 0, None)

    @property
    def item_id(self) -> str:
        return self.item.id

    @property
    def price_id(self) -> str:
        return self.item.price_id

    @property
    def price_ids(self) -> list[str]:
        return [item.price_id for item in self.items]

    @property
    def interval(self) -> str:
        return self.item.interval

    @property
    def quantity(self) -> int:
        return self.item.quantity

    @property
    def period_end(self) -> datetime | None:
        return self.item.period_end

    @property
    def is_over(self) -> bool:
        return self.status in _OVER

    def led_by(self, item: ItemFacts) -> "SubscriptionFacts":
        """The same with another of its items in front."""
        return replace(self, items=(item, *(other for other in self.items if other != item)))


@dataclass(frozen=True)
class CheckoutFacts:
    """A Checkout session. ``workspace_id`` and ``pack`` are what we wrote on it; texts, since anybody may have."""

    id: str
    customer_id: str
    workspace_id: str
    mode: str
    pack: str
    leads: str
    currency: str
    amount_total: int
    is_paid: bool


def subscriptions_of(customer_id: str, *, in_a_hurry: bool = False) -> list[SubscriptionFacts]:
    """All the subscriptions that the customer has or had, the newest first. Raises CustomerGone, Unreachable, Rejected."""
    service = client(in_a_hurry=in_a_hurry).v1
    wanted: Any = {
        "customer": customer_id,
        "status": "all",
        "limit": _PAGE,
        "expand": ["data.latest_invoice", "data.schedule"],
    }
    with asking(), _understanding(), _gone_where_deleted(service, customer_id):
        found = service.subscriptions.list(wanted)
        facts = [_subscription(row.to_dict()) for row in found.auto_paging_iter()]
        # a deleted customer's subscriptions are all over; asking only then saves a request
        if all(one.is_over for one in facts):
            _refuse_deleted(service, customer_id)
    return facts


def checkout(session_id: str) -> CheckoutFacts:
    """The session as it is now. Raises Unreachable, Rejected."""
    with asking(), _understanding():
        return _checkout(client().v1.checkout.sessions.retrieve(session_id).to_dict())


def completed_checkouts_of(customer_id: str) -> list[CheckoutFacts]:
    """The sessions that the customer went through with, the newest first. Raises CustomerGone, Unreachable, Rejected."""
    service = client().v1
    with asking(), _understanding(), _gone_where_deleted(service, customer_id):
        found = service.checkout.sessions.list({"customer": customer_id, "status": "complete", "limit": _PAGE})
        return [_checkout(row.to_dict()) for row in found.auto_paging_iter()]


def events_since(moment: datetime | None) -> list[dict[str, Any]]:
    """The events that Stripe still has (those of 30 days), or those since then, the oldest first. Raises Unreachable, Rejected."""
    wanted: Any = {"limit": _PAGE} | ({"created": {"gte": int(moment.timestamp())}} if moment else {})
    with asking():
        found = client().v1.events.list(wanted)
        return [row.to_dict(for_json=True) for row in found.auto_paging_iter()][::-1]


@contextmanager
def _understanding() -> Iterator[None]:
    """What a proxy or another version of Stripe says may lack what we look for."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise Rejected(vendor="Stripe", reason=f"its answer is not understood: {error!r}", kind="answer") from error


@contextmanager
def _gone_where_deleted(service: V1Services, customer_id: str) -> Iterator[None]:
    """Asks what became of a customer that Stripe does not find: with the key of another account none is found, and none is gone."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            _refuse_deleted(service, customer_id)
        raise


def _refuse_deleted(service: V1Services, customer_id: str) -> None:
    if service.customers.retrieve(customer_id).to_dict().get("deleted"):
        raise CustomerGone(vendor="Stripe", reason=f"customer {customer_id} was deleted", kind="resource_missing")


def _subscription(row: dict[str, Any]) -> SubscriptionFacts:
    items = tuple(_item(item, row) for item in row["items"]["data"])
    ends_with_period = bool(row.get("cancel_at_period_end"))
    schedule = row.get("schedule") or {}
    next_phase = _next_phase(schedule, items)
    next_item = next_phase["items"][0] if next_phase else {}
    return SubscriptionFacts(
        id=row["id"],
        customer_id=_id(row["customer"]),
        status=row["status"],
        items=items,
        trial_end=_moment(row.get("trial_end")),
        cancel_at=_moment(row.get("cancel_at")) or (items[0].period_end if items and ends_with_period else None),
        cancels_at_period_end=ends_with_period,
        schedule_id=_id(schedule),
        pending_price_id=_id(next_item.get("price")),
        pending_at=_moment(next_phase["start_date"]) if next_phase else None,
        overdue_since=_overdue_since(row),
        created=_time(row["created"]),
    )


def _item(row: dict[str, Any], subscription: dict[str, Any]) -> ItemFacts:
    price = row["price"]
    return ItemFacts(
        id=row["id"],
        price_id=price["id"],
        interval=(price.get("recurring") or {}).get("interval", ""),
        quantity=row.get("quantity") or 0,
        # until 2025-03-31 the period stood on the subscription:
        # https://docs.stripe.com/changelog/basil/2025-03-31/deprecate-subscription-current-period-start-and-end
        period_end=_moment(row.get("current_period_end") or subscription.get("current_period_end")),
    )


def _next_phase(schedule: Any, items: tuple[ItemFacts, ...]) -> dict[str, Any] | None:
    """The phase that follows the present one, where it brings something else than there is."""
    if not isinstance(schedule, dict) or schedule.get("status") not in ("active", "not_started"):
        return None
    present = (schedule.get("current_phase") or {}).get("end_date") or 0
    now = [(item.price_id, item.quantity) for item in items]
    for phase in schedule.get("phases") or []:
        then = [(_id(item.get("price")), item.get("quantity") or 0) for item in phase["items"]]
        if phase["start_date"] >= present and then and then != now:
            return dict(phase)
    return None


def _overdue_since(row: dict[str, Any]) -> datetime | None:
    if row["status"] not in _OVERDUE:
        return None
    invoice = row.get("latest_invoice")
    if isinstance(invoice, dict) and invoice.get("status") in _UNSETTLED:
        return _time(invoice["created"])
    starts = [item["current_period_start"] for item in row["items"]["data"] if item.get("current_period_start")]
    return _time(min(starts, default=row["created"]))


def _checkout(row: dict[str, Any]) -> CheckoutFacts:
    metadata = row.get("metadata") or {}
    return CheckoutFacts(
        id=row["id"],
        customer_id=_id(row.get("customer")),
        workspace_id=str(row.get("client_reference_id") or metadata.get("workspace") or ""),
        mode=row["mode"],
        pack=str(metadata.get("pack") or ""),
        leads=str(metadata.get("leads") or ""),
        currency=row.get("currency") or "",
        amount_total=row.get("amount_total") or 0,
        is_paid=row.get("status") == "complete" and row.get("payment_status") in ("paid", "no_payment_required"),
    )


def _id(thing: Any) -> str:
    """Of an object, expanded or not."""
    return thing["id"] if isinstance(thing, dict) and thing else thing or ""


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else _time(seconds)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
