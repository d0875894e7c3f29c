"""Stripe's events: worked off by reading Stripe anew."""

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.urls import reverse

from accounts.tests.threads import in_a_thread
from billing import webhooks
from billing.models import BillingAccount, StripeEvent, Subscription, TopUp
from billing.stripe_gateway.client import client as stripe_client
from billing.tests.events import Status, event_of, jobs, post, work_off
from billing.tests.selling import begin_checkout, buy_pack, code_of, plan, price_in_stripe, sell, subscribe
from zevix.errors import Unreachable

pytestmark = pytest.mark.django_db


def test_an_event_leads_to_what_stripe_says_now_not_to_what_it_says_itself(stripe_server, bought, account, anonymous):
    lying = event_of(stripe_server, "customer.subscription.created", status="canceled", items={"data": []})
    stripe_server.deliver(anonymous, [lying])

    work_off()

    event = StripeEvent.objects.get()
    assert code_of(account) == "starter"
    assert (event.status, event.attempts, event.error) == (Status.DONE, 1, "")
    assert event.processed_at is not None


def test_an_event_of_long_ago_still_only_makes_us_read(stripe_server, bought, account, anonymous):
    old = event_of(stripe_server, "customer.subscription.created") | {"created": stripe_server.now - 40 * 86_400}
    stripe_server.cancel_now(bought)
    stripe_server.deliver(anonymous, [old])

    work_off()

    assert code_of(account) == "free"
    assert StripeEvent.objects.get().status == Status.DONE


@pytest.mark.parametrize("seed", range(4))
def test_every_event_twice_and_in_any_order_ends_the_same(seed, stripe_server, bought, account, anonymous):
    stripe_server.decline(account.customer_id)
    stripe_server.advance(days=32)
    stripe_server.pay_open_invoices(account.customer_id)
    stripe_server.set_price(bought, sell("pro").stripe_price_id)
    events = [*stripe_server.events, *stripe_server.events]
    random.Random(seed).shuffle(events)

    for event in events:
        stripe_server.deliver(anonymous, [event])
        work_off()

    subscription = Subscription.objects.get()
    assert StripeEvent.objects.count() == len(stripe_server.events)
    assert (subscription.plan.code, subscription.status, subscription.overdue_since) == ("pro", "active", None)
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {Status.DONE, Status.IGNORED}


def test_events_of_customers_who_are_nobody_of_ours_are_ignored(stripe_server, account, anonymous):
    strangers = stripe_client().v1.customers.create({}).id
    stripe_server.complete(begin_checkout(strangers, sell("starter").stripe_price_id))
    stripe_server.deliver(anonymous)

    work_off()

    assert set(StripeEvent.objects.values_list("status", flat=True)) == {Status.IGNORED}


def test_a_checkout_names_the_workspace_whose_customer_we_lost(stripe_server, account, anonymous):
    BillingAccount.objects.update(customer_id="")
    named = {"client_reference_id": str(account.workspace_id)}
    subscribe(stripe_server, account, sell("starter").stripe_price_id, **named)
    stripe_server.deliver(anonymous, [event_of(stripe_server, "checkout.session.completed")])

    work_off()

    assert code_of(account) == "starter"
    assert BillingAccount.objects.get().customer_id == account.customer_id


def test_a_checkout_that_names_another_customers_workspace_is_told(stripe_server, account, anonymous):
    twin = stripe_client().v1.customers.create({}).id
    named = {"client_reference_id": str(account.workspace_id)}
    stripe_server.complete(begin_checkout(twin, sell("starter").stripe_price_id, **named))
    stripe_server.deliver(anonymous, [event_of(stripe_server, "checkout.session.completed")])

    work_off()

    event = StripeEvent.objects.get()
    assert event.status == Status.FAILED
    assert event.error == (
        f"Stripe's customer {twin} names the workspace {account.workspace_id}, which is another customer there."
    )
    assert code_of(account) == "free"


@pytest.mark.parametrize("named", ["0", "999999999999999999999", "x", "-1", "１", "\u0661"])
def test_a_checkout_that_names_no_workspace_is_ignored(named, stripe_server, anonymous):
    customer = stripe_client().v1.customers.create({}).id
    stripe_server.complete(begin_checkout(customer, sell("starter").stripe_price_id, client_reference_id=named))
    stripe_server.deliver(anonymous, [event_of(stripe_server, "checkout.session.completed")])

    work_off()

    assert StripeEvent.objects.get().status == Status.IGNORED


def test_a_deleted_customers_event_ends_the_plan(stripe_server, bought, account, anonymous):
    stripe_server.deliver(anonymous)
    work_off()
    assert code_of(account) == "starter"

    stripe_server.delete_customer(account.customer_id)
    stripe_server.deliver(anonymous)
    work_off()

    assert code_of(account) == "free"
    assert BillingAccount.objects.get().customer_id == ""


def test_an_unknown_price_fails_the_event_until_it_is_named_and_worked_off_again(
    stripe_server, account, anonymous, operator, in_admin
):
    unknown = price_in_stripe()
    subscribe(stripe_server, account, unknown)
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created")])
    work_off()
    failed = StripeEvent.objects.get()

    plan("pro").prices.filter(interval="month").update(stripe_price_id=unknown)
    in_admin(operator).post(
        reverse("admin:billing_stripeevent_changelist"), {"action": "work_off_again", "_selected_action": [failed.pk]}
    )
    assert jobs().count() == 2
    work_off()

    done = StripeEvent.objects.get()
    assert failed.status == Status.FAILED
    assert failed.error.startswith(f"Stripe charges by the price {unknown}, which no plan here has.")
    assert (done.status, done.error, done.attempts) == (Status.DONE, "", 2)
    assert code_of(account) == "pro"


def test_stripe_out_of_reach_is_noted_and_tried_again(stripe_server, bought, account, anonymous):
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created")])
    for _ in range(3):  # the package's own tries
        stripe_server.answer_next(500)

    with pytest.raises(Unreachable):
        work_off()
    failed = StripeEvent.objects.get()
    webhooks.process_waiting(failed.pk)

    assert (failed.status, failed.attempts) == (Status.FAILED, 1)
    assert failed.error.startswith("Stripe can't be reached at the moment")
    assert (StripeEvent.objects.get().status, StripeEvent.objects.get().attempts) == (Status.DONE, 2)
    assert code_of(account) == "starter"


def test_a_wrong_key_fails_the_event_for_good(stripe_server, bought, anonymous, settings):
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created")])
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"

    work_off()

    assert StripeEvent.objects.get().status == Status.FAILED


def test_an_answer_that_nobody_understands_fails_the_event(stripe_server, bought, anonymous):
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created")])
    stripe_server.answer_next(
        200, {"object": "list", "data": [{"id": "sub_1", "object": "subscription"}], "has_more": False, "url": "/"}
    )

    work_off()

    event = StripeEvent.objects.get()
    assert event.status == Status.FAILED
    assert "its answer is not understood" in event.error


def test_a_job_leaves_an_event_alone_that_was_worked_off_meanwhile(stripe_server, bought, anonymous):
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created")])
    work_off()

    webhooks.process_waiting(StripeEvent.objects.get().pk)
    webhooks.process_waiting(10**15)

    assert StripeEvent.objects.get().attempts == 1


# At the same time


@pytest.mark.django_db(transaction=True)
def test_an_event_that_comes_many_times_at_once_is_kept_once(stripe_server, bought):
    body, header = stripe_server.signed(event_of(stripe_server, "customer.subscription.created"))

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(in_a_thread, partial(post, body, header)) for _ in range(16)]

    assert [answer.result().status_code for answer in answers] == [200] * 16
    assert StripeEvent.objects.count() == 1
    assert jobs().count() == 1


@pytest.mark.django_db(transaction=True)
def test_all_events_at_once_end_in_what_stripe_says(stripe_server, bought, account, anonymous):
    buy_pack(stripe_server, account)
    stripe_server.set_price(bought, sell("pro").stripe_price_id)
    stripe_server.deliver(anonymous)
    waiting = list(StripeEvent.objects.filter(status=Status.RECEIVED))

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(in_a_thread, partial(webhooks.process, event)) for event in waiting for _ in range(2)]

    # one that is overtaken again and again gives up for now, and its job tries it later
    assert {type(one.exception()) for one in done} <= {type(None), Unreachable}
    assert code_of(account) == "pro"
    assert TopUp.objects.count() == 1
