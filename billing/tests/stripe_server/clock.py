"""Time goes on: what is due happens, each at its moment, in order."""

from collections.abc import Callable, Iterator

from billing.tests.stripe_server import checkout, dunning, invoices, schedules, subscriptions
from billing.tests.stripe_server.world import Object, World

# (moment, rank among those of one moment, act)
Due = tuple[int, int, Callable[[], object]]
_LIVE = ("trialing", "active", "past_due", "unpaid")


def advance(world: World, to: int, warned: set[str]) -> None:
    """Let everything happen that is due until then. ``warned`` holds the trials whose end was announced."""
    if to < world.now:
        raise ValueError("The clock only goes on.")
    while due := min(_all_due(world, warned), key=lambda each: each[:2], default=None):
        if due[0] > to:
            break
        world.now = max(world.now, due[0])
        due[2]()
    world.now = to


def _all_due(world: World, warned: set[str]) -> Iterator[Due]:
    for subscription in world.subscriptions.values():
        if subscription["status"] in _LIVE:
            yield from _of_subscription(world, subscription, warned)
    for schedule in world.schedules.values():
        moment = schedules.next_moment(schedule)
        if moment is not None:
            yield moment, 1, _bound(schedules.move_on, world, schedule)
    for invoice in world.invoices.values():
        if invoice["status"] == "open" and invoice["next_payment_attempt"]:
            yield invoice["next_payment_attempt"], 3, _bound(dunning.collect, world, invoice)
    for session in world.sessions.values():
        if session["status"] == "open":
            yield session["expires_at"], 4, _bound(checkout.expire, world, {}, session["id"])


def _of_subscription(world: World, subscription: Object, warned: set[str]) -> Iterator[Due]:
    if subscription["cancel_at"]:
        yield subscription["cancel_at"], 0, _bound(dunning.end, world, subscription, reason="cancellation_requested")
    yield subscriptions.current_period_end(subscription), 2, _bound(subscriptions.renew, world, subscription)
    if subscription["status"] == "trialing" and subscription["id"] not in warned:

        def warn() -> None:
            warned.add(subscription["id"])
            world.emit("customer.subscription.trial_will_end", subscription)

        yield subscriptions.trial_warning_at(subscription), 0, warn


def _bound(act: Callable[..., object], *arguments: object, **named: object) -> Callable[[], object]:
    return lambda: act(*arguments, **named)


def pay_open_invoices(world: World, customer: str) -> None:
    for invoice in list(world.invoices.values()):
        if invoice["customer"] == customer and invoice["status"] in ("open", "draft"):
            if invoice["status"] == "draft":
                invoices.finalize(world, invoice)
            dunning.collect(world, invoice)
