"""A plan that is not paid in time: kept for the days of grace, and told of."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django.utils.formats import date_format
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Role
from accounts.tests.factories import make_member
from billing.converging import overdue, syncing
from billing.models import Subscription
from billing.tests.selling import code_of, sell, subscribe

pytestmark = pytest.mark.django_db


@pytest.fixture
def unpaid(stripe_server, account):
    """A customer whose payment failed."""
    for role in (Role.ADMIN, Role.AGENT):
        make_member(role, workspace=account.workspace, email=f"{role}@x.example")
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)
    stripe_server.decline(account.customer_id)
    stripe_server.advance(days=32)
    syncing.sync(account)
    return bought


def be_unpaid_for(subscription, days):
    """As if it had been so long, for us alone."""
    since = timezone.now() - timedelta(days=days)
    Subscription.objects.filter(pk=subscription.pk).update(overdue_since=since)


def test_an_unpaid_plan_is_kept_for_the_days_of_grace_and_then_free(unpaid, account):
    subscription = Subscription.objects.get()

    be_unpaid_for(subscription, days=6.9)
    within = code_of(account)
    be_unpaid_for(subscription, days=7.1)
    after = code_of(account)

    assert subscription.status == "past_due"
    assert (within, after) == ("starter", "free")


def test_it_is_unpaid_since_the_invoice_that_was_not_paid(unpaid, account, stripe_server):
    invoice = stripe_server.invoices[stripe_server.subscriptions[unpaid]["latest_invoice"]]

    assert Subscription.objects.get().overdue_since == datetime.fromtimestamp(invoice["created"], UTC)


def test_later_invoices_do_not_prolong_the_days_of_grace(unpaid, account):
    be_unpaid_for(Subscription.objects.get(), days=40)
    since = Subscription.objects.get().overdue_since

    assert syncing.sync(account).overdue_since == since


def test_a_payment_that_comes_after_all_gives_the_plan_back(unpaid, account, stripe_server, told):
    be_unpaid_for(Subscription.objects.get(), days=8)
    assert code_of(account) == "free"

    stripe_server.pay_open_invoices(account.customer_id)
    subscription = syncing.sync(account)

    assert (subscription.status, subscription.overdue_since) == ("active", None)
    assert code_of(account) == "starter"
    assert told[-1] == account.workspace_id


def jobs(name):
    return ProcrastinateJob.objects.filter(task_name=f"billing.jobs.{name}").order_by("id")


def test_each_admin_is_told_once_until_when_an_unpaid_plan_is_kept(unpaid, account, mailoutbox, settings):
    settings.BILLING_GRACE = timedelta(days=60)
    syncing.sync(account)
    job = jobs("mail_overdue").get()

    overdue.mail_begin(**job.args)

    until = date_format(Subscription.objects.get().overdue_since + settings.BILLING_GRACE, "DATETIME_FORMAT")
    name = account.workspace.name
    assert [letter.to for letter in mailoutbox] == [["admin@x.example"]]
    assert mailoutbox[0].subject.startswith(f"The payment for {name} has failed / ")
    assert f"The plan Starter of {name} could not be charged. It is kept until {until} (UTC)." in mailoutbox[0].body


def test_each_admin_is_told_when_the_days_of_grace_are_over(unpaid, account, mailoutbox, told):
    subscription = Subscription.objects.get()
    job = jobs("end_grace").get()
    assert job.scheduled_at == subscription.overdue_since + timedelta(days=7)

    overdue.end(**job.args)
    overdue.mail_end(**jobs("mail_grace_over").get().args)

    assert told == [account.workspace_id]
    assert [letter.to for letter in mailoutbox] == [["admin@x.example"]]
    assert "so the free plan counts now" in mailoutbox[0].body


def test_nobody_is_told_of_a_plan_that_was_paid_meanwhile(unpaid, account, stripe_server, mailoutbox):
    stripe_server.pay_open_invoices(account.customer_id)
    syncing.sync(account)

    overdue.end(**jobs("end_grace").get().args)
    overdue.mail_begin(**jobs("mail_overdue").get().args)

    assert not jobs("mail_grace_over").exists()
    assert mailoutbox == []
