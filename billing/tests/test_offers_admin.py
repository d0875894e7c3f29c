"""Prices, packs and what Stripe charges for, in the admin."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from accounts.tests.factories import make_workspace
from billing import entitlements
from billing.models import Interval, Plan, Price, Subscription
from billing.tests.watching import asking_within_transactions
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

PLANS = reverse("admin:billing_plan_changelist")


@pytest.fixture
def browser(operator, in_admin):
    return in_admin(operator)


@pytest.fixture
def starter():
    return Plan.objects.get(code="starter")


def page_of(row, view="change"):
    return reverse(f"admin:billing_{row._meta.model_name}_{view}", args=[row.pk])


def save(browser, plan, **changes):
    return browser.post(page_of(plan), filled(browser.get(page_of(plan)), **changes))


def new_row(number, **fields):
    """A further row among a plan's prices, as a browser adds it."""
    row = {
        "interval": "month",
        "currency": "usd",
        "amount": "",
        "extra_seat_amount": "",
        "stripe_price_id": "",
    } | fields
    return {"prices-TOTAL_FORMS": str(number + 1)} | {f"prices-{number}-{name}": value for name, value in row.items()}


def on_offer(plan, interval=Interval.MONTH):
    return plan.prices.get(interval=interval, is_current=True)


def in_stripe(plan):
    plan.prices.update(stripe_price_id="")
    Price.objects.filter(pk=on_offer(plan).pk).update(stripe_price_id="price_1")


def test_a_price_that_is_not_in_stripe_is_changed(browser, starter):
    save(browser, starter, **{"prices-0-amount": "1900"})

    assert on_offer(starter).amount == 1900


def test_a_price_that_is_in_stripe_keeps_what_it_says(browser, starter):
    in_stripe(starter)

    save(browser, starter, **{"prices-0-amount": "1", "prices-0-currency": "eur", "prices-0-stripe_price_id": "x"})

    price = on_offer(starter)
    assert (price.amount, price.currency, price.stripe_price_id) == (2900, "usd", "price_1")


def test_a_new_row_takes_the_place_of_the_former_price(browser, starter):
    in_stripe(starter)
    former = on_offer(starter)

    save(browser, starter, **new_row(2, amount="3900"))

    former.refresh_from_db()
    assert (former.is_current, former.amount) == (False, 2900)
    assert (on_offer(starter).amount, on_offer(starter).stripe_price_id) == (3900, "")
    assert on_offer(starter, Interval.YEAR).amount == 29000


def test_a_price_of_stripes_is_entered_by_its_id_and_once(browser, starter):
    save(browser, starter, **new_row(2, amount="1", stripe_price_id=" price_9 "))

    refused = save(browser, Plan.objects.get(code="pro"), **new_row(2, amount="1", stripe_price_id="price_9"))

    assert on_offer(starter).stripe_price_id == "price_9"
    assert "Another price has this one in Stripe." in refused.content.decode()


@pytest.mark.parametrize("fields", [{"amount": "-1"}, {"amount": "x"}, {"amount": "1", "currency": "EUR"}])
def test_a_price_that_can_not_be_is_refused(fields, browser, starter):
    answer = save(browser, starter, **new_row(2, **fields))

    assert answer.status_code == 200
    assert starter.prices.count() == 2


def test_seats_are_sold_only_where_they_are_counted(browser, starter):
    answer = save(browser, starter, seats="", **{"prices-0-extra_seat_amount": "500"})

    assert "there are none to sell" in answer.content.decode()


def test_a_price_is_taken_off_the_offer(browser, starter):
    save(browser, starter, **{"prices-0-is_current": None})

    assert list(starter.prices.filter(is_current=True).values_list("interval", flat=True)) == ["year"]


def test_plans_are_brought_into_stripe_outside_of_any_transaction_of_its_own(browser, starter, stripe_server):
    answer = browser.post(PLANS, {"action": "sync", "_selected_action": [starter.pk]})

    said = [str(message) for message in get_messages(answer.wsgi_request)]
    assert len(said) == 3
    assert on_offer(starter).stripe_price_id in stripe_server.prices
    assert not Plan.objects.get(code="pro").stripe_product_id


@pytest.mark.django_db(transaction=True)
def test_stripe_is_never_asked_within_a_transaction(operator, in_admin, stripe_server):
    browser = in_admin(operator)

    with asking_within_transactions() as asked_within:
        browser.post(PLANS, {"action": "sync", "_selected_action": list(Plan.objects.values_list("pk", flat=True))})

    assert len(asked_within) > 6
    assert not any(asked_within)


def test_without_a_key_the_setting_is_named(browser, starter):
    answer = browser.post(PLANS, {"action": "sync", "_selected_action": [starter.pk]})

    [said] = [str(message) for message in get_messages(answer.wsgi_request)]
    assert "STRIPE_SECRET_KEY" in said


def test_what_stripe_charges_for_is_fixed(browser, starter):
    row = Subscription.objects.create(workspace=make_workspace(), plan=starter, stripe_id="sub_1", status="active")
    workspace_page = reverse("admin:accounts_workspace_change", args=[row.workspace_id])

    shown = browser.get(page_of(row)).content.decode()
    browser.post(page_of(row), filled(browser.get(page_of(row))) | {"plan": Plan.objects.get(code="pro").pk})
    browser.post(page_of(row, "delete"), {"post": "yes"})
    inline = browser.get(workspace_page).content.decode()

    row.refresh_from_db()
    assert row.plan == starter
    assert "Stripe charges for this plan." in shown
    assert "Stripe charges for this plan." in inline


def test_a_plan_given_after_one_has_ended_in_stripe_is_in_force(browser, starter, told):
    row = Subscription.objects.create(
        workspace=make_workspace(), plan=starter, stripe_id="sub_1", status="canceled", overdue_since=timezone.now()
    )
    pro = Plan.objects.get(code="pro")

    browser.post(page_of(row), filled(browser.get(page_of(row)), plan=pro.pk, seats="30"))

    row.refresh_from_db()
    assert (entitlements.plan_of(row.workspace), entitlements.seats_of(row.workspace)) == (pro, 30)
    assert (row.stripe_id, row.status, row.overdue_since) == ("", "", None)
    assert told == [row.workspace_id]


@pytest.mark.parametrize("bulk", [False, True])
def test_that_a_plan_is_taken_away_is_told(bulk, browser, starter, told):
    row = Subscription.objects.create(workspace=make_workspace(), plan=starter)

    if bulk:
        listed = reverse("admin:billing_subscription_changelist")
        browser.post(listed, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    else:
        browser.post(page_of(row, "delete"), {"post": "yes"})

    assert told == [row.workspace_id]
