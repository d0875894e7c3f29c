"""Stripe's events: who may bring them, kept once, and worked off by reading Stripe anew."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
import stripe
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient

from accounts.tests.factories import make_workspace
from billing import entitlements, webhooks
from billing.models import BillingAccount, StripeEvent, Subscription, TopUp
from billing.stripe_gateway.client import client as stripe_client
from billing.tests.selling import begin_checkout, buy_pack, make_account, plan, price_in_stripe, sell, subscribe
from zevix.errors import Unreachable

pytestmark = pytest.mark.django_db

PATH = "/api/billing/webhook"
Status = StripeEvent.Status


@pytest.fixture
def account(stripe_server):
    return make_account(make_workspace())


@pytest.fixture
def bought(stripe_server, account):
    """A subscription that the customer paid for, and whose events did not come yet."""
    return subscribe(stripe_server, account, sell("starter").stripe_price_id)


def event_of(stripe_server, type, **thing):
    """The last of this type that Stripe made, with other content where that is given."""
    found = next(event for event in stripe_server.events if event["type"] == type)
    return found | {"data": {"object": found["data"]["object"] | thing}}


def post(body, header, client=None):
    return (client or APIClient(raise_request_exception=False)).generic(
        "POST", PATH, body, content_type="application/json", HTTP_STRIPE_SIGNATURE=header
    )


def work_off(event=None):
    for waiting in StripeEvent.objects.filter(status=Status.RECEIVED).order_by("pk") if event is None else [event]:
        webhooks.process(waiting)


def jobs():
    return ProcrastinateJob.objects.filter(task_name="billing.jobs.process_event")


def code_of(account):
    return entitlements.plan_of(account.workspace).code


# Who may bring them


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


# What they lead to


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


def in_a_thread(act):
    try:
        return act()
    finally:
        connection.close()


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


# stripe_replay


def replay(capsys, *arguments):
    """What it printed, what it complained of, and how it exited."""
    code = 0
    try:
        call_command("stripe_replay", *arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return said.out.splitlines(), said.err.splitlines(), code


@pytest.fixture
def failed(stripe_server, account, anonymous):
    """Events that failed for an unknown price; which is known by now."""
    unknown = price_in_stripe()
    subscribe(stripe_server, account, unknown)
    stripe_server.deliver(anonymous)
    work_off()
    plan("pro").prices.filter(interval="month").update(stripe_price_id=unknown)
    return list(StripeEvent.objects.failed())


def test_failed_events_are_worked_off_again(failed, account, capsys):
    out, err, code = replay(capsys)

    assert (out, err, code) == ([f"{len(failed)} events worked off again, 0 failed"], [], 0)
    assert not StripeEvent.objects.failed().exists()
    assert code_of(account) == "pro"


def test_named_events_are_worked_off_whatever_became_of_them(failed, capsys):
    ids = [failed[0].event_id, StripeEvent.objects.exclude(status=Status.FAILED)[0].event_id]

    out, _err, code = replay(capsys, *ids)

    assert (out, code) == (["2 events worked off again, 0 failed"], 0)
    assert StripeEvent.objects.failed().count() == len(failed) - 1


def test_those_that_fail_again_are_told_and_count(failed, capsys):
    plan("pro").prices.update(stripe_price_id="")

    out, err, code = replay(capsys, "--failed")

    assert out == [f"{len(failed)} events worked off again, {len(failed)} failed"]
    said = "Stripe charges by the price"
    assert sorted(line[: line.index(said)] for line in err) == sorted(f"{one.event_id} {one.type}: " for one in failed)
    assert code == 1


def test_only_those_since_a_day(failed, capsys):
    out, _err, code = replay(capsys, "--failed", "--since", "2999-01-01")

    assert (out, code) == (["0 events worked off again, 0 failed"], 0)


def test_those_that_never_came_are_fetched_from_stripe(stripe_server, bought, account, capsys, anonymous):
    stripe_server.deliver(anonymous, stripe_server.events[:1])

    first, _err, code = replay(capsys, "--missing")
    again, _err, _code = replay(capsys, "--missing")

    assert StripeEvent.objects.count() == len(stripe_server.events)
    assert (first, code) == ([f"{len(stripe_server.events) - 1} events worked off again, 0 failed"], 0)
    assert again == ["0 events worked off again, 0 failed"]
    assert code_of(account) == "starter"


def test_an_event_that_is_not_there_is_named():
    with pytest.raises(CommandError, match="There are no such events: evt_none"):
        call_command("stripe_replay", "evt_none")


@pytest.mark.parametrize("since", ["soon", "2026-13-45", "2026-02-30T25:00"])
def test_a_day_that_is_none_is_refused(since):
    with pytest.raises(CommandError, match="A date or a time"):
        call_command("stripe_replay", "--since", since)


# In the admin


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_costs_the_same_with_one_row_and_with_three(
    number, stripe_server, bought, anonymous, operator, in_admin, django_assert_num_queries
):
    stripe_server.deliver(anonymous, stripe_server.events[:number])
    browser = in_admin(operator)
    browser.get("/admin/")

    with django_assert_num_queries(4):
        page = browser.get(reverse("admin:billing_stripeevent_changelist"))

    assert page.context["cl"].result_count == number


def test_an_event_shows_its_content(stripe_server, bought, anonymous, operator, in_admin):
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created", description="<b>")])

    page = in_admin(operator).get(reverse("admin:billing_stripeevent_change", args=[StripeEvent.objects.get().pk]))

    assert "&quot;description&quot;: &quot;&lt;b&gt;&quot;" in page.content.decode()
