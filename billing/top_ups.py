"""Packs of leads on top of the plan, paid for once by Checkout."""

from django.db import transaction

from billing import customers
from billing.errors import NotOurPack
from billing.models import BillingAccount, TopUp, TopUpPack
from billing.signals import topped_up
from billing.stripe_gateway import reading
from billing.stripe_gateway.reading import CheckoutFacts

_MOST = 2_147_483_647  # leads that a top-up can hold


def fulfil(session_id: str) -> TopUp | None:
    """The top-up that a Checkout session paid for, made now or before; None where it is no pack, not paid (yet), or nobody of ours did.

    May be repeated, also at the same time: one session makes one. Raises Unreachable, Rejected, TwoCustomers and NotOurPack.
    """
    checkout = reading.checkout(session_id)
    account = customers.account_at(checkout) if _is_paid_pack(checkout) else None
    return _enter(checkout, account) if account else None


def unfulfilled(account: BillingAccount) -> list[CheckoutFacts]:
    """The sessions in which packs were paid, and that no top-up was made for. Raises CustomerGone, Unreachable, Rejected."""
    paid = [one for one in reading.completed_checkouts_of(account.customer_id) if _is_paid_pack(one)]
    known = TopUp.objects.filter(session_id__in=[one.id for one in paid]).values_list("session_id", flat=True)
    return [one for one in paid if one.id not in set(known)]


def _enter(checkout: CheckoutFacts, account: BillingAccount) -> TopUp:
    with transaction.atomic():
        top_up, is_new = TopUp.objects.get_or_create(
            session_id=checkout.id,
            defaults={
                "workspace_id": account.workspace_id,
                "pack": TopUpPack.objects.filter(code=checkout.pack).first(),
                "leads": _leads(checkout),
                "currency": checkout.currency,
                "amount": checkout.amount_total,
            },
        )
        if is_new:
            topped_up.send(TopUp, top_up_id=top_up.pk)
    return top_up


def _is_paid_pack(checkout: CheckoutFacts) -> bool:
    """The operator may sell other things in Stripe, to the same customers."""
    return checkout.mode == "payment" and checkout.is_paid and bool(checkout.pack)


def _leads(checkout: CheckoutFacts) -> int:
    written = checkout.leads
    if not (written.isascii() and written.isdigit() and len(written) < 11 and 0 < int(written) <= _MOST):
        raise NotOurPack(session=checkout.id)
    return int(written)
