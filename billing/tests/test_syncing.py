"""Whatever Stripe says of a customer now is what the workspace's row says after a reading."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.tests.factories import make_workspace
from accounts.tests.threads import in_a_thread
from billing import entitlements
from billing.converging import syncing
from billing.errors import UnknownPrice
from billing.models import BillingAccount, Subscription
from billing.stripe_gateway.client import client
from billing.tests.selling import code_of, plan, price_in_stripe, sell, subscribe
from zevix.errors import Rejected
from zevix.models import Event

pytestmark = pytest.mark.django_db

TRIAL = {"subscription_data": {"trial_period_days": 14}}


def end_of_period(stripe_server, subscription_id):
    item = stripe_server.subscriptions[subscription_id]["items"]["data"][0]
    return datetime.fromtimestamp(item["current_period_end"], UTC)


def as_in(stripe_server, moment):
    return datetime.fromtimestamp(moment, UTC)


def test_a_paid_subscription_gives_its_plan(stripe_server, account, told):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)

    subscription = syncing.sync(account)

    account.refresh_from_db()
    assert code_of(account) == "starter"
    assert (subscription.stripe_id, subscription.status, subscription.interval) == (bought, "active", "month")
    assert subscription.period_end == end_of_period(stripe_server, bought)
    assert (subscription.seats, subscription.cancel_at, subscription.problem) == (None, None, "")
    assert account.version == 1
    assert timezone.now() - account.synced_at < timedelta(seconds=5)
    assert told == [account.workspace_id]
    assert list(Event.objects.values_list("type", "data")) == [
        ("subscription.changed", {"plan": "starter", "status": "active"})
    ]


def test_reading_the_same_again_tells_nobody(stripe_server, account, told):
    subscribe(stripe_server, account, sell("starter").stripe_price_id)

    first, *_others, last = [syncing.sync(account) for _ in range(3)]

    account.refresh_from_db()
    assert first.updated_at == last.updated_at
    assert told == [account.workspace_id]
    assert Event.objects.count() == 1
    assert account.version == 3


def test_a_customer_who_bought_nothing_has_no_row(stripe_server, account, told):
    assert syncing.sync(account) is None

    assert code_of(account) == "free"
    assert told == []


def test_a_workspace_that_is_no_customer_asks_stripe_nothing(stripe_server):
    account = BillingAccount.objects.create(workspace=make_workspace())

    assert syncing.sync(account) is None

    assert stripe_server.requests == []


def test_a_trial_counts_as_the_plan(stripe_server, account):
    bought = subscribe(stripe_server, account, sell("pro").stripe_price_id, **TRIAL)

    subscription = syncing.sync(account)

    assert (subscription.status, code_of(account)) == ("trialing", "pro")
    assert subscription.trial_end == as_in(stripe_server, stripe_server.subscriptions[bought]["trial_end"])


def test_further_seats_are_the_quantity_where_they_are_sold(stripe_server, account):
    price = sell("starter")
    bought = subscribe(stripe_server, account, price.stripe_price_id)
    item = stripe_server.subscriptions[bought]["items"]["data"][0]["id"]
    client().v1.subscriptions.update(bought, {"items": [{"id": item, "quantity": 13}]})

    flat = syncing.sync(account).seats
    price.extra_seat_amount = 500
    price.save()
    by_seat = syncing.sync(account).seats

    assert (flat, by_seat) == (None, 13)
    assert entitlements.seats_of(account.workspace) == 13


def test_a_subscription_that_is_to_end_says_when_and_is_over_then(stripe_server, account, told):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    client().v1.subscriptions.update(bought, {"cancel_at_period_end": True})

    ending = syncing.sync(account)
    end = end_of_period(stripe_server, bought)
    stripe_server.advance(days=32)
    over = syncing.sync(account)

    assert (ending.status, ending.cancel_at) == ("active", end)
    assert over.status == "canceled"
    assert code_of(account) == "free"
    assert told == [account.workspace_id] * 2


def test_one_that_the_customer_ends_in_the_portal_says_when(stripe_server, account):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    stripe_server.cancel_in_portal(bought)

    assert syncing.sync(account).cancel_at == end_of_period(stripe_server, bought)


def test_what_a_schedule_has_in_store_is_told_and_comes(stripe_server, account):
    pro, starter = sell("pro"), sell("starter")
    bought = subscribe(stripe_server, account, pro.stripe_price_id)
    schedule = client().v1.subscription_schedules.create({"from_subscription": bought})
    now = schedule.phases[0]
    phases = [
        {
            "items": [{"price": pro.stripe_price_id, "quantity": 1}],
            "start_date": now.start_date,
            "end_date": now.end_date,
        },
        {"items": [{"price": starter.stripe_price_id, "quantity": 1}], "duration": {"interval": "month"}},
    ]
    client().v1.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})

    before = syncing.sync(account)
    stripe_server.advance(days=32)
    after = syncing.sync(account)

    assert (before.plan.code, before.pending_plan.code, before.pending_interval) == ("pro", "starter", "month")
    assert before.pending_at == as_in(stripe_server, now.end_date)
    assert (after.plan.code, after.pending_plan, after.pending_interval, after.pending_at) == (
        "starter",
        None,
        "",
        None,
    )


# Several at once


def test_of_several_subscriptions_the_live_one_with_the_most_leads_counts(stripe_server, account):
    starter, pro, business = (sell(code).stripe_price_id for code in ("starter", "pro", "business"))
    over = subscribe(stripe_server, account, business)
    stripe_server.cancel_now(over)
    more = subscribe(stripe_server, account, pro)
    fewer = subscribe(stripe_server, account, starter)

    subscription = syncing.sync(account)

    assert (subscription.stripe_id, subscription.plan.code) == (more, "pro")
    assert subscription.problem == (
        f"The customer has 2 live subscriptions in Stripe ({more}, {fewer}); {more} counts."
    )


def test_of_several_alike_the_newest_counts(stripe_server, account):
    price = sell("starter").stripe_price_id
    subscribe(stripe_server, account, price)
    stripe_server.advance(seconds=60)
    newest = subscribe(stripe_server, account, price)

    assert syncing.sync(account).stripe_id == newest


def test_a_paid_one_counts_before_an_unpaid_one_with_more_leads(stripe_server, account):
    subscribe(stripe_server, account, sell("pro").stripe_price_id)
    stripe_server.decline(account.customer_id)
    stripe_server.advance(days=32)
    stripe_server.accept(account.customer_id)
    subscribe(stripe_server, account, sell("starter").stripe_price_id)

    assert syncing.sync(account).plan.code == "starter"


def test_of_two_items_the_one_whose_price_a_plan_has_counts(stripe_server, account):
    unknown, pro = price_in_stripe(), sell("pro").stripe_price_id
    bought = subscribe(stripe_server, account, unknown)
    stripe_server.add_item(bought, pro)

    subscription = syncing.sync(account)

    assert subscription.plan.code == "pro"
    assert subscription.problem == f"The subscription {bought} has 2 items; the price {pro} counts."


def test_a_problem_is_forgotten_when_it_is_over(stripe_server, account):
    price = sell("starter").stripe_price_id
    twins = [subscribe(stripe_server, account, price) for _ in range(2)]
    assert syncing.sync(account).problem

    stripe_server.cancel_now(twins[0])

    assert syncing.sync(account).problem == ""


def test_every_page_of_a_long_list_is_read(stripe_server, account):
    price = sell("starter").stripe_price_id
    first = subscribe(stripe_server, account, sell("pro").stripe_price_id)
    for _ in range(101):
        stripe_server.cancel_now(subscribe(stripe_server, account, price))

    assert syncing.sync(account).stripe_id == first


# Prices that no plan has


def test_an_unknown_price_alone_keeps_the_plan_as_it_was(stripe_server, account):
    bought = subscribe(stripe_server, account, sell("pro").stripe_price_id)
    syncing.sync(account)
    unknown = price_in_stripe()
    stripe_server.set_price(bought, unknown)
    client().v1.subscriptions.update(bought, {"cancel_at_period_end": True})

    with pytest.raises(UnknownPrice, match=unknown):
        syncing.sync(account)

    subscription = Subscription.objects.get()
    assert code_of(account) == "pro"
    assert subscription.cancel_at == end_of_period(stripe_server, bought)
    assert subscription.problem == f"The subscription {bought} has the price {unknown}, which no plan has."


def test_an_unknown_price_gives_nobody_a_plan_until_it_is_named(stripe_server, account):
    unknown = price_in_stripe()
    subscribe(stripe_server, account, unknown)
    with pytest.raises(UnknownPrice):
        syncing.sync(account)
    assert not Subscription.objects.exists()

    plan("pro").prices.filter(interval="month").update(stripe_price_id=unknown)

    assert syncing.sync(account).plan.code == "pro"


def test_a_next_price_that_no_plan_has_is_told(stripe_server, account):
    pro, unknown = sell("pro").stripe_price_id, price_in_stripe()
    bought = subscribe(stripe_server, account, pro)
    schedule = client().v1.subscription_schedules.create({"from_subscription": bought})
    now = schedule.phases[0]
    phases = [
        {"items": [{"price": pro, "quantity": 1}], "start_date": now.start_date, "end_date": now.end_date},
        {"items": [{"price": unknown, "quantity": 1}], "duration": {"interval": "month"}},
    ]
    client().v1.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})

    subscription = syncing.sync(account)

    assert (subscription.pending_plan, subscription.pending_at) == (None, None)
    assert subscription.problem == f"The subscription {bought} goes on to the price {unknown}, which no plan has."


# What the operator gave


def test_a_plan_that_the_operator_gave_stays_where_nothing_is_paid_for(stripe_server, account, told):
    Subscription.objects.create(workspace=account.workspace, plan=plan("business"))
    stripe_server.cancel_now(subscribe(stripe_server, account, sell("starter").stripe_price_id))

    subscription = syncing.sync(account)

    assert (subscription.stripe_id, subscription.status, code_of(account)) == ("", "", "business")
    assert told == []


def test_a_plan_that_the_operator_gave_gives_way_to_one_that_is_paid_for(stripe_server, account):
    Subscription.objects.create(workspace=account.workspace, plan=plan("business"))
    subscribe(stripe_server, account, sell("starter").stripe_price_id)

    syncing.sync(account)

    assert code_of(account) == "starter"


# Customers who are gone


def test_a_deleted_customer_has_the_free_plan_and_is_a_new_one_next_time(stripe_server, account, told):
    subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)
    nonce = BillingAccount.objects.get().nonce

    stripe_server.delete_customer(account.customer_id)
    subscription = syncing.sync(account)

    account.refresh_from_db()
    assert (subscription.status, code_of(account)) == ("canceled", "free")
    assert account.customer_id == ""
    assert account.nonce != nonce
    assert told == [account.workspace_id] * 2


def test_a_customer_who_is_not_found_is_not_taken_for_a_deleted_one(stripe_server, account):
    subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)

    stripe_server.reset()  # as with the key of another account
    with pytest.raises(Rejected, match="No such customer"):
        syncing.sync(account)

    account.refresh_from_db()
    assert account.customer_id
    assert code_of(account) == "starter"


# Readings at the same time


def wait_until_somebody_waits():
    """Until some other connection waits for a row that is locked here."""
    deadline = time.monotonic() + 10
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
            if cursor.rowcount:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_a_reading_that_was_overtaken_is_not_written(stripe_server, account):
    """The first has read that the subscription is paid, and is held up; meanwhile it ends, and that is read and written."""
    bought = subscribe(stripe_server, account, sell("pro").stripe_price_id)
    syncing.sync(account)
    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            BillingAccount.objects.select_for_update().get()
            first = pool.submit(in_a_thread, partial(syncing.sync, account))
            wait_until_somebody_waits()

            stripe_server.cancel_now(bought)
            syncing.sync(account)
        subscription = first.result()

    account.refresh_from_db()
    assert (subscription.status, code_of(account)) == ("canceled", "free")
    assert account.version == 3


@pytest.mark.django_db(transaction=True)
def test_many_readings_at_once_end_in_what_stripe_says(stripe_server, account):
    bought = subscribe(stripe_server, account, sell("pro").stripe_price_id)
    stripe_server.slow(0.05)

    def change_and_read():
        stripe_server.cancel_now(bought)
        return syncing.sync(account)

    with ThreadPoolExecutor() as pool:
        readings = [partial(syncing.sync, account)] * 3
        done = [pool.submit(in_a_thread, act) for act in (*readings, change_and_read)]

    assert [one.exception() for one in done] == [None] * 4
    assert code_of(account) == "free"
    assert Event.objects.filter(type="subscription.changed").count() <= 2
