"""Writing down what Stripe says: the workspace's subscription, and word to those whom it concerns."""

from typing import Any

import structlog
from django.db import transaction

from accounts.models import Workspace
from billing import entitlements
from billing.converging import choosing, overdue
from billing.converging.choosing import Choice
from billing.models import Subscription
from billing.signals import plan_changed
from billing.stripe_gateway.reading import SubscriptionFacts
from zevix import events

log = structlog.get_logger("billing")

# what Stripe says of a subscription, and a change of which is told
TELLING = (
    "stripe_id", "plan_id", "status", "interval", "seats", "period_end", "trial_end", "cancel_at", "pending_plan_id",
    "pending_interval", "pending_at", "overdue_since",
)  # fmt: skip
_NOTHING_TO_COME: dict[str, Any] = {
    "overdue_since": None, "pending_plan": None, "pending_interval": "", "pending_at": None,
}  # fmt: skip


@transaction.atomic
def write(workspace: Workspace, found: list[SubscriptionFacts]) -> tuple[Subscription | None, str]:
    """The workspace's row as these subscriptions leave it, and the price that it could not be written for, if there is one.

    A plan that the operator gave stays unless something is paid for in Stripe. Call it with the billing account locked.
    """
    choice = choosing.choose(found)
    row = Subscription.objects.select_for_update().filter(workspace=workspace).first()
    before, entitled = told(row), _entitled(workspace)
    row = _settle(row, choice, workspace)
    if told(row) != before:
        _tell(row, before, entitled)
    if row and row.problem:
        log.warning("stripe_subscription_problem", workspace=workspace.pk, problem=row.problem)
    return row, choice.unknown_price if choice else ""


def _settle(row: Subscription | None, choice: Choice | None, workspace: Workspace) -> Subscription | None:
    is_its_own = bool(row and choice and row.stripe_id == choice.facts.id)
    if choice and choice.price and (choice.is_live or (row and row.stripe_id)):
        changes = _facts(choice, row if is_its_own else None) | _bought(choice)
    elif choice and is_its_own:  # at a price that we do not know: the plan stays
        changes = _facts(choice, row)
    elif choice and choice.is_live:
        changes = {"problem": choice.problem}
    elif row and row.stripe_id:
        changes = {"status": "canceled", "problem": "", **_NOTHING_TO_COME}
    else:
        changes = {"problem": ""}
    if row is None:
        return Subscription.objects.create(workspace=workspace, **changes) if "plan" in changes else None
    changed = [name for name, value in changes.items() if getattr(row, name) != value]
    if changed:
        for name in changed:
            setattr(row, name, changes[name])
        row.save(update_fields=[*changed, "updated_at"])
    return row


def _facts(choice: Choice, row: Subscription | None) -> dict[str, Any]:
    """What Stripe says of it. ``row`` is what it said of the same one before."""
    facts, pending = choice.facts, choice.pending_price
    unpaid = [since for since in (facts.overdue_since, row and row.overdue_since) if since]
    return {
        "stripe_id": facts.id,
        "status": facts.status,
        "interval": facts.interval,
        "period_end": facts.period_end,
        "trial_end": facts.trial_end,
        "cancel_at": facts.cancel_at,
        "pending_plan": pending.plan if pending else None,
        "pending_interval": pending.interval if pending else "",
        "pending_at": facts.pending_at if pending else None,
        # the days of grace are counted once: later invoices of an unpaid subscription do not prolong them
        "overdue_since": min(unpaid) if facts.overdue_since else None,
        "problem": choice.problem,
    }


def _bought(choice: Choice) -> dict[str, Any]:
    price = choice.price
    assert price is not None
    return {"plan": price.plan, "seats": choice.facts.quantity if price.sells_seats else None}


def told(row: Subscription | None) -> dict[str, Any]:
    """What the row says of its subscription in Stripe."""
    return {name: getattr(row, name) for name in TELLING} if row else {}


def _entitled(workspace: Workspace) -> tuple[int, int | None]:
    return entitlements.plan_of(workspace).pk, entitlements.seats_of(workspace)


def _tell(row: Subscription | None, before: dict[str, Any], entitled: tuple[int, int | None]) -> None:
    assert row is not None
    workspace = row.workspace
    plan = entitlements.plan_of(workspace)
    events.record(workspace.pk, "subscription.changed", {"plan": plan.code, "status": row.status})
    if _entitled(workspace) != entitled:
        plan_changed.send(Subscription, workspace_id=workspace.pk)
    if row.overdue_since and row.overdue_since != before.get("overdue_since"):
        overdue.begin(row)
