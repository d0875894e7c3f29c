"""The stand-in for Stripe refuses, replays and lists as Stripe does."""

import threading
import time

import pytest
import stripe

from billing.tests.stripe_server.world import API_VERSION


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
