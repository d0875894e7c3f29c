"""Converging on Stripe: what a customer's subscriptions say now is written down, whatever made us look."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Workspace
from billing.converging import writing
from billing.errors import UnknownPrice
from billing.models import BillingAccount, Subscription
from billing.stripe_gateway import reading
from billing.stripe_gateway.client import is_configured
from billing.stripe_gateway.hurrying import in_time
from billing.stripe_gateway.reading import CustomerGone, SubscriptionFacts
from zevix.errors import Unreachable, UpstreamError

log = structlog.get_logger("billing")

_TRIES = 5  # readings; each in vain means that another was written meanwhile
_IN_A_HURRY = 1.5  # seconds
_PAUSE = timedelta(seconds=30)  # after a failure, before somebody is made to wait again

_Reader = Callable[[str], list[SubscriptionFacts]]


def sync(account: BillingAccount, *, in_a_hurry: bool = False) -> Subscription | None:
    """Read the customer's subscriptions and write down what they say. Gives the workspace's row; None where it never had one.

    Stripe is read outside any transaction. Raises Unreachable, Rejected and, when the rest is written, UnknownPrice.
    """
    read = _hurried(time.monotonic() + _IN_A_HURRY) if in_a_hurry else reading.subscriptions_of
    for _ in range(_TRIES):
        now = BillingAccount.objects.select_related("workspace").filter(pk=account.pk).first()
        if now is None or not now.customer_id:
            return Subscription.objects.filter(workspace=account.workspace_id).first()
        found = _found(now, read)
        with transaction.atomic():
            # a reading that was overtaken by another may be the older one
            if _claim(now, is_gone=found is None):
                subscription, unknown_price = writing.write(now.workspace, found or [])
                break
    else:
        raise Unreachable(vendor="Stripe", reason="read by others at the same time")
    if unknown_price:
        raise UnknownPrice(price=unknown_price)
    return subscription


def preview(account: BillingAccount) -> Subscription | None:
    """The workspace's row as `sync` would leave it, with nothing written. Raises the same."""
    found = _found(account, reading.subscriptions_of)
    with transaction.atomic():
        subscription, unknown_price = writing.write(account.workspace, found or [])
        transaction.set_rollback(True)
    if unknown_price:
        raise UnknownPrice(price=unknown_price)
    return subscription


def refresh_if_stale(workspace: Workspace) -> bool:
    """Read Stripe anew where the last reading is old. True where Stripe did not answer: the plan is the last that is known.

    Takes less than two seconds in any case, and after a failure nobody is made to wait for half a minute.
    """
    account = BillingAccount.objects.filter(workspace=workspace).exclude(customer_id="").first()
    if not is_configured() or account is None or _is_younger(account.synced_at, settings.BILLING_SYNC_EVERY):
        return False
    if _is_younger(account.failed_at, _PAUSE):
        return True
    try:
        sync(account, in_a_hurry=True)
    except UnknownPrice:
        return False  # Stripe was read; of the price the operator is told
    except UpstreamError as error:
        BillingAccount.objects.filter(pk=account.pk).update(failed_at=timezone.now())
        log.warning("stripe_not_read", workspace=workspace.pk, reason=str(error))
        return True
    return False


def _is_younger(moment: datetime | None, age: timedelta) -> bool:
    return moment is not None and moment > timezone.now() - age


def _hurried(deadline: float) -> _Reader:
    def read(customer_id: str) -> list[SubscriptionFacts]:
        ask = partial(reading.subscriptions_of, customer_id, in_a_hurry=True)
        return in_time(ask, seconds=deadline - time.monotonic())

    return read


def _found(account: BillingAccount, read: _Reader) -> list[SubscriptionFacts] | None:
    """None where the customer was deleted."""
    try:
        return read(account.customer_id)
    except CustomerGone:
        return None


def _claim(account: BillingAccount, *, is_gone: bool) -> bool:
    """Whether nobody has written a reading since ``account`` was loaded; then nobody else will before the transaction's end."""
    # a customer who comes again is another one in Stripe, and no key of before may bring back an old answer
    forgotten = {"customer_id": "", "open_session_id": "", "nonce": uuid4()} if is_gone else {}
    same = BillingAccount.objects.filter(pk=account.pk, version=account.version, customer_id=account.customer_id)
    return same.update(version=F("version") + 1, synced_at=timezone.now(), **forgotten) == 1
