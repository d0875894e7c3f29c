"""A pack that was paid for at Checkout is credited, once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection

from accounts.tests.threads import in_a_thread
from billing import top_ups
from billing.errors import NotOurPack
from billing.models import BillingAccount, TopUp, TopUpPack
from billing.signals import topped_up
from billing.stripe_gateway.client import client
from billing.tests.selling import begin_checkout, buy_pack, price_in_stripe, sell
from zevix.errors import Rejected

pytestmark = pytest.mark.django_db


@pytest.fixture
def credited():
    """The top-ups of which it was told, in the transaction that made them."""
    heard = []

    def hear(top_up_id, **_more):
        heard.append((top_up_id, connection.in_atomic_block))

    topped_up.connect(hear)
    yield heard
    topped_up.disconnect(hear)


def test_a_paid_pack_is_credited_and_told(stripe_server, account, credited):
    session = buy_pack(stripe_server, account)

    top_up = top_ups.fulfil(session)

    assert (top_up.workspace, top_up.pack) == (account.workspace, TopUpPack.objects.get(code="leads-100"))
    assert (top_up.leads, top_up.currency, top_up.amount, top_up.session_id) == (100, "usd", 900, session)
    assert credited == [(top_up.pk, True)]


def test_it_is_credited_once_however_often_it_is_told(stripe_server, account, credited):
    session = buy_pack(stripe_server, account)

    made = {top_ups.fulfil(session).pk for _ in range(3)}

    assert len(made) == len(credited) == TopUp.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_is_credited_once_when_told_many_times_at_once(stripe_server, account, credited):
    session = buy_pack(stripe_server, account)

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(in_a_thread, partial(top_ups.fulfil, session)) for _ in range(8)]

    assert len({one.result().pk for one in done}) == len(credited) == TopUp.objects.count() == 1


def test_a_payment_that_takes_its_time_is_credited_when_it_has_come(stripe_server, account):
    session = buy_pack(stripe_server, account, payment="delayed")
    before = top_ups.fulfil(session)

    stripe_server.settle(session)

    assert before is None
    assert top_ups.fulfil(session).leads == 100


def test_what_was_not_paid_is_not_credited(stripe_server, account):
    delayed = buy_pack(stripe_server, account, payment="delayed")
    stripe_server.settle(delayed, succeeds=False)
    open_still = begin_checkout(account.customer_id, price_in_stripe(900, None), "payment")

    assert [top_ups.fulfil(delayed), top_ups.fulfil(open_still)] == [None, None]
    assert not TopUp.objects.exists()


def test_a_subscription_is_no_pack(stripe_server, account):
    session = begin_checkout(
        account.customer_id, sell("starter").stripe_price_id, metadata={"pack": "leads-100", "leads": "100"}
    )
    stripe_server.complete(session)

    assert top_ups.fulfil(session) is None


def test_what_the_operator_sells_besides_is_no_pack(stripe_server, account):
    session = begin_checkout(account.customer_id, price_in_stripe(900, None), "payment")
    stripe_server.complete(session)

    assert top_ups.fulfil(session) is None


def test_a_pack_that_is_sold_no_more_is_credited_as_it_was_bought(stripe_server, account):
    session = buy_pack(stripe_server, account, leads="250", pack="gone")

    top_up = top_ups.fulfil(session)

    assert (top_up.pack, top_up.leads) == (None, 250)


@pytest.mark.parametrize("leads", ["", "0", "-5", "many", "1.5", "2147483648", "9" * 30, "\u0661"])
def test_a_pack_without_a_number_of_leads_is_told(leads, stripe_server, account):
    session = buy_pack(stripe_server, account, leads=leads)

    with pytest.raises(NotOurPack, match=session):
        top_ups.fulfil(session)


def test_the_session_names_the_workspace_whose_customer_we_lost(stripe_server, account):
    BillingAccount.objects.update(customer_id="")
    session = buy_pack(stripe_server, account)

    assert top_ups.fulfil(session).workspace == account.workspace
    assert BillingAccount.objects.get().customer_id == account.customer_id


def test_a_session_of_nobody_of_ours_is_left_alone(stripe_server):
    customer = client().v1.customers.create({}).id
    session = begin_checkout(
        customer,
        price_in_stripe(900, None),
        "payment",
        metadata={"pack": "leads-100", "leads": "100", "workspace": "0"},
    )
    stripe_server.complete(session)

    assert top_ups.fulfil(session) is None


def test_a_session_that_is_not_there_is_rejected(stripe_server):
    with pytest.raises(Rejected):
        top_ups.fulfil("cs_none")
