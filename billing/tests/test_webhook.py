"""Stripe's events: who may bring them, and that they are kept once."""

import json
import time
from datetime import UTC, datetime

import pytest
import stripe
from rest_framework.test import APIClient

from billing.models import StripeEvent
from billing.tests.events import PATH, Status, event_of, jobs, post

pytestmark = pytest.mark.django_db


def test_an_event_is_kept_and_a_job_queued_for_its_customer(stripe_server, bought, account, anonymous):
    event = event_of(stripe_server, "customer.subscription.created")

    answer = stripe_server.deliver(anonymous, [event])[0]

    kept = StripeEvent.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert (kept.event_id, kept.type, kept.customer_id) == (event["id"], event["type"], account.customer_id)
    assert (kept.payload, kept.status, kept.attempts) == (event, Status.RECEIVED, 0)
    assert kept.sent_at == datetime.fromtimestamp(event["created"], UTC)
    assert list(jobs().values_list("args", "lock")) == [({"event_pk": kept.pk}, f"stripe:{account.customer_id}")]


def test_an_event_costs_the_same_few_queries_and_a_repeated_one_a_single_look(
    stripe_server, bought, anonymous, django_assert_num_queries
):
    event = event_of(stripe_server, "customer.subscription.created")

    # a look, the event, the job; two savepoints, each set and released
    with django_assert_num_queries(7):
        stripe_server.deliver(anonymous, [event])
    with django_assert_num_queries(3):
        stripe_server.deliver(anonymous, [event])


@pytest.mark.parametrize(
    "type", ["customer.created", "invoice.finalized", "charge.succeeded", "something.of.next.year"]
)
def test_a_type_that_tells_us_nothing_is_kept_and_left_alone(type, stripe_server, bought, anonymous):
    event = event_of(stripe_server, "customer.subscription.created") | {"type": type}

    answer = stripe_server.deliver(anonymous, [event])[0]

    assert answer.status_code == 200
    assert StripeEvent.objects.get().status == Status.IGNORED
    assert not jobs().exists()


def forgeries(server, event):
    body, header = server.signed(event)
    now = int(time.time())
    sign = stripe.WebhookSignature.generate_signature_header
    return {
        "no signature": (body, ""),
        "another secret": server.signed(event, secret="whsec_other"),
        "another body": (body.replace(b"starter", b"business") + b" ", header),
        "too old": server.signed(event, timestamp=now - 301),
        "a newer time by the old signature": (body, header.replace(str(now), str(now + 1))),
        "no time": (body, header.partition(",")[2]),
        "no number": (body, "t=soon," + header.partition(",")[2]),
        "a huge number": (body, "t=" + "9" * 5000 + "," + header.partition(",")[2]),
        "another scheme": (body, header.replace("v1=", "v0=")),
        "the empty secret": (body, sign(body.decode(), " ")),
        "no ascii": (body, "t=1,v1=ä"),
        "no text": (b"\xff\xfe", header),
        "rubbish": (body, ",,=,="),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "no signature", "another secret", "another body", "too old", "a newer time by the old signature", "no time", "no number",
        "a huge number", "another scheme", "the empty secret", "no ascii", "no text", "rubbish",
    ],
)  # fmt: skip
def test_what_stripe_did_not_sign_lately_is_refused_and_not_kept(kind, stripe_server, bought):
    body, header = forgeries(stripe_server, event_of(stripe_server, "customer.subscription.created"))[kind]

    answer = post(body, header)

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_signature"
    assert not StripeEvent.objects.exists()


def test_while_one_secret_takes_anothers_place_both_count(stripe_server, bought, settings):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", stripe_server.webhook_secret]
    events = stripe_server.events[:2]

    answers = [
        post(*stripe_server.signed(event, secret=secret))
        for event, secret in zip(events, settings.STRIPE_WEBHOOK_SECRETS, strict=True)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [("STRIPE_SECRET_KEY", "", "STRIPE_SECRET_KEY"), ("STRIPE_WEBHOOK_SECRETS", [], "STRIPE_WEBHOOK_SECRET")],
)
def test_without_its_settings_it_says_which_is_missing(
    setting, value, named, stripe_server, bought, settings, anonymous
):
    setattr(settings, setting, value)

    answer = stripe_server.deliver(anonymous, stripe_server.events[:1])[0]

    assert (answer.status_code, answer.json()["error"], answer.json()["setting"]) == (503, "not_configured", named)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post_is_taken(method, anonymous):
    answer = getattr(anonymous, method)(PATH)

    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")


def test_a_browsers_cookie_and_a_token_are_no_hindrance(stripe_server, bought, member, client_of):
    signed_in = client_of(member)
    strict = APIClient(enforce_csrf_checks=True)
    strict.force_login(member.user, backend="accounts.backends.EmailOrUsername")
    stale = APIClient(raise_request_exception=False)
    stale.credentials(HTTP_AUTHORIZATION="Bearer of-old")

    answers = [
        post(*stripe_server.signed(event), client)
        for event, client in zip(stripe_server.events, [signed_in, strict, stale], strict=False)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "null", "1", '"x"', "{}", "{", "[" * 100_000, "NaN", '{"id": 1}',
        '{"id": "evt_1", "type": "x", "created": 1, "data": {"object": []}}',
        '{"id": "evt_1", "type": "x", "created": "now", "data": {"object": {}}}',
        '{"id": "evt_1", "type": "x", "created": 1e300, "data": {"object": {}}}',
        '{"id": "evt_1", "type": "x", "created": 99999999999999, "data": {"object": {}}}',
        '{"id": "evt_1", "type": ["x"], "created": 1, "data": {"object": {}}}',
        '{"id": "", "type": "x", "created": 1, "data": {"object": {}}}',
        '{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"customer": 7}}}',
        '{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"customer": {}, "object": "customer"}}}',
        json.dumps({"id": "e" * 3000, "type": "x", "created": 1, "data": {"object": {}}}),
    ],
)  # fmt: skip
def test_what_is_signed_and_yet_no_event_is_malformed(body, stripe_server):
    header = stripe.WebhookSignature.generate_signature_header(body, stripe_server.webhook_secret)

    answer = post(body.encode(), header)

    assert (answer.status_code, answer.json()["error"]) == (400, "malformed_request")


def test_a_text_that_the_database_can_not_hold_is_kept_without_the_offending_character(stripe_server):
    body = '{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"na\\u0000me": ["Zo\\u0000e", 123456789012345678901234567890]}}}'
    header = stripe.WebhookSignature.generate_signature_header(body, stripe_server.webhook_secret)

    answer = post(body.encode(), header)

    assert answer.status_code == 200
    assert StripeEvent.objects.get().payload["data"]["object"]["name"][0] == "Zoe"


def test_a_body_beyond_the_limit_is_too_large(stripe_server, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = "{" + " " * 1000 + "}"

    answer = post(body.encode(), stripe.WebhookSignature.generate_signature_header(body, stripe_server.webhook_secret))

    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
