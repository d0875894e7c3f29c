"""The stand-in for Stripe signs and tells the time as Stripe does."""

import socket
import time

import pytest
import stripe

from billing.tests.stripe_server.world import API_VERSION


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
