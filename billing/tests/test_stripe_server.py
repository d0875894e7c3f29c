"""The stand-in for Stripe refuses, replays, signs and counts as Stripe does; asked by the package that production uses."""

import socket
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
import stripe

from billing.tests.stripe_server.shapes import misfits
from billing.tests.stripe_server.world import API_VERSION


@pytest.fixture
def api(stripe_server):
    return stripe.StripeClient(stripe_server.secret_key, base_addresses={"api": stripe_server.url})


@pytest.fixture
def customer(api):
    return api.v1.customers.create({"email": "ann@example.com"})


@pytest.fixture
def product(api):
    return api.v1.products.create({"name": "Pro"})


@pytest.fixture
def price(api, product):
    """Makes prices of the product: an amount, an interval or None, and what else."""

    def make(amount, interval="month", **more):
        recurring = {"recurring": {"interval": interval}} if interval else {}
        return api.v1.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount": amount, **recurring, **more}
        )

    return make


@pytest.fixture
def checkout(api, customer):
    def make(price, *, mode="subscription", quantity=1, **more):
        return api.v1.checkout.sessions.create(
            {
                "mode": mode,
                "customer": customer.id,
                "line_items": [{"price": price.id, "quantity": quantity}],
                "success_url": "https://example.com/done",
                **more,
            }
        )

    return make


@pytest.fixture
def subscribe(api, checkout, stripe_server):
    """A subscription as a completed Checkout leaves it."""

    def make(price, *, code=None, **more):
        session = checkout(price, **more)
        stripe_server.complete(session.id, promotion_code=code)
        return api.v1.subscriptions.retrieve(stripe_server.sessions[session.id]["subscription"])

    return make


def items(subscription):
    """The field; the package's objects had a method of that name."""
    return subscription["items"].data


def types(stripe_server, since=0):
    return Counter(event["type"] for event in stripe_server.events[since:])


# refusing


@pytest.mark.parametrize("key", ["sk_test_wrong", "sk_test_"])
def test_a_wrong_key_is_refused(stripe_server, key):
    client = stripe.StripeClient(key, base_addresses={"api": stripe_server.url})

    with pytest.raises(stripe.AuthenticationError) as refused:
        client.v1.customers.list()

    assert refused.value.http_status == 401
    assert refused.value.request_id
    assert stripe_server.requests == []


def test_another_version_of_the_api_is_refused(stripe_server):
    client = stripe.StripeClient(
        stripe_server.secret_key, base_addresses={"api": stripe_server.url}, stripe_version="2024-06-20"
    )

    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version: 2024-06-20"):
        client.v1.customers.list()

    assert stripe.api_version == API_VERSION


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"surname": "Lee"}, "parameter_unknown", "surname"),
        ({"address": {"planet": "Mars"}}, "parameter_unknown", "address[planet]"),
        ({"balance": "abc"}, "parameter_invalid_integer", "balance"),
        ({"balance": "9" * 30}, "parameter_invalid_integer", "balance"),
        ({"preferred_locales": "de"}, "parameter_invalid_array", "preferred_locales"),
        ({"metadata": {"a": {"b": "c"}}}, "parameter_invalid_string", "metadata[a]"),
        ({"tax_exempt": "sometimes"}, None, "tax_exempt"),
    ],
)
def test_parameters_that_do_not_fit_the_packages_types_are_refused(api, params, code, param):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.customers.create(params)

    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)


def test_what_is_required_is_named(api):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.products.create({})

    assert (refused.value.code, refused.value.param) == ("parameter_missing", "name")


def test_unknown_ids_are_not_found(api):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.subscriptions.retrieve("sub_none")

    assert (refused.value.http_status, refused.value.code, refused.value.param) == (404, "resource_missing", "id")


def test_a_deleted_customer_says_so_and_is_of_no_use(api, customer, checkout, price, stripe_server):
    offer = price(2900)
    stripe_server.delete_customer(customer.id)

    found = api.v1.customers.retrieve(customer.id)
    with pytest.raises(stripe.InvalidRequestError, match="No such customer") as refused:
        checkout(offer)

    assert found.deleted is True
    assert (refused.value.code, refused.value.param) == ("resource_missing", "customer")


def test_checkout_refuses_prices_that_do_not_go(api, checkout, price):
    archived = price(2900)
    api.v1.prices.update(archived.id, {"active": False})

    for refused_price, mode, told in [
        (archived, "subscription", "inactive"),
        (price(2900), "payment", "recurring price"),
        (price(900, interval=None), "subscription", "at least one recurring price"),
    ]:
        with pytest.raises(stripe.InvalidRequestError, match=told):
            checkout(refused_price, mode=mode)


def test_checkout_wants_an_address_to_return_to(api, customer, price):
    wanted = {"mode": "subscription", "line_items": [{"price": price(2900).id, "quantity": 1}]}

    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.v1.checkout.sessions.create(wanted)

    assert (refused.value.code, refused.value.param) == ("parameter_missing", "success_url")


def test_a_price_keeps_its_amount_and_its_lookup_key_is_its_own(api, price):
    first = price(2900, lookup_key="pro")

    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: unit_amount"):
        api.v1.prices.update(first.id, {"unit_amount": 3900})
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        price(3900, lookup_key="pro")
    second = price(3900, lookup_key="pro", transfer_lookup_key=True)

    found = api.v1.prices.list({"lookup_keys": ["pro"]}).data
    assert [each.id for each in found] == [second.id]


# once


def test_a_session_is_completed_or_expired_once(api, checkout, price, stripe_server):
    session = checkout(price(2900))

    stripe_server.complete(session.id)

    assert api.v1.checkout.sessions.retrieve(session.id).status == "complete"
    with pytest.raises(stripe.InvalidRequestError, match="complete"):
        api.v1.checkout.sessions.expire(session.id)


def test_a_declined_card_leaves_the_session_open_and_no_subscription(api, checkout, price, stripe_server):
    session = checkout(price(2900))

    stripe_server.complete(session.id, payment="declined")

    assert api.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert api.v1.subscriptions.list({"status": "all"}).data == []


def test_a_key_replays_its_answer_and_refuses_other_parameters(api, stripe_server):
    options = {"idempotency_key": "k1"}
    first = api.v1.customers.create({"email": "ann@example.com"}, options)

    second = api.v1.customers.create({"email": "ann@example.com"}, options)
    with pytest.raises(stripe.IdempotencyError) as refused:
        api.v1.customers.create({"email": "ben@example.com"}, options)

    assert second.id == first.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert refused.value.http_status == 400
    assert list(stripe_server.customers) == [first.id]


def test_a_500_is_replayed_too_and_parameters_that_failed_are_not(api, stripe_server):
    options = {"idempotency_key": "k1"}
    stripe_server.answer_next(500)

    for _ in range(2):
        with pytest.raises(stripe.APIError):
            api.v1.customers.create({}, options)
    with pytest.raises(stripe.InvalidRequestError):
        api.v1.customers.create({"balance": "abc"}, {"idempotency_key": "k2"})
    made = api.v1.customers.create({"balance": 1}, {"idempotency_key": "k2"})

    assert list(stripe_server.customers) == [made.id]


def test_a_key_at_work_is_refused_elsewhere(api, stripe_server):
    stripe_server.slow(60)
    first = threading.Thread(target=api.v1.customers.create, args=({}, {"idempotency_key": "k1"}))
    first.start()
    while not stripe_server.requests:
        time.sleep(0.001)

    with pytest.raises(stripe.StripeError) as refused:
        api.v1.customers.create({}, {"idempotency_key": "k1"})

    stripe_server.slow(0)
    first.join(5)
    assert refused.value.http_status == 409
    assert refused.value.json_body["error"]["code"] == "idempotency_key_in_use"
    assert len(stripe_server.customers) == 1


def test_an_answer_that_is_lost_was_an_act_all_the_same(stripe_server):
    retrying = stripe.StripeClient(
        stripe_server.secret_key, base_addresses={"api": stripe_server.url}, max_network_retries=1
    )
    stripe_server.lose_next_answer()

    made = retrying.v1.customers.create({})

    assert list(stripe_server.customers) == [made.id]
    assert len(stripe_server.requests) == 2


def test_down_refuses_connections_and_up_keeps_what_was(api, customer, stripe_server):
    stripe_server.down()
    with pytest.raises(stripe.APIConnectionError):
        api.v1.customers.retrieve(customer.id)
    stripe_server.up()

    assert api.v1.customers.retrieve(customer.id).email == "ann@example.com"


# lists


def test_lists_are_paged_newest_first_and_expand_what_is_asked(api, customer, price, subscribe):
    offer = price(2900)
    made = [subscribe(offer).id for _ in range(3)]

    first = api.v1.subscriptions.list({"limit": 2, "expand": ["data.latest_invoice", "data.customer"]})
    rest = api.v1.subscriptions.list({"limit": 2, "starting_after": first.data[-1].id})
    walked = [each.id for each in api.v1.subscriptions.list({"limit": 1}).auto_paging_iter()]

    assert [each.id for each in first.data] == [made[2], made[1]]
    assert (first.has_more, rest.has_more) == (True, False)
    assert [each.id for each in rest.data] == [made[0]]
    assert walked == made[::-1]
    assert first.data[0].latest_invoice.amount_paid == 2900
    assert first.data[0].customer.email == "ann@example.com"
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        api.v1.subscriptions.list({"expand": ["data.metadata.a"]})


# a life


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


# events and time


def test_events_are_signed_for_the_endpoint(api, customer, stripe_server):
    body, header = stripe_server.signed(stripe_server.events[-1])

    event = stripe.Webhook.construct_event(body, header, stripe_server.webhook_secret)

    assert (event.type, event.data.object.id, event.api_version) == ("customer.created", customer.id, API_VERSION)
    for other in (
        stripe_server.signed(stripe_server.events[-1], secret="whsec_other"),
        stripe_server.signed(stripe_server.events[-1], timestamp=int(time.time()) - 301),
    ):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(*other, stripe_server.webhook_secret)


def test_an_update_tells_what_was_before(api, customer, stripe_server):
    api.v1.customers.update(customer.id, {"name": "Ann"})

    assert stripe_server.events[-1]["data"]["previous_attributes"] == {"name": None}
    assert [each.id for each in api.v1.events.list({"type": "customer.updated"}).data] == [
        stripe_server.events[-1]["id"]
    ]


def test_the_clock_only_goes_on_and_events_keep_its_order(api, customer, price, subscribe, stripe_server):
    subscribe(price(2900))
    stripe_server.decline(customer.id)
    stripe_server.advance(days=400)

    moments = [event["created"] for event in stripe_server.events]
    assert moments == sorted(moments)
    with pytest.raises(ValueError, match="only goes on"):
        stripe_server.advance(seconds=-1)


def test_each_test_begins_with_an_empty_account(stripe_server):
    assert (stripe_server.customers, stripe_server.events, stripe_server.requests) == ({}, [], [])
    with socket.create_connection(("127.0.0.1", int(stripe_server.url.rsplit(":", 1)[1]))):
        pass


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
