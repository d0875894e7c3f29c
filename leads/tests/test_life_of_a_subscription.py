"""A workspace's whole life as a customer, through our routes and Stripe's protocol: however the events come, it ends the same.

Stripe's clock begins a month before ours, so that the renewal that fails is some days old, and its days of grace run.
"""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.core import mail
from django.core.management import call_command
from rest_framework.test import APIClient

from accounts.tests.mailbox import run_jobs
from billing.models import BillingAccount, StripeEvent, Subscription, TopUp
from leads.models import Export, ExportedLead, Lead, LeadCredit, Usage, UsageEntry
from leads.quotas import current_month
from leads.tests.factories import make_catalogue
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400
SEEDS = [1, 2, 3]


class Post:
    """Carries Stripe's events to us: each at least twice, shuffled, old ones once more, and jobs are done whenever it happens."""

    def __init__(self, stripe_server, monkeypatch, seed):
        self.stripe_server, self.monkeypatch, self.random = stripe_server, monkeypatch, Random(seed)
        self.client, self.carried = APIClient(), 0

    def comes(self):
        events = self.stripe_server.events
        old, new = events[: self.carried], events[self.carried :]
        self.carried = len(events)
        self._carry(new * 2 + self.random.sample(old, min(len(old), 10)))

    def comes_all_over_again(self):
        self._carry(self.stripe_server.events)

    def _carry(self, events):
        events = self.random.sample(events, len(events))
        for event in events:
            [answer] = self.stripe_server.deliver(self.client, [event])
            assert (answer.status_code, answer.json()) == (200, {"success": True})
            if self.random.random() < 0.05:
                run_jobs(self.monkeypatch, "billing")
        for queue in ("billing", "leads", "mail"):
            run_jobs(self.monkeypatch, queue)


@pytest.fixture(params=SEEDS)
def post(request, stripe_server, monkeypatch):
    return Post(stripe_server, monkeypatch, request.param)


@pytest.fixture
def stock(stripe_server):
    """A catalogue of leads, and plans that are for sale."""
    stripe_server.begin_at(int(time.time()) - 32 * DAY)
    make_catalogue(700)
    call_command("sync_plans")


@pytest.fixture
def ann(stock):
    """Somebody who has just registered."""
    client = APIClient(raise_request_exception=False)
    answer = client.post("/api/auth/register", {"email": "ann@example.com", "password": "correct horse battery"})
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access_token']}")
    return client


def asked(answer, status=200):
    assert answer.status_code == status, answer.content
    return answer.json()


def plan_and_limit(client):
    usage = asked(client.get("/api/v1/usage"))
    return usage["plan"], usage["limit"]


def subscription(client):
    return asked(client.get("/api/v1/subscription"))


def ids(first, last):
    return [f"id{number}" for number in range(first, last + 1)]


def export(client, wanted, key):
    """By quote, and asked for twice, as a browser does whose answer was lost."""
    quote = asked(client.post("/api/v1/exports/quote", {"lead_ids": wanted}))
    receipts = [
        asked(client.post("/api/v1/exports", {"quote": quote["quote"]}, HTTP_IDEMPOTENCY_KEY=key), 201)
        for _ in range(2)
    ]
    assert receipts[0] == receipts[1]
    return quote, receipts[0]


def iso(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def bought_at_checkout(client, stripe_server, path, wanted, key):
    """Go to the page, come back, go there again, and pay."""
    pages = [asked(client.post(path, wanted, HTTP_IDEMPOTENCY_KEY=key))["url"] for _ in range(2)]
    assert pages[0] == pages[1]
    [session] = [one for one in stripe_server.sessions.values() if one["url"] == pages[0]]
    return stripe_server.complete(session["id"])


def test_a_whole_life_ends_the_same_however_its_events_come(ann, stripe_server, post, settings):
    # registered: everybody has the free plan
    post.comes()
    assert plan_and_limit(ann) == ("free", 50)

    # checkout, paid
    wanted = {"plan": "starter", "interval": "month"}
    session = bought_at_checkout(ann, stripe_server, "/api/v1/billing/checkout", wanted, "buy")
    post.comes()
    stripe_id, customer = session["subscription"], session["customer"]

    def at_stripe():
        return stripe_server.subscriptions[stripe_id]

    def period_end():
        return at_stripe()["items"]["data"][0]["current_period_end"]

    assert plan_and_limit(ann) == ("starter", 500)
    assert subscription(ann)["period_end"] == iso(period_end())

    # 500 leads, and not one more
    quote, receipt = export(ann, ids(1, 500), "all")
    assert (quote["cost"], receipt["new_count"], receipt["remaining"]) == (500, 500, 0)
    assert asked(ann.post("/api/v1/exports", {"lead_ids": ids(501, 501)}), 403)["error"] == "monthly_limit_exceeded"

    # upgrade at once: what the preview says is what the invoice says
    stripe_server.advance(days=10)
    preview = asked(ann.post("/api/v1/billing/preview", {"plan": "pro"}))
    for _ in range(2):
        asked(ann.post("/api/v1/billing/change", {"plan": "pro"}, HTTP_IDEMPOTENCY_KEY="up"))
    post.comes()
    invoice = stripe_server.invoices[at_stripe()["latest_invoice"]]
    assert invoice["billing_reason"] == "subscription_update"
    assert preview["amount_due"] == invoice["amount_paid"]
    assert [line["amount"] for line in preview["lines"]] == [line["amount"] for line in invoice["lines"]["data"]]
    assert (preview["when"], preview["next_amount"]) == ("now", 9_900)
    assert plan_and_limit(ann) == ("pro", 5_000)
    export(ann, ids(401, 600), "more")

    # a pack on top
    bought_at_checkout(ann, stripe_server, "/api/v1/billing/top-up", {"pack": "leads-1000"}, "pack")
    post.comes()
    assert plan_and_limit(ann) == ("pro", 6_000)

    # the renewal fails: the plan is kept for the days of grace, then it is the free one, and what was exported stays
    stripe_server.decline(customer)
    failed_at = period_end()
    stripe_server.advance(to=failed_at)
    post.comes()
    overdue = subscription(ann)
    assert (overdue["status"], overdue["overdue_since"]) == ("past_due", iso(failed_at))
    assert overdue["grace_until"] == iso(failed_at + 7 * DAY)
    assert plan_and_limit(ann) == ("pro", 6_000)
    settings.BILLING_GRACE = timedelta(0)
    assert plan_and_limit(ann) == ("free", 1_050)
    assert asked(ann.get("/api/v1/exports?count=true"))["count"] == 2
    settings.BILLING_GRACE = timedelta(days=7)

    # recovered
    stripe_server.advance(days=1)
    stripe_server.pay_open_invoices(customer)
    post.comes()
    assert (subscription(ann)["status"], subscription(ann)["grace_until"]) == ("active", None)
    assert plan_and_limit(ann) == ("pro", 6_000)

    # downgrade at the period's end
    asked(ann.post("/api/v1/billing/change", {"plan": "starter"}, HTTP_IDEMPOTENCY_KEY="down"))
    post.comes()
    assert subscription(ann)["pending"] == {"plan": "starter", "interval": "month", "at": iso(period_end())}
    assert plan_and_limit(ann) == ("pro", 6_000)
    stripe_server.advance(to=period_end())
    post.comes()
    assert (plan_and_limit(ann), subscription(ann)["pending"]) == (("starter", 1_500), None)

    # cancelled: it ends with the time that is paid for
    asked(ann.post("/api/v1/billing/cancel"))
    post.comes()
    ends_at = period_end()
    assert (subscription(ann)["cancel_at"], plan_and_limit(ann)) == (iso(ends_at), ("starter", 1_500))
    stripe_server.advance(to=ends_at)
    post.comes()

    # the free plan; what was bought on top of the others is there still
    assert plan_and_limit(ann) == ("free", 1_050)
    export(ann, ids(601, 601), "last")

    # the end, the same for each order of events, also when all of them come once more
    post.comes_all_over_again()
    assert subscription(ann) == {
        "plan": "free",
        "name": "Free",
        "status": "canceled",
        "interval": "month",
        "seats": {"included": 5, "bought": None, "used": 1},
        "period_end": iso(ends_at),
        "trial_end": None,
        "cancel_at": iso(ends_at),
        "pending": None,
        "overdue_since": None,
        "grace_until": None,
        "billing": "stripe",
    }
    assert list(Subscription.objects.values_list("plan__code", "stripe_id", "status", "problem")) == [
        ("starter", stripe_id, "canceled", "")
    ]
    assert BillingAccount.objects.values_list("customer_id").get() == (customer,)
    _the_books_are_right()
    _everybody_was_told_once()
    _each_event_was_kept_once(stripe_server)


def _the_books_are_right():
    assert list(UsageEntry.objects.order_by("id").values_list("kind", "leads", "credits")) == [
        ("charge", 500, 0),
        ("charge", 100, 0),
        ("topup", 0, 1_000),
        ("charge", 1, -1),
    ]
    assert list(Usage.objects.values_list("month", "used")) == [(current_month(), 601)]
    assert LeadCredit.objects.get().balance == 999
    assert list(TopUp.objects.values_list("leads", "amount")) == [(1_000, 6_900)]
    assert list(Export.objects.order_by("id").values_list("status", "new_count")) == [
        ("completed", 500),
        ("completed", 100),
        ("completed", 1),
    ]
    assert ExportedLead.objects.count() == Lead.objects.exclude(workspace__is_catalogue=True).count() == 601
    call_command("check_ledger")


def _everybody_was_told_once():
    told = Event.objects.filter(type="subscription.changed").order_by("id").values_list("data", flat=True)
    assert [(data["plan"], data["status"]) for data in told] == [
        ("starter", "active"),
        ("pro", "active"),
        ("pro", "past_due"),
        ("pro", "active"),
        ("pro", "active"),
        ("starter", "active"),
        ("starter", "active"),
        ("free", "canceled"),
    ]
    # in English and German
    assert [letter.subject.split(" / ")[0] for letter in mail.outbox] == [
        "ann has used all of this month's leads",
        "The payment for ann has failed",
    ]


def _each_event_was_kept_once(stripe_server):
    kept = Counter(StripeEvent.objects.values_list("event_id", flat=True))
    assert kept == {event["id"]: 1 for event in stripe_server.events}
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {"done", "ignored"}
