"""The inbox: what Stripe sends is kept once, and worked off by a job. An event is a hint to read Stripe anew, never the truth."""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from billing import customers, top_ups
from billing.converging import syncing
from billing.models import StripeEvent
from billing.stripe_gateway import reading, signatures
from zevix.errors import Malformed, Refusal, Unreachable

_PAID = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
# after which a customer's subscriptions may be others than before; all other types are kept, and left alone
_TELLING = (
    *_PAID,
    "customer.deleted",
    "customer.subscription.",
    "subscription_schedule.",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
)


def keep(body: bytes, header: str) -> None:
    """Keep the event in a webhook's body, once, and queue its job. Raises InvalidSignature, NotConfigured and Malformed."""
    _receive(signatures.verified(body, header))


def fetch_missing(since: datetime | None) -> list[StripeEvent]:
    """Ask Stripe for its events, keep and queue those that never came, and give them. Raises Unreachable, Rejected."""
    received = [_receive(payload) for payload in reading.events_since(since)]
    return [event for event, is_new in received if is_new]


def _receive(payload: Any) -> tuple[StripeEvent, bool]:
    """The event as it is kept, and whether it is new; one that came before is left as it is."""
    event = _event(payload)
    with transaction.atomic():
        kept, is_new = StripeEvent.objects.get_or_create(
            event_id=event.event_id,
            defaults={
                "type": event.type,
                "customer_id": event.customer_id,
                "payload": event.payload,
                "sent_at": event.sent_at,
                "status": StripeEvent.Status.RECEIVED
                if event.type.startswith(_TELLING)
                else StripeEvent.Status.IGNORED,
            },
        )
        if is_new and kept.status == StripeEvent.Status.RECEIVED:
            queue(kept)
    return kept, is_new


def queue(event: StripeEvent) -> None:
    """Have a job work it off; those of one customer go one at a time."""
    from billing.jobs import process_event

    process_event.configure(lock=f"stripe:{event.customer_id or event.event_id}").defer(event_pk=event.pk)


def queue_again(events: QuerySet[StripeEvent]) -> int:
    """Have these worked off once more, whatever became of them before. How many they are."""
    with transaction.atomic():
        chosen = list(events.select_for_update().defer("payload").order_by("pk"))
        StripeEvent.objects.filter(pk__in=[event.pk for event in chosen]).update(status=StripeEvent.Status.RECEIVED)
        for event in chosen:
            queue(event)
    return len(chosen)


def process_waiting(event_pk: int) -> None:
    """What an event's job does; nothing where somebody has worked it off meanwhile. Raises Unreachable."""
    waiting = (StripeEvent.Status.RECEIVED, StripeEvent.Status.FAILED)
    event = StripeEvent.objects.filter(pk=event_pk, status__in=waiting).first()
    if event:
        process(event)


def process(event: StripeEvent) -> None:
    """Act on what the event hints at, and note what became of it. May be repeated.

    Raises Unreachable, for another try; other refusals are kept with the event, which the operator works off again.
    """
    event.attempts += 1
    try:
        concerned = _act_on(event)
    except Refusal as refusal:
        _note(event, StripeEvent.Status.FAILED, str(refusal))
        if isinstance(refusal, Unreachable):
            raise
    else:
        _note(event, StripeEvent.Status.DONE if concerned else StripeEvent.Status.IGNORED)


def _act_on(event: StripeEvent) -> bool:
    """Whether it concerned one of our workspaces."""
    thing = event.payload["data"]["object"]
    if event.type not in _PAID:
        account = customers.account_of(event.customer_id)
    elif thing.get("mode") == "payment":
        return top_ups.fulfil(thing["id"]) is not None
    else:
        account = customers.account_at(reading.checkout(thing["id"]))
    if account:
        syncing.sync(account)
    return account is not None


def _note(event: StripeEvent, status: StripeEvent.Status, error: str = "") -> None:
    event.status, event.error, event.processed_at = status, error, timezone.now()
    event.save(update_fields=["status", "error", "processed_at", "attempts"])


def _event(payload: Any) -> StripeEvent:
    """Not saved yet. Raises Malformed for what is no event."""
    try:
        payload = _storable(payload)
        return StripeEvent(
            event_id=_name(payload["id"]),
            type=_name(payload["type"]),
            customer_id=_customer(payload["data"]["object"]),
            payload=payload,
            sent_at=datetime.fromtimestamp(payload["created"], UTC),
        )
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, OSError) as error:
        raise Malformed from error


def _storable(value: Any) -> Any:
    """The same without NUL, which PostgreSQL's JSON can't hold."""
    match value:
        case str():
            return value.replace("\x00", "")
        case list():
            return [_storable(one) for one in value]
        case dict():
            return {_storable(name): _storable(one) for name, one in value.items()}
    return value


def _customer(thing: dict[str, Any]) -> str:
    customer = thing["id"] if thing.get("object") == "customer" else thing.get("customer") or ""
    if isinstance(customer, dict):  # an endpoint may be told to expand it
        customer = customer["id"]
    return _name(customer) if customer else ""


def _name(value: Any) -> str:
    """An id or a type: a text that an index can hold."""
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise ValueError("no name")
    return value
