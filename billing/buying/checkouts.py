"""Buying: a workspace becomes Stripe's customer, and is led to a page of Stripe's where it pays.

``once`` names an act to Stripe: the same act asked for again, after a crash or a lost answer, is done once there. No call of
Stripe is made within a transaction.
"""

from collections.abc import Callable

from accounts.models import User, Workspace
from billing.buying import ordering
from billing.converging import choosing, syncing
from billing.errors import AlreadySubscribed
from billing.models import BillingAccount, Subscription
from billing.stripe_gateway import acting, reading
from billing.stripe_gateway.acting import WayBack
from billing.stripe_gateway.reading import CustomerGone, SubscriptionFacts
from zevix.errors import Rejected


def customer_of(workspace: Workspace, *, by: User) -> BillingAccount:
    """The workspace as Stripe's customer, made now or before. Raises Unreachable, Rejected.

    Requests at the same time, and one after a crash, get the same customer: Stripe knows the act by the account's nonce for a day.
    A crash that nobody comes back from within that day leaves a customer there who never bought anything.
    """
    account, _new = BillingAccount.objects.get_or_create(workspace=workspace)
    if account.customer_id:
        return account
    customer_id = acting.create_customer(workspace.pk, once=f"{account.nonce}:customer")
    nameless = BillingAccount.objects.filter(pk=account.pk, customer_id="", nonce=account.nonce)
    if nameless.update(customer_id=customer_id):
        acting.describe_customer(customer_id, name=workspace.name, email=by.email)
    account.refresh_from_db()
    return account


def buy_plan(
    workspace: Workspace,
    *,
    plan: str,
    interval: str | None,
    seats: int | None,
    coupon: str,
    back: WayBack,
    by: User,
    once: str,
) -> str:
    """The address of a page that sells the plan. An older page of the workspace sells nothing any more, so that two tabs can't buy twice.

    Raises ValidationFailed, NotInStripe, TooManyMembers, AlreadySubscribed; Unreachable, Rejected.
    """
    wanted = ordering.order(plan, interval, seats, workspace=workspace)
    account, history = _customer_without_plan(workspace, by)
    session_id, url = acting.begin_subscription(
        account.customer_id,
        workspace_id=workspace.pk,
        price_id=wanted.price.stripe_price_id,
        quantity=wanted.quantity,
        trial_days=0 if history else wanted.price.plan.trial_days,
        promotion_code=coupon,
        back=back,
        once=f"{account.nonce}:checkout:{once}",
    )
    while not _is_only_page(account, session_id):
        pass
    return url


def buy_pack(workspace: Workspace, *, pack: str, back: WayBack, by: User, once: str) -> str:
    """The address of a page that sells leads on top. Raises ValidationFailed; Unreachable, Rejected."""
    wanted = ordering.pack(pack)

    def begin(account: BillingAccount) -> str:
        _session_id, url = acting.begin_payment(
            account.customer_id,
            workspace_id=workspace.pk,
            pack=wanted.code,
            leads=wanted.leads,
            name=wanted.name,
            currency=wanted.currency,
            amount=wanted.amount,
            back=back,
            once=f"{account.nonce}:top-up:{once}",
        )
        return url

    return _as_customer(workspace, by, begin)


def portal(workspace: Workspace, *, return_url: str, by: User) -> str:
    """The address of Stripe's page for cards, invoices and data. Raises Unreachable, Rejected."""
    return _as_customer(workspace, by, lambda account: acting.portal(account.customer_id, return_url=return_url))


def _as_customer(workspace: Workspace, by: User, act: Callable[[BillingAccount], str]) -> str:
    """What the act gives; done again as a new customer where the one that we knew was deleted in Stripe."""
    account = customer_of(workspace, by=by)
    known = account.customer_id
    try:
        return act(account)
    except Rejected as refusal:
        if refusal.details.get("kind") != "resource_missing":
            raise
        syncing.sync(account)
        account = customer_of(workspace, by=by)
        if account.customer_id == known:  # something else is missing
            raise
        return act(account)


def _customer_without_plan(workspace: Workspace, by: User) -> tuple[BillingAccount, bool]:
    """The customer, who has nothing that could be changed instead, and whether there was something once."""
    account = customer_of(workspace, by=by)
    try:
        found = _nothing_live(account)
    except CustomerGone:
        syncing.sync(account)
        account = customer_of(workspace, by=by)
        found = []
    return account, bool(found) or Subscription.objects.filter(workspace=workspace).exclude(stripe_id="").exists()


def _nothing_live(account: BillingAccount) -> list[SubscriptionFacts]:
    found = reading.subscriptions_of(account.customer_id)
    choice = choosing.choose(found)
    if choice and choice.is_live:
        syncing.sync(account)
        raise AlreadySubscribed
    return found


def _is_only_page(account: BillingAccount, session_id: str) -> bool:
    """Close the page that was open before and put this one in its place; False where another came in between.

    Asked by its id each time, so that a page which somebody was given is never forgotten before it is closed.
    """
    account.refresh_from_db()
    before = account.open_session_id
    if before == session_id:
        return True
    if before:
        acting.close_checkout(before)
        try:
            _nothing_live(account)  # it may have been paid at the last moment
        except AlreadySubscribed:
            acting.close_checkout(session_id)
            raise
    same = BillingAccount.objects.filter(pk=account.pk, open_session_id=before)
    return same.update(open_session_id=session_id) == 1
