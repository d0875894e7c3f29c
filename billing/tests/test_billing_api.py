"""Who may buy, what a workspace is told of its plan, and what there is without Stripe."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from billing.models import BillingAccount, Plan, Subscription
from billing.tests.selling import make_account, sell, subscribe

pytestmark = pytest.mark.django_db

SUBSCRIPTION = "/api/v1/subscription"
ACTS = {
    "checkout": {"plan": "starter"},
    "portal": {},
    "preview": {"plan": "pro"},
    "change": {"plan": "pro"},
    "cancel": {},
    "resume": {},
    "top-up": {"pack": "leads-100"},
}


def act(client, name):
    return client.post(f"/api/v1/billing/{name}", ACTS[name])


def given(member, code="pro", **fields):
    return Subscription.objects.create(workspace=member.workspace, plan=Plan.objects.get(code=code), **fields)


def test_who_has_nothing_is_told_of_the_free_plan(api):
    assert api.get(SUBSCRIPTION).json() == {
        "plan": "free",
        "name": "Free",
        "status": "none",
        "interval": None,
        "seats": {"included": 5, "bought": None, "used": 1},
        "period_end": None,
        "trial_end": None,
        "cancel_at": None,
        "pending": None,
        "overdue_since": None,
        "grace_until": None,
        "billing": "off",
    }


def test_a_plan_given_by_the_operator_needs_no_stripe(api, member, stranger):
    given(member, seats=30)
    given(stranger, "business")

    told = api.get(SUBSCRIPTION).json()

    assert (told["plan"], told["status"], told["billing"]) == ("pro", "given", "off")
    assert told["seats"] == {"included": 25, "bought": 30, "used": 1}


def test_an_unpaid_plan_says_until_when_it_is_kept(api, member, settings):
    settings.BILLING_GRACE = timedelta(days=7)
    since = datetime(2026, 11, 1, tzinfo=UTC)
    row = given(member, stripe_id="sub_1", status="past_due", overdue_since=timezone.now())
    kept = api.get(SUBSCRIPTION).json()["plan"]
    Subscription.objects.filter(pk=row.pk).update(overdue_since=since)

    told = api.get(SUBSCRIPTION).json()

    assert kept == "pro"
    assert (told["plan"], told["status"]) == ("free", "past_due")
    assert (told["overdue_since"], told["grace_until"]) == ("2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z")


@pytest.mark.parametrize("role", Role.values)
def test_every_member_reads_what_there_is(role, member, client_of):
    assert client_of(make_member(role, member.workspace)).get(SUBSCRIPTION).status_code == 200


def test_what_there_is_costs_the_same_for_one_member_and_for_three(api, member, django_assert_num_queries):
    given(member)
    for _ in range(2):
        with django_assert_num_queries(6):
            api.get(SUBSCRIPTION)
        make_member(Role.AGENT, member.workspace)


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("role", [Role.MANAGER, Role.AGENT])
def test_only_admins_buy_and_change(role, name, stripe_server, member, client_of):
    answer = act(client_of(make_member(role, member.workspace)), name)

    assert (answer.status_code, answer.json()["error"]) == (403, "permission_denied")
    assert stripe_server.requests == []


@pytest.mark.parametrize("name", ACTS)
def test_strangers_do_not(name, stripe_server, anonymous):
    assert act(anonymous, name).status_code == 401
    assert anonymous.get(SUBSCRIPTION).status_code == 401


@pytest.mark.parametrize("name", ACTS)
def test_without_a_key_the_setting_is_named_and_the_idempotency_key_stays_free(name, api):
    answers = [
        api.post(f"/api/v1/billing/{name}", ACTS[name], HTTP_IDEMPOTENCY_KEY="k1", HTTP_ACCEPT_LANGUAGE="en")
        for _ in range(2)
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")
        assert answer.json()["message"] == "This needs the setting STRIPE_SECRET_KEY, which is not set up."
    assert answers[1].get("Idempotent-Replayed") is None


@pytest.mark.parametrize("name", ["change", "cancel", "preview", "resume"])
def test_another_workspaces_subscription_is_out_of_reach(name, stripe_server, api, stranger):
    starter = sell("starter")
    sell("pro")
    theirs = make_account(stranger.workspace)
    id = subscribe(stripe_server, theirs, starter.stripe_price_id)

    answer = act(api, name)

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert stripe_server.subscriptions[id]["items"]["data"][0]["price"]["id"] == starter.stripe_price_id
    assert stripe_server.subscriptions[id]["cancel_at"] is None
    assert BillingAccount.objects.get().workspace == stranger.workspace
