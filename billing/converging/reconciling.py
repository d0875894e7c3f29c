"""Finding and mending what no event told of: each account is compared with what Stripe says now."""

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from billing import top_ups
from billing.converging import syncing, writing
from billing.models import BillingAccount, Subscription
from billing.stripe_gateway.client import is_configured
from billing.stripe_gateway.reading import CustomerGone
from zevix.errors import Refusal, Unreachable

log = structlog.get_logger("billing")

_GIVE_UP_AFTER = 5  # accounts in a row that could not be read: then it is Stripe that is down


@dataclass(frozen=True)
class Drift:
    """Something at an account that is not as Stripe says. ``is_mended``: it is now, or would be where it is a dry run."""

    account: BillingAccount
    sentence: str
    is_mended: bool = True

    def __str__(self) -> str:
        return f"workspace {self.account.workspace_id}, {self.account.customer_id}: {self.sentence}"


def reconcile(account: BillingAccount, *, dry_run: bool = False) -> Iterator[Drift]:
    """Compare and mend one account. Raises Unreachable; what else Stripe refuses is a drift that is not mended."""
    try:
        yield from _subscription_drifts(account, dry_run)
        yield from _top_up_drifts(account, dry_run)
    except CustomerGone:
        return  # told of with the subscription
    except Unreachable:
        raise
    except Refusal as refusal:
        yield Drift(account, str(refusal), is_mended=False)


def reconcile_all() -> None:
    """Every account, each drift in a line of the log.

    One that Stripe can't be read for does not stop the others: Unreachable is raised at the end. After several in a row it is at once.
    """
    if not is_configured():
        return
    unread: list[Unreachable] = []
    in_a_row = 0
    for account in BillingAccount.objects.exclude(customer_id="").order_by("pk").iterator():
        try:
            _log_drifts(account)
            in_a_row = 0
        except Unreachable as refusal:
            log.warning("stripe_not_read", workspace=account.workspace_id, reason=str(refusal))
            unread.append(refusal)
            in_a_row += 1
        if in_a_row == _GIVE_UP_AFTER:
            break
    if unread:
        raise unread[-1]


def _log_drifts(account: BillingAccount) -> None:
    for drift in reconcile(account):
        log.warning("stripe_drift", workspace=account.workspace_id, drift=drift.sentence, is_mended=drift.is_mended)


def _subscription_drifts(account: BillingAccount, dry_run: bool) -> Iterator[Drift]:
    before = writing.told(Subscription.objects.filter(workspace=account.workspace_id).first())
    row = syncing.preview(account) if dry_run else syncing.sync(account)
    after = writing.told(row)
    if after != before:
        yield Drift(account, "; ".join(_changes(before, after)))
    if row and row.problem:
        yield Drift(account, row.problem, is_mended=False)


def _changes(before: dict[str, object], after: dict[str, object]) -> Iterator[str]:
    for name, value in after.items():
        was = before.get(name)
        if was != value:
            yield f"{name} {was or 'none'} → {value or 'none'}"


def _top_up_drifts(account: BillingAccount, dry_run: bool) -> Iterator[Drift]:
    for checkout in top_ups.unfulfilled(account):
        if not dry_run:
            top_ups.fulfil(checkout.id)
        yield Drift(account, f"{checkout.leads} leads paid in {checkout.id} were not there")
