"""Buying: one customer, one page at a time, one subscription."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from billing import entitlements
from billing.converging import syncing
from billing.models import BillingAccount, Plan, Price, TopUpPack
from billing.stripe_gateway.client import client
from billing.tests.selling import sell
from billing.tests.watching import asking_within_transactions

pytestmark = pytest.mark.django_db

CHECKOUT, TOP_UP, PORTAL = "/api/v1/billing/checkout", "/api/v1/billing/top-up", "/api/v1/billing/portal"


@pytest.fixture
def starter(stripe_server):
    return sell("starter")


def account_of(member):
    return BillingAccount.objects.get(workspace=member.workspace)


def buy(client, plan="starter", **fields):
    return client.post(CHECKOUT, {"plan": plan, **fields})


def session_at(stripe_server, url):
    return stripe_server.sessions[url.rpartition("/")[2]]


def bought(stripe_server, answer):
    """Go through with a page: the subscription."""
    session = stripe_server.complete(session_at(stripe_server, answer.json()["url"])["id"])
    return stripe_server.subscriptions[session["subscription"]]


def said(answer):
    body = answer.json()
    return answer.status_code, body.get("fields") or body.get("error")


def asked(stripe_server, path):
    return [request for request in stripe_server.requests if (request.method, request.path) == ("POST", path)]


# Plans ----------------------------------------------------------------------------------------------------------------------


def test_an_admin_buys_a_plan_and_has_it(starter, api, member, stripe_server):
    answer = buy(api)

    subscription = bought(stripe_server, answer)
    syncing.sync(account_of(member))
    assert answer.status_code == 200
    assert entitlements.plan_of(member.workspace).code == "starter"
    [item] = subscription["items"]["data"]
    assert (item["price"]["id"], item["quantity"]) == (starter.stripe_price_id, 1)
    assert subscription["metadata"] == {"zevix_workspace": str(member.workspace_id)}
    [session] = stripe_server.sessions.values()
    assert session["client_reference_id"] == str(member.workspace_id)
    assert session["success_url"] == "http://127.0.0.1:8000/billing/done"
    assert session["cancel_url"] == "http://127.0.0.1:8000/billing/cancelled"
    assert session["allow_promotion_codes"] is True


def test_the_customer_in_stripe_says_whose_it_is(starter, api, member, stripe_server):
    buy(api)

    [customer] = stripe_server.customers.values()
    assert customer["id"] == account_of(member).customer_id
    assert customer["metadata"] == {"zevix_workspace": str(member.workspace_id)}
    assert (customer["name"], customer["email"]) == (member.workspace.name, member.user.email)


def test_the_pages_that_stripe_leads_back_to_exist(anonymous):
    assert [anonymous.get(f"/billing/{page}").status_code for page in ("done", "cancelled")] == [200, 200]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"plan": ["This field is required."]}),
        ({"plan": "gold"}, {"plan": ["There is no such plan."]}),
        ({"plan": "free"}, {"plan": ["This plan costs nothing; it is what is left after cancelling."]}),
        ({"plan": "unpriced"}, {"plan": ["This plan is not for sale."]}),
        ({"plan": "monthly", "interval": "year"}, {"interval": ["This plan is not sold at this interval."]}),
        ({"plan": "starter", "interval": "week"}, {"interval": ['"week" is not a valid choice.']}),
        ({"plan": "starter", "seats": 11}, {"seats": ["This plan has 10 seats, and no more are sold."]}),
        ({"plan": "starter", "seats": 0}, {"seats": ["Ensure this value is greater than or equal to 1."]}),
        ({"plan": "starter", "coupon": "NONE"}, {"coupon": ["This code does not exist, or can't be used here."]}),
        ({"plan": "starter", "quantity": 2}, {"quantity": ["There is no such field."]}),
        ({"plan": 7}, {"plan": ["Not a valid string."]}),
        ({"plan": ["starter"]}, {"plan": ["Not a valid string."]}),
        ({"plan": "a\x00b"}, {"plan": ["Null characters are not allowed."]}),
        ({"plan": "starter", "seats": 10**30}, {"seats": ["A valid integer is required."]}),
        ({"plan": "starter", "seats": 2**63}, {"seats": ["Ensure this value is less than or equal to 10000."]}),
    ],
)
def test_what_can_not_be_bought_is_refused_at_the_field(body, fields, starter, api, stripe_server):
    Plan.objects.create(code="unpriced", name="Unpriced", monthly_leads=1)
    Price.objects.create(
        plan=Plan.objects.create(code="monthly", name="Monthly", monthly_leads=1), amount=1, stripe_price_id="price_x"
    )

    assert said(api.post(CHECKOUT, body)) == (400, fields)
    assert stripe_server.sessions == {}


@pytest.mark.parametrize("body", [[], ["plan"], "plan", 7, None])
def test_what_is_no_object_is_refused(body, starter, api):
    assert api.post(CHECKOUT, body).status_code == 400


def test_a_plan_that_is_not_on_offer_is_not_sold(starter, api):
    Plan.objects.filter(code="starter").update(is_active=False)

    assert said(buy(api)) == (400, {"plan": ["There is no such plan."]})


def test_a_price_that_is_not_in_stripe_names_the_command(stripe_server, api):
    answer = buy(api)

    assert said(answer) == (503, "not_configured")
    assert "manage.py sync_plans" in answer.json()["message"]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://www.example.com.evil.example/",
        "https://www.example.com\\@evil.example/",
        "https://www.example.com@evil.example/",
        "https://www.exa\nmple.com/",
        "//www.example.com/",
        "javascript:alert(1)",
        "https://[",
        "",
        7,
        ["https://www.example.com/"],
    ],
)
@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
def test_stripe_leads_back_to_no_strange_pages(field, url, starter, settings, api, stripe_server):
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]

    status, fields = said(buy(api, **{field: url}))

    assert (status, list(fields)) == (400, [field])
    assert stripe_server.sessions == {}


def test_stripe_leads_back_to_pages_on_allowed_origins(starter, settings, api, stripe_server):
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]
    pages = {
        "success_url": "https://www.example.com/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:8000/x",
    }

    assert buy(api, **pages).status_code == 200

    [session] = stripe_server.sessions.values()
    assert {name: session[name] for name in pages} == pages


def test_years_seats_and_a_code(stripe_server, api, member):
    Price.objects.filter(plan__code="starter").update(extra_seat_amount=500)
    starter = sell("starter", "year")
    coupon = client().v1.coupons.create({"percent_off": 20, "duration": "once"}).id
    client().v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon}, "code": "SPRING"})

    subscription = bought(stripe_server, buy(api, interval="year", seats=12, coupon="SPRING"))

    syncing.sync(account_of(member))
    [item] = subscription["items"]["data"]
    assert (item["price"]["id"], item["quantity"]) == (starter.stripe_price_id, 12)
    assert entitlements.seats_of(member.workspace) == 12
    [invoice] = stripe_server.invoices.values()
    assert invoice["total"] == 0.8 * invoice["subtotal"]


def test_fewer_seats_than_the_plan_has_are_the_plans(stripe_server, api):
    Price.objects.filter(plan__code="starter").update(extra_seat_amount=500)
    sell("starter")

    subscription = bought(stripe_server, buy(api, seats=2))

    assert subscription["items"]["data"][0]["quantity"] == 10


def test_a_plan_with_fewer_seats_than_members_is_refused_with_the_numbers(starter, api, member):
    for _ in range(10):
        make_member(Role.AGENT, member.workspace)

    answer = buy(api)

    assert said(answer) == (409, "seat_limit_reached")
    assert answer.json()["message"] == "The workspace has 11 members, and there would be 10 seats."


def test_the_first_subscription_begins_with_the_plans_trial_and_the_next_does_not(starter, api, member, stripe_server):
    Plan.objects.filter(code="starter").update(trial_days=14)

    first = bought(stripe_server, buy(api))
    begun = first["status"]
    stripe_server.cancel_now(first["id"])
    second = bought(stripe_server, buy(api))

    assert (begun, second["status"]) == ("trialing", "active")
    assert first["trial_end"] - first["trial_start"] == 14 * 24 * 60 * 60


def test_who_has_a_subscription_changes_it_instead(starter, api, stripe_server):
    bought(stripe_server, buy(api))  # nothing has told us of it yet

    answer = buy(api)

    assert said(answer) == (409, "conflict")
    assert answer.json()["message"] == "There is a subscription already; change it instead."
    assert api.get("/api/v1/subscription").json()["plan"] == "starter"
    assert len(stripe_server.sessions) == 1


def test_a_second_tab_closes_the_first(starter, api, stripe_server):
    answers = [buy(api), buy(api)]

    sessions = [session_at(stripe_server, answer.json()["url"])["status"] for answer in answers]
    assert sessions == ["expired", "open"]


def test_after_an_expired_page_there_is_a_new_one(starter, api, stripe_server):
    first = buy(api)
    stripe_server.expire(session_at(stripe_server, first.json()["url"])["id"])

    assert buy(api).status_code == 200


def test_a_customer_deleted_in_stripe_comes_again_as_another(starter, api, member, stripe_server):
    buy(api)
    gone = account_of(member).customer_id
    stripe_server.delete_customer(gone)

    answer = buy(api)

    assert answer.status_code == 200
    assert account_of(member).customer_id not in ("", gone)
    assert bought(stripe_server, answer)["customer"] == account_of(member).customer_id


# Packs and the portal -------------------------------------------------------------------------------------------------------


def test_a_pack_is_paid_once_and_says_what_it_is(api, member, stripe_server):
    answer = api.post(TOP_UP, {"pack": "leads-100"})

    session = session_at(stripe_server, answer.json()["url"])
    assert answer.status_code == 200
    assert (session["mode"], session["amount_total"], session["currency"]) == ("payment", 900, "usd")
    assert session["client_reference_id"] == str(member.workspace_id)
    assert session["metadata"] == {
        "kind": "top_up",
        "workspace": str(member.workspace_id),
        "pack": "leads-100",
        "leads": "100",
    }


def test_a_page_for_a_pack_leaves_that_for_a_plan_open(starter, api, stripe_server):
    answers = [buy(api), api.post(TOP_UP, {"pack": "leads-100"})]

    assert [session_at(stripe_server, one.json()["url"])["status"] for one in answers] == ["open", "open"]


@pytest.mark.parametrize("pack", ["gold", "leads-1000"])
def test_a_pack_that_is_not_on_offer_is_not_sold(pack, api, stripe_server):
    TopUpPack.objects.filter(code="leads-1000").update(is_active=False)

    assert said(api.post(TOP_UP, {"pack": pack})) == (400, {"pack": ["There is no such pack."]})


def test_the_portal_leads_back(api, member, stripe_server):
    answer = api.post(PORTAL, {"return_url": "http://localhost:3000/account"})

    assert answer.status_code == 200
    [request] = asked(stripe_server, "/v1/billing_portal/sessions")
    assert request.params["customer"] == account_of(member).customer_id
    assert request.params["return_url"] == "http://localhost:3000/account"


@pytest.mark.parametrize(("path", "body"), [(TOP_UP, {"pack": "leads-100"}), (PORTAL, {})])
def test_who_was_deleted_in_stripe_is_another_customer_there_too(path, body, api, member, stripe_server):
    api.post(path, body)
    gone = account_of(member).customer_id
    stripe_server.delete_customer(gone)

    answer = api.post(path, body)

    assert answer.status_code == 200
    assert account_of(member).customer_id not in ("", gone)


# Repeating, at the same time, and while Stripe fails --------------------------------------------------------------------------


def test_the_same_key_gives_the_same_page(starter, api, stripe_server):
    answers = [api.post(CHECKOUT, {"plan": "starter"}, HTTP_IDEMPOTENCY_KEY="k1") for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert [answer.get("Idempotent-Replayed") for answer in answers] == [None, "true"]
    assert len(stripe_server.sessions) == 1


def test_an_answer_that_is_lost_makes_no_second_customer_and_no_second_page(starter, api, stripe_server):
    stripe_server.lose_next_answer()  # of the customer's creation: the package asks again

    answer = buy(api)

    assert answer.status_code == 200
    assert (len(stripe_server.customers), len(stripe_server.sessions)) == (1, 1)


def test_a_stripe_that_is_down_is_said_in_our_words_and_the_same_key_goes_on_later(starter, api, stripe_server):
    stripe_server.down()
    down = api.post(CHECKOUT, {"plan": "starter"}, HTTP_IDEMPOTENCY_KEY="k1")
    stripe_server.up()

    again = api.post(CHECKOUT, {"plan": "starter"}, HTTP_IDEMPOTENCY_KEY="k1")

    assert said(down) == (502, "upstream_error")
    assert down.json()["message"].startswith("Stripe can't be reached at the moment")
    assert (again.status_code, again.get("Idempotent-Replayed")) == (200, None)


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_what_stripe_fails_with_is_an_upstream_error(status, starter, api, stripe_server):
    for _ in range(3):  # the package tries again
        stripe_server.answer_next(status)

    assert said(buy(api)) == (502, "upstream_error")


@pytest.mark.django_db(transaction=True)
def test_double_clicks_make_one_customer_and_leave_one_page_open(stripe_server, client_of):
    sell("starter")
    member = make_member()
    clients = [client_of(member) for _ in range(4)]

    answers = at_once([lambda one=one: buy(one) for one in clients])

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(stripe_server.customers) == 1
    still_open = [session["id"] for session in stripe_server.sessions.values() if session["status"] == "open"]
    assert still_open == [account_of(member).open_session_id]


@pytest.mark.django_db(transaction=True)
def test_double_clicks_with_one_key_make_one_page(stripe_server, client_of):
    sell("starter")
    member = make_member()
    stripe_server.slow(0.3)
    clients = [client_of(member) for _ in range(3)]

    answers = at_once(
        [lambda one=one: one.post(CHECKOUT, {"plan": "starter"}, HTTP_IDEMPOTENCY_KEY="k1") for one in clients]
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert {answer.get("Retry-After") for answer in answers if answer.status_code == 409} == {"5"}
    assert len(stripe_server.sessions) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "body"), [(CHECKOUT, {"plan": "starter"}), (TOP_UP, {"pack": "leads-100"}), (PORTAL, {})]
)
def test_stripe_is_never_asked_within_a_transaction(path, body, stripe_server, client_of):
    sell("starter")
    api = client_of(make_member())

    with asking_within_transactions() as asked_within:
        answer = api.post(path, body, HTTP_IDEMPOTENCY_KEY="k1")

    assert answer.status_code == 200
    assert len(asked_within) >= 3
    assert not any(asked_within)
