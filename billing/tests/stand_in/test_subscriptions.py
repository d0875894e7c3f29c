"""The stand-in for Stripe bills as Stripe does."""

from collections import Counter
from datetime import UTC, datetime

import pytest
import stripe

from billing.tests.stripe_server.shapes import misfits


def items(subscription):
    """The field; the package's objects had a method of that name."""
    return subscription["items"].data


def types(stripe_server, since=0):
    return Counter(event["type"] for event in stripe_server.events[since:])


def test_a_subscription_begins_with_its_payment_and_renews_at_its_anchor(api, price, subscribe, stripe_server):
    subscription = subscribe(price(2900), subscription_data={"metadata": {"workspace": "7"}})

    begun = datetime.fromtimestamp(items(subscription)[0].current_period_start, UTC)
    stripe_server.advance(to=items(subscription)[0].current_period_end)

    renewed = api.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert subscription.status == "active"
    assert subscription.metadata.to_dict() == {"workspace": "7"}
    assert not hasattr(subscription, "current_period_end")
    assert items(renewed)[0].current_period_start == items(subscription)[0].current_period_end
    assert datetime.fromtimestamp(items(renewed)[0].current_period_start, UTC).month == begun.month % 12 + 1
    assert renewed.latest_invoice.billing_reason == "subscription_cycle"
    assert renewed.latest_invoice.parent.subscription_details.subscription == subscription.id
    assert (renewed.latest_invoice.status, renewed.latest_invoice.amount_paid) == ("paid", 2900)


def test_an_upgrade_is_prorated_to_the_cent_and_costs_what_its_preview_said(api, price, subscribe, stripe_server):
    """10 of 30 or 31 days on: the rest of 29.00 comes back, the rest of 99.00 is due."""
    subscription = subscribe(price(2900))
    item = items(subscription)[0]
    stripe_server.advance(days=10)
    left = item.current_period_end - stripe_server.now
    days = (item.current_period_end - item.current_period_start) // 86_400
    change = {
        "items": [{"id": item.id, "price": price(9900).id}],
        "proration_behavior": "always_invoice",
        "proration_date": stripe_server.now,
    }

    preview = api.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": change})
    untouched = api.v1.subscriptions.retrieve(subscription.id)
    changed = api.v1.subscriptions.update(subscription.id, {**change, "expand": ["latest_invoice"]})

    by_hand = {28: (-1864, 6364), 29: (-1900, 6486), 30: (-1933, 6600), 31: (-1965, 6710)}[days]
    assert left == (days - 10) * 86_400
    assert tuple(line.amount for line in preview.lines.data) == by_hand
    assert preview.amount_due == sum(by_hand) == changed.latest_invoice.amount_paid
    assert untouched == subscription
    assert items(changed)[0].current_period_end == item.current_period_end


def test_graduated_tiers_bill_further_seats(api, product, subscribe, stripe_server):
    tiers = [{"up_to": 10, "flat_amount": 2900, "unit_amount": 0}, {"up_to": "inf", "unit_amount": 500}]
    tiered = api.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": tiers,
            "recurring": {"interval": "month"},
        }
    )

    few, many = subscribe(tiered, quantity=10), subscribe(tiered, quantity=13)

    paid = [stripe_server.invoices[each.latest_invoice]["amount_paid"] for each in (few, many)]
    assert paid == [2900, 4400]


def test_another_interval_begins_a_new_period_at_once(api, price, subscribe, stripe_server):
    subscription = subscribe(price(2900))
    stripe_server.advance(days=1)

    changed = api.v1.subscriptions.update(
        subscription.id, {"items": [{"id": items(subscription)[0].id, "price": price(29_000, "year").id}]}
    )

    assert items(changed)[0].current_period_start == changed.billing_cycle_anchor == stripe_server.now
    credit, year = stripe_server.invoices[changed.latest_invoice]["lines"]["data"]
    assert (credit["amount"] < 0, year["amount"]) == (True, 29_000)


def test_a_declined_change_that_must_be_paid_changes_nothing(api, customer, price, subscribe, stripe_server):
    subscription = subscribe(price(2900))
    stripe_server.decline(customer.id)

    with pytest.raises(stripe.CardError) as refused:
        api.v1.subscriptions.update(
            subscription.id,
            {
                "items": [{"id": items(subscription)[0].id, "price": price(9900).id}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
            },
        )

    assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
    assert api.v1.subscriptions.retrieve(subscription.id) == subscription


@pytest.mark.parametrize("last", ["canceled", "unpaid"])
def test_an_unpaid_renewal_is_tried_again_until_the_last_time(api, customer, price, subscribe, stripe_server, last):
    subscription = subscribe(price(2900))
    stripe_server.retry((3, 5), after_last=last)
    stripe_server.decline(customer.id)

    stripe_server.advance(to=items(subscription)[0].current_period_end)
    first = api.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    stripe_server.advance(days=3)
    second = api.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    stripe_server.advance(days=5)
    third = api.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})

    assert [each.status for each in (first, second, third)] == ["past_due", "past_due", last]
    assert [each.latest_invoice.attempt_count for each in (first, second, third)] == [1, 2, 3]
    assert third.latest_invoice.status == "open"
    assert third.latest_invoice.next_payment_attempt is None


def test_a_paid_invoice_brings_its_subscription_back(api, customer, price, subscribe, stripe_server):
    subscription = subscribe(price(2900))
    stripe_server.decline(customer.id)
    stripe_server.advance(to=items(subscription)[0].current_period_end)
    seen = len(stripe_server.events)

    with pytest.raises(stripe.CardError):
        api.v1.invoices.pay(api.v1.subscriptions.retrieve(subscription.id).latest_invoice)
    stripe_server.pay_open_invoices(customer.id)

    assert api.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert types(stripe_server, seen) == {
        "invoice.payment_failed": 1,
        "invoice.updated": 1,
        "invoice.paid": 1,
        "invoice.payment_succeeded": 1,
        "customer.subscription.updated": 1,
    }


def test_a_trial_costs_nothing_is_announced_and_ends_in_a_payment(api, price, subscribe, stripe_server):
    subscription = subscribe(price(2900), subscription_data={"trial_period_days": 14})

    stripe_server.advance(days=11)
    announced = types(stripe_server)["customer.subscription.trial_will_end"]
    stripe_server.advance(days=3)

    after = api.v1.subscriptions.retrieve(subscription.id)
    assert (subscription.status, announced, after.status) == ("trialing", 1, "active")
    amounts = [each.amount_paid for each in api.v1.invoices.list({"subscription": subscription.id}).data]
    assert amounts == [2900, 0]


def test_a_coupon_takes_its_part_of_each_invoice_that_it_lasts_for(api, price, subscribe, stripe_server):
    once = api.v1.coupons.create({"amount_off": 900, "currency": "usd", "duration": "once"})
    always = api.v1.coupons.create({"percent_off": 100, "duration": "forever"})
    api.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": always.id}, "code": "GIFT"})
    offer = price(2900)

    first = subscribe(offer, discounts=[{"coupon": once.id}])
    second = subscribe(offer, allow_promotion_codes=True, code="gift")
    stripe_server.advance(days=31)

    def paid(subscription):
        return [each.amount_paid for each in api.v1.invoices.list({"subscription": subscription.id}).data]

    assert (paid(first), paid(second)) == ([2900, 2000], [0, 0])


def test_a_schedule_changes_the_plan_at_the_periods_end_and_lets_go(api, price, subscribe, stripe_server):
    pro, starter = price(9900), price(2900)
    subscription = subscribe(pro)
    schedule = api.v1.subscription_schedules.create({"from_subscription": subscription.id})
    now = schedule.phases[0]
    phases = [
        {"items": [{"price": pro.id, "quantity": 1}], "start_date": now.start_date, "end_date": now.end_date},
        {"items": [{"price": starter.id, "quantity": 1}]},
    ]
    api.v1.subscription_schedules.update(schedule.id, {"end_behavior": "release", "phases": phases})

    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        api.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    stripe_server.advance(to=now.end_date - 1)
    before = api.v1.subscriptions.retrieve(subscription.id)
    stripe_server.advance(seconds=1)
    after = api.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    stripe_server.advance(to=items(after)[0].current_period_end)
    later = api.v1.subscriptions.retrieve(subscription.id)

    assert [items(each)[0].price.id for each in (before, after, later)] == [pro.id, starter.id, starter.id]
    assert after.latest_invoice.amount_paid == 2900
    assert [each.schedule for each in (before, after, later)] == [schedule.id, schedule.id, None]


@pytest.mark.parametrize("how", ["by api", "in the portal"])
def test_a_cancellation_takes_place_at_the_periods_end(api, price, subscribe, stripe_server, how):
    subscription = subscribe(price(2900))
    end = items(subscription)[0].current_period_end
    if how == "by api":
        api.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    else:
        stripe_server.cancel_in_portal(subscription.id)

    will_end = api.v1.subscriptions.retrieve(subscription.id)
    stripe_server.advance(to=end)
    ended = api.v1.subscriptions.retrieve(subscription.id)

    assert (will_end.status, will_end.cancel_at, will_end.cancel_at_period_end) == ("active", end, how == "by api")
    assert (ended.status, ended.ended_at) == ("canceled", end)
    assert len(api.v1.invoices.list({"subscription": subscription.id}).data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="A canceled subscription"):
        api.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})


def test_a_delayed_payment_is_told_of_later(api, checkout, price, stripe_server):
    session = checkout(price(900, interval=None), mode="payment")

    stripe_server.complete(session.id, payment="delayed")
    under_way = api.v1.checkout.sessions.retrieve(session.id)
    stripe_server.settle(session.id)

    assert (under_way.status, under_way.payment_status) == ("complete", "unpaid")
    assert api.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert stripe_server.events[-1]["type"] == "checkout.session.async_payment_succeeded"


def test_a_session_expires_after_a_day(checkout, price, stripe_server):
    session = checkout(price(2900))

    stripe_server.advance(days=1)

    assert stripe_server.sessions[session.id]["status"] == "expired"
    assert stripe_server.events[-1]["type"] == "checkout.session.expired"


def test_all_that_a_life_brings_has_the_shape_that_the_package_promises(
    api, customer, price, checkout, subscribe, stripe_server
):
    coupon = api.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    api.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    trial = {"subscription_data": {"trial_period_days": 7}}
    subscription = subscribe(price(2900), discounts=[{"coupon": coupon.id}], **trial)
    api.v1.subscription_schedules.create({"from_subscription": subscription.id})
    stripe_server.advance(days=20)
    stripe_server.decline(customer.id)
    stripe_server.advance(days=60)
    stripe_server.complete(checkout(price(900, interval=None), mode="payment").id)

    world = stripe_server.world
    tables = [
        world.customers, world.products, world.prices, world.coupons, world.promotion_codes, world.discounts,
        world.sessions, world.subscriptions, world.schedules, world.invoices, world.payment_intents,
        world.portal_configurations,
    ]  # fmt: skip
    assert all(tables)
    assert [lack for table in tables for thing in table.values() for lack in misfits(thing)] == []
    assert [lack for event in stripe_server.events for lack in misfits(event)] == []
    upcoming = {"subscription": subscribe(price(100)).id, "subscription_details": {"proration_behavior": "none"}}
    assert list(misfits(api.v1.invoices.create_preview(upcoming).to_dict(for_json=True))) == []
    assert list(misfits({"object": "coupon", "colour": "red"}))[:2] == [
        "coupon.colour: unknown",
        "coupon.created: lacking",
    ]


def test_a_pack_is_paid_by_a_price_that_its_session_describes(api, customer, stripe_server):
    wanted = {"currency": "usd", "unit_amount": 900, "product_data": {"name": "100 leads"}}
    session = api.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "customer": customer.id,
            "line_items": [{"price_data": wanted, "quantity": 1}],
            "success_url": "https://example.com/done",
            "metadata": {"pack": "leads-100"},
        }
    )

    stripe_server.complete(session.id)

    paid = api.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    assert (paid.payment_status, paid.amount_total, paid.line_items.data[0].description) == ("paid", 900, "100 leads")
    assert api.v1.prices.list({"active": True}).data == []


def test_a_phase_that_names_no_discount_has_none(api, price, subscribe, stripe_server):
    always = api.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    offer = price(2900)
    subscription = subscribe(offer, discounts=[{"coupon": always.id}])
    schedule = api.v1.subscription_schedules.create({"from_subscription": subscription.id})
    phase = schedule.phases[0]
    kept = {"items": [{"price": offer.id}], "start_date": phase.start_date, "end_date": phase.end_date}

    api.v1.subscription_schedules.update(
        schedule.id, {"phases": [{**kept, "discounts": [{"discount": phase.discounts[0].discount}]}]}
    )
    named = stripe_server.subscriptions[subscription.id]["discounts"]
    api.v1.subscription_schedules.update(schedule.id, {"phases": [kept]})

    assert named == [phase.discounts[0].discount]
    assert stripe_server.subscriptions[subscription.id]["discounts"] == []
