"""Changing what was bought: more at once, less when the paid time is over."""

from datetime import UTC, datetime

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from billing import entitlements
from billing.converging import syncing
from billing.models import BillingAccount, Plan, Price
from billing.stripe_gateway.client import client
from billing.tests.selling import begin_checkout, make_account, price_in_stripe, sell, subscribe
from billing.tests.watching import asking_within_transactions

pytestmark = pytest.mark.django_db

BILLING = "/api/v1/billing"


@pytest.fixture
def prices(stripe_server):
    return {(code, interval): sell(code, interval) for code in ("starter", "pro") for interval in ("month", "year")}


@pytest.fixture
def account(prices, member):
    return make_account(member.workspace)


@pytest.fixture
def on_starter(stripe_server, account, prices):
    """The id of the subscription of a customer who pays for starter, monthly."""
    return having(stripe_server, account, prices["starter", "month"])


def having(stripe_server, account, price, **fields):
    id = subscribe(stripe_server, account, price.stripe_price_id, **fields)
    syncing.sync(account)
    return id


def change(api, plan, **fields):
    return api.post(f"{BILLING}/change", {"plan": plan, **fields})


def preview(api, plan, **fields):
    return api.post(f"{BILLING}/preview", {"plan": plan, **fields})


def act(api, name):
    return api.post(f"{BILLING}/{name}")


def said(answer):
    body = answer.json()
    return answer.status_code, body.get("fields") or body.get("error")


def at_stripe(stripe_server, id):
    """The price and the quantity that Stripe charges by."""
    [item] = stripe_server.subscriptions[id]["items"]["data"]
    return item["price"]["id"], item["quantity"]


def period_end(stripe_server, id):
    return stripe_server.subscriptions[id]["items"]["data"][0]["current_period_end"]


def written(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def until_next_period(stripe_server, id, account):
    stripe_server.advance(to=period_end(stripe_server, id) + 60)
    syncing.sync(account)


# More -----------------------------------------------------------------------------------------------------------------------


def test_more_leads_come_at_once_and_the_difference_is_paid_at_once(on_starter, account, prices, api, stripe_server):
    stripe_server.advance(days=15)

    answer = change(api, "pro")

    assert answer.status_code == 200
    assert (answer.json()["plan"], answer.json()["status"], answer.json()["pending"]) == ("pro", "active", None)
    assert entitlements.plan_of(account.workspace).code == "pro"
    assert at_stripe(stripe_server, on_starter) == (prices["pro", "month"].stripe_price_id, 1)
    [_first, difference] = stripe_server.invoices.values()
    assert difference["status"] == "paid"
    assert 3000 < difference["total"] < 4000  # half a month of $99 less half a month of $29


def test_what_a_change_costs_is_known_beforehand(on_starter, api, stripe_server):
    stripe_server.advance(days=15)

    shown = preview(api, "pro").json()
    change(api, "pro")

    assert shown["when"] == "now"
    assert (shown["currency"], shown["next_amount"]) == ("usd", 9900)
    assert shown["amount_due"] == sum(line["amount"] for line in shown["lines"])
    assert shown["amount_due"] == pytest.approx(list(stripe_server.invoices.values())[-1]["total"], abs=5)


def test_a_preview_changes_nothing(on_starter, prices, api, stripe_server):
    for plan, interval in (("pro", "month"), ("starter", "year"), ("starter", "month")):
        assert preview(api, plan, interval=interval).status_code == 200

    assert at_stripe(stripe_server, on_starter) == (prices["starter", "month"].stripe_price_id, 1)
    assert len(stripe_server.invoices) == 1


def test_from_months_to_years_is_at_once(on_starter, prices, api, stripe_server):
    shown = preview(api, "starter", interval="year").json()

    answer = change(api, "starter", interval="year")

    assert (shown["when"], shown["next_amount"]) == ("now", 29000)
    assert (answer.json()["interval"], answer.json()["plan"]) == ("year", "starter")
    assert at_stripe(stripe_server, on_starter) == (prices["starter", "year"].stripe_price_id, 1)


def test_a_declined_card_changes_nothing(on_starter, account, prices, api, stripe_server):
    stripe_server.decline(account.customer_id)

    answer = change(api, "pro")

    assert said(answer) == (402, "payment_failed")
    assert answer.json()["message"].startswith("The payment failed, and nothing was changed: ")
    assert at_stripe(stripe_server, on_starter) == (prices["starter", "month"].stripe_price_id, 1)
    assert entitlements.plan_of(account.workspace).code == "starter"


def test_a_declined_card_leaves_what_was_to_come(account, prices, api, stripe_server):
    having(stripe_server, account, prices["starter", "year"])
    change(api, "starter", interval="month")
    stripe_server.decline(account.customer_id)

    refused = change(api, "pro", interval="year")

    assert refused.status_code == 402
    assert api.get("/api/v1/subscription").json()["pending"]["interval"] == "month"
    assert syncing.sync(account).pending_interval == "month"


def test_in_a_trial_everything_is_at_once_and_free(account, prices, api, stripe_server):
    having(stripe_server, account, prices["pro", "month"], subscription_data={"trial_period_days": 14})

    shown, answer = preview(api, "starter").json(), change(api, "starter")

    assert (shown["when"], shown["amount_due"]) == ("now", 0)
    assert (answer.json()["plan"], answer.json()["status"]) == ("starter", "trialing")


# Less -----------------------------------------------------------------------------------------------------------------------


def test_less_comes_when_the_paid_time_is_over(account, prices, api, stripe_server):
    id = having(stripe_server, account, prices["pro", "month"])
    end = written(period_end(stripe_server, id))

    shown, answer = preview(api, "starter").json(), change(api, "starter")

    assert shown == {
        "when": "period_end",
        "at": end,
        "amount_due": 0,
        "currency": "usd",
        "lines": [],
        "next_amount": 2900,
    }
    assert (answer.status_code, answer.json()["plan"]) == (200, "pro")
    assert answer.json()["pending"] == {"plan": "starter", "interval": "month", "at": end}
    until_next_period(stripe_server, id, account)
    assert entitlements.plan_of(account.workspace).code == "starter"
    assert list(stripe_server.invoices.values())[-1]["total"] == 2900


def test_after_less_has_come_there_can_be_more_and_less_again(account, prices, api, stripe_server):
    id = having(stripe_server, account, prices["pro", "month"])
    change(api, "starter")
    until_next_period(stripe_server, id, account)

    more = change(api, "pro").json()
    less = change(api, "starter").json()

    assert (more["plan"], more["pending"]) == ("pro", None)
    assert (less["plan"], less["pending"]["plan"]) == ("pro", "starter")


def test_another_less_takes_the_place_of_the_first(account, prices, api, stripe_server):
    sell("business")
    id = having(stripe_server, account, Price.objects.get(plan__code="business", interval="month"))
    change(api, "pro")

    answer = change(api, "starter")

    assert answer.json()["pending"]["plan"] == "starter"
    until_next_period(stripe_server, id, account)
    assert entitlements.plan_of(account.workspace).code == "starter"


@pytest.mark.parametrize("before", ["less", "cancel"])
def test_the_present_plan_takes_back_what_was_to_come(before, account, prices, api, stripe_server):
    id = having(stripe_server, account, prices["pro", "month"])
    change(api, "starter") if before == "less" else act(api, "cancel")

    answer = change(api, "pro")

    assert (answer.json()["plan"], answer.json()["pending"], answer.json()["cancel_at"]) == ("pro", None, None)
    until_next_period(stripe_server, id, account)
    assert entitlements.plan_of(account.workspace).code == "pro"
    assert len(stripe_server.invoices) == 2


def test_more_takes_back_less(account, prices, api, stripe_server):
    sell("business")
    id = having(stripe_server, account, prices["pro", "month"])
    change(api, "starter")

    answer = change(api, "business")

    assert (answer.json()["plan"], answer.json()["pending"]) == ("business", None)
    until_next_period(stripe_server, id, account)
    assert entitlements.plan_of(account.workspace).code == "business"


def test_less_takes_back_the_end(account, prices, api, stripe_server):
    id = having(stripe_server, account, prices["pro", "month"])
    act(api, "cancel")

    answer = change(api, "starter")

    assert (answer.json()["cancel_at"], answer.json()["pending"]["plan"]) == (None, "starter")
    until_next_period(stripe_server, id, account)
    assert entitlements.plan_of(account.workspace).code == "starter"


def test_who_pays_a_former_price_keeps_it(on_starter, account, prices, api, stripe_server):
    former = prices["starter", "month"]
    Price.objects.filter(pk=former.pk).update(is_current=False)
    Price.objects.create(plan=former.plan, interval="month", amount=9, stripe_price_id=price_in_stripe(9))
    act(api, "cancel")

    answer = change(api, "starter")

    assert answer.json()["cancel_at"] is None
    assert at_stripe(stripe_server, on_starter) == (former.stripe_price_id, 1)


# Seats ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_seats(stripe_server, member):
    """The id of a subscription of starter with 12 seats; further ones cost $5."""
    Price.objects.update(extra_seat_amount=500)
    for code in ("starter", "pro"):
        sell(code)
    account = make_account(member.workspace)
    starter = Price.objects.get(plan__code="starter", interval="month")
    session = begin_checkout(
        account.customer_id, starter.stripe_price_id, line_items=[{"price": starter.stripe_price_id, "quantity": 12}]
    )
    id = stripe_server.complete(session)["subscription"]
    syncing.sync(account)
    return id


def test_more_seats_come_at_once(with_seats, api, stripe_server):
    answer = change(api, "starter", seats=15)

    assert answer.json()["seats"] == {"included": 10, "bought": 15, "used": 1}
    assert at_stripe(stripe_server, with_seats)[1] == 15


def test_fewer_seats_come_when_the_paid_time_is_over(with_seats, member, api, stripe_server):
    answer = change(api, "starter", seats=11)

    assert answer.json()["seats"]["bought"] == 12
    assert answer.json()["pending"]["plan"] == "starter"
    until_next_period(stripe_server, with_seats, BillingAccount.objects.get())
    assert entitlements.seats_of(member.workspace) == 11


def test_seats_that_are_not_named_stay(with_seats, api, stripe_server):
    act(api, "cancel")

    assert change(api, "starter").json()["cancel_at"] is None
    assert at_stripe(stripe_server, with_seats)[1] == 12


def test_another_plan_brings_its_own_seats(with_seats, api, stripe_server):
    answer = change(api, "pro")

    assert answer.json()["seats"] == {"included": 25, "bought": None, "used": 1}
    assert at_stripe(stripe_server, with_seats)[1] == 25


@pytest.mark.parametrize("name", ["change", "preview"])
def test_fewer_seats_than_members_are_refused_with_the_numbers(name, with_seats, member, api, stripe_server):
    for _ in range(11):
        make_member(Role.AGENT, member.workspace)

    answer = api.post(f"{BILLING}/{name}", {"plan": "starter", "seats": 11})

    assert said(answer) == (409, "seat_limit_reached")
    assert (answer.json()["members"], answer.json()["limit"]) == (12, 11)
    assert stripe_server.schedules == {}


# The end --------------------------------------------------------------------------------------------------------------------


def test_who_cancels_keeps_the_plan_until_the_end_and_then_has_the_free_one(on_starter, account, api, stripe_server):
    answer = act(api, "cancel")

    assert answer.json()["cancel_at"] == written(period_end(stripe_server, on_starter))
    assert answer.json()["plan"] == "starter"
    until_next_period(stripe_server, on_starter, account)
    over = api.get("/api/v1/subscription").json()
    assert (over["plan"], over["status"]) == ("free", "canceled")


def test_who_resumes_goes_on(on_starter, account, api, stripe_server):
    act(api, "cancel")

    answer = act(api, "resume")

    assert answer.json()["cancel_at"] is None
    until_next_period(stripe_server, on_starter, account)
    assert entitlements.plan_of(account.workspace).code == "starter"


def test_what_was_cancelled_in_the_portal_is_resumed_here(on_starter, account, api, stripe_server):
    stripe_server.cancel_in_portal(on_starter)

    answer = act(api, "resume")

    assert answer.json()["cancel_at"] is None
    until_next_period(stripe_server, on_starter, account)
    assert entitlements.plan_of(account.workspace).code == "starter"


def test_who_cancels_forgets_less(account, prices, api, stripe_server):
    id = having(stripe_server, account, prices["pro", "month"])
    change(api, "starter")

    answer = act(api, "cancel")

    assert (answer.json()["pending"], answer.json()["plan"]) == (None, "pro")
    until_next_period(stripe_server, id, account)
    assert entitlements.plan_of(account.workspace).code == "free"


@pytest.mark.parametrize("name", ["cancel", "resume"])
def test_twice_is_as_good_as_once(name, on_starter, api):
    answers = [act(api, name), act(api, name)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


# Where nothing can be changed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["change", "preview", "cancel", "resume"])
@pytest.mark.parametrize("before", ["never", "page only", "over", "customer deleted", "given by hand"])
def test_without_a_live_subscription_there_is_nothing_to_change(before, name, prices, member, api, stripe_server):
    if before not in ("never", "given by hand"):
        account = make_account(member.workspace)
    if before in ("over", "customer deleted"):
        id = having(stripe_server, account, prices["starter", "month"])
        stripe_server.cancel_now(id) if before == "over" else stripe_server.delete_customer(account.customer_id)
    if before == "given by hand":
        member.workspace.subscription = None
        Plan.objects.get(code="pro").subscriptions.create(workspace=member.workspace)

    answer = api.post(f"{BILLING}/{name}", {"plan": "pro"} if name in ("change", "preview") else {})

    assert said(answer) == (409, "conflict")
    assert answer.json()["message"] == "There is no subscription to change; buy a plan first."
    plan = entitlements.plan_of(member.workspace).code
    assert plan == ("pro" if before == "given by hand" else "free")


def test_a_price_that_no_plan_has_is_not_changed(account, api, stripe_server):
    unknown = price_in_stripe(1234)
    subscribe(stripe_server, account, unknown)

    answer = change(api, "pro")

    assert said(answer) == (409, "conflict")
    assert unknown in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"plan": "free"}, "plan"),
        ({"plan": "gold"}, "plan"),
        ({}, "plan"),
        ({"plan": "pro", "interval": "day"}, "interval"),
        ({"plan": "pro", "seats": "many"}, "seats"),
        ({"plan": "pro", "coupon": "X"}, "coupon"),
    ],
)
@pytest.mark.parametrize("name", ["change", "preview"])
def test_what_can_not_be_is_refused_at_the_field(name, body, field, on_starter, api):
    status, fields = said(api.post(f"{BILLING}/{name}", body))

    assert (status, list(fields)) == (400, [field])


@pytest.mark.parametrize("name", ["cancel", "resume"])
def test_acts_without_a_body_take_none(name, on_starter, api):
    status, fields = said(api.post(f"{BILLING}/{name}", {"at": "once"}))

    assert (status, list(fields)) == (400, ["at"])


# Repeating, at the same time, and while Stripe fails --------------------------------------------------------------------------


def test_a_lost_answer_charges_once(on_starter, prices, api, stripe_server):
    api.get("/api/v1/subscription")
    stripe_server.lose_next_answer()

    answer = change(api, "pro")

    assert (answer.status_code, answer.json()["plan"]) == (200, "pro")
    assert len(stripe_server.invoices) == 2


def test_a_stripe_that_is_down_changes_nothing_and_the_same_key_goes_on_later(on_starter, api, stripe_server):
    stripe_server.down()
    down = api.post(f"{BILLING}/change", {"plan": "pro"}, HTTP_IDEMPOTENCY_KEY="k1")
    stripe_server.up()

    again = api.post(f"{BILLING}/change", {"plan": "pro"}, HTTP_IDEMPOTENCY_KEY="k1")
    replayed = api.post(f"{BILLING}/change", {"plan": "pro"}, HTTP_IDEMPOTENCY_KEY="k1")

    assert said(down) == (502, "upstream_error")
    assert (again.status_code, again.json()["plan"]) == (200, "pro")
    assert (replayed.json(), replayed["Idempotent-Replayed"]) == (again.json(), "true")
    assert len(stripe_server.invoices) == 2


@pytest.mark.django_db(transaction=True)
def test_double_clicks_charge_once(stripe_server, client_of):
    starter, _pro = sell("starter"), sell("pro")
    member = make_member()
    account = make_account(member.workspace)
    id = having(stripe_server, account, starter)
    stripe_server.advance(days=10)
    clients = [client_of(member) for _ in range(3)]

    answers = at_once([lambda one=one: change(one, "pro") for one in clients])

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["plan"] for answer in answers} == {"pro"}
    paid = [invoice["total"] for invoice in stripe_server.invoices.values() if invoice["total"]]
    assert len(paid) == 2
    assert at_stripe(stripe_server, id)[1] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["change", "preview", "cancel", "resume"])
def test_stripe_is_never_asked_within_a_transaction(name, stripe_server, client_of):
    starter, _pro = sell("starter"), sell("pro")
    member = make_member()
    having(stripe_server, make_account(member.workspace), starter)
    body = {"plan": "pro"} if name in ("change", "preview") else {}

    with asking_within_transactions() as asked_within:
        answer = client_of(member).post(f"{BILLING}/{name}", body, HTTP_IDEMPOTENCY_KEY="k1")

    assert answer.status_code == 200
    assert len(asked_within) >= 2
    assert not any(asked_within)


def test_a_trial_can_be_cancelled_too(account, prices, api, stripe_server):
    having(stripe_server, account, prices["pro", "month"], subscription_data={"trial_period_days": 14})

    assert act(api, "cancel").json()["cancel_at"] == act(api, "cancel").json()["trial_end"]


def test_seats_of_a_plan_that_sells_none_are_refused(on_starter, api):
    assert said(change(api, "pro", seats=26)) == (400, {"seats": ["This plan has 25 seats, and no more are sold."]})
    assert client().v1.subscription_schedules.list({}).data == []
