"""``manage.py stripe_reconcile`` and the nightly job find what no event told of, and mend it."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.tests.factories import make_workspace
from billing.converging import reconciling, syncing
from billing.models import BillingAccount, Subscription, TopUp
from billing.tests.selling import buy_pack, code_of, make_account, plan, price_in_stripe, sell, subscribe
from zevix.errors import Unreachable

pytestmark = pytest.mark.django_db


def reconcile(capsys, *arguments):
    """What it printed, what it complained of, and how it exited."""
    code = 0
    try:
        call_command("stripe_reconcile", *arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return said.out.splitlines(), said.err.splitlines(), code


def test_where_all_is_as_stripe_says_nothing_is_told(stripe_server, account, capsys):
    subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)

    assert reconcile(capsys) == (["1 accounts: 0 differences, 0 mended"], [], 0)


def test_a_subscription_that_no_event_told_of_is_found_and_mended(stripe_server, account, capsys):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    BillingAccount.objects.create(workspace=make_workspace())

    out, err, code = reconcile(capsys)

    starts = f"workspace {account.workspace_id}, {account.customer_id}: stripe_id none → {bought}; plan_id none → {plan('starter').pk};"
    assert out[0].startswith(starts)
    assert out[1:] == ["1 accounts: 1 differences, 1 mended"]
    assert (err, code) == ([], 0)
    assert code_of(account) == "starter"


def test_a_change_that_no_event_told_of_is_found_and_mended(stripe_server, account, capsys):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)
    stripe_server.cancel_now(bought)

    out, _err, code = reconcile(capsys)

    assert out == [
        f"workspace {account.workspace_id}, {account.customer_id}: status active → canceled",
        "1 accounts: 1 differences, 1 mended",
    ]
    assert (code, code_of(account)) == (0, "free")


def test_a_dry_run_tells_the_same_and_changes_nothing(stripe_server, account, capsys):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)
    stripe_server.cancel_now(bought)
    buy_pack(stripe_server, account)

    out, _err, code = reconcile(capsys, "--dry-run")

    assert [line.partition(": ")[2] for line in out] == [
        "status active → canceled",
        f"100 leads paid in {next(reversed(stripe_server.sessions))} were not there",
        "2 differences, 2 would be mended",
    ]
    assert (code, code_of(account)) == (0, "starter")
    assert not TopUp.objects.exists()


def test_a_deleted_customer_is_found_and_mended(stripe_server, account, capsys):
    subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)
    stripe_server.delete_customer(account.customer_id)

    dry = reconcile(capsys, "--dry-run")
    wet = reconcile(capsys)

    assert dry[0][-1] == "1 accounts: 1 differences, 1 would be mended"
    assert wet[0][-1] == "1 accounts: 1 differences, 1 mended"
    assert (dry[2], wet[2]) == (0, 0)
    assert code_of(account) == "free"
    assert BillingAccount.objects.get().customer_id == ""


def test_a_paid_pack_that_no_event_told_of_is_credited_once(stripe_server, account, capsys):
    session = buy_pack(stripe_server, account)

    first, second = reconcile(capsys), reconcile(capsys)

    told = f"workspace {account.workspace_id}, {account.customer_id}: 100 leads paid in {session} were not there"
    assert first == ([told, "1 accounts: 1 differences, 1 mended"], [], 0)
    assert second == (["1 accounts: 0 differences, 0 mended"], [], 0)
    assert TopUp.objects.get().session_id == session


def test_what_can_not_be_mended_is_told_and_the_others_are_mended(stripe_server, account, capsys):
    twice, unknown, good = account, make_account(make_workspace()), make_account(make_workspace())
    price = sell("starter").stripe_price_id
    pair = [subscribe(stripe_server, twice, price) for _ in range(2)]
    syncing.sync(twice)
    nobodys = price_in_stripe()
    subscribe(stripe_server, unknown, nobodys)
    subscribe(stripe_server, good, price)

    out, err, code = reconcile(capsys)

    assert code == 1
    assert out[-1] == "3 accounts: 3 differences, 1 mended"
    assert len(err) == 2
    assert f"The customer has 2 live subscriptions in Stripe ({pair[1]}, {pair[0]}); {pair[1]} counts." in err[0]
    assert f"Stripe charges by the price {nobodys}, which no plan here has." in err[1]
    assert code_of(good) == "starter"


def test_a_pack_that_does_not_say_its_leads_is_told(stripe_server, account, capsys):
    session = buy_pack(stripe_server, account, leads="many")

    _out, err, code = reconcile(capsys)

    told = f"The Checkout session {session} does not say how many leads were paid for."
    assert err == [f"workspace {account.workspace_id}, {account.customer_id}: {told}"]
    assert code == 1


def test_stripe_out_of_reach_ends_it(stripe_server, account):
    for _ in range(3):
        stripe_server.answer_next(503)

    with pytest.raises(CommandError, match="Stripe can't be reached"):
        call_command("stripe_reconcile")


def test_no_connection_is_told_without_any_address(stripe_server, account):
    stripe_server.down()

    with pytest.raises(CommandError) as refused:
        call_command("stripe_reconcile")

    told = "Stripe can't be reached at the moment (no connection, or no answer in time). Try again later."
    assert str(refused.value) == told


def test_without_a_key_it_says_so(settings):
    settings.STRIPE_SECRET_KEY = ""

    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY"):
        call_command("stripe_reconcile")


def test_every_night_all_accounts_are_mended(stripe_server, account):
    other = make_account(make_workspace())
    for one in (account, other):
        subscribe(
            stripe_server, one, sell("starter").stripe_price_id if one is account else sell("pro").stripe_price_id
        )

    reconciling.reconcile_all()

    assert (code_of(account), code_of(other)) == ("starter", "pro")


def test_an_account_that_can_not_be_read_does_not_stop_the_others(stripe_server, account):
    later = make_account(make_workspace())
    price = sell("starter").stripe_price_id
    for one in (account, later):
        subscribe(stripe_server, one, price)
    for _ in range(3):
        stripe_server.answer_next(503)

    with pytest.raises(Unreachable):
        reconciling.reconcile_all()

    assert (code_of(account), code_of(later)) == ("free", "starter")


def test_where_five_in_a_row_can_not_be_read_the_others_wait_for_another_time(stripe_server):
    accounts = [make_account(make_workspace()) for _ in range(6)]
    subscribe(stripe_server, accounts[5], sell("starter").stripe_price_id)
    for _ in range(5 * 3):
        stripe_server.answer_next(503)

    with pytest.raises(Unreachable):
        reconciling.reconcile_all()

    assert code_of(accounts[5]) == "free"


def test_a_night_without_a_key_or_without_stripe_changes_nothing(stripe_server, account, settings):
    bought = subscribe(stripe_server, account, sell("starter").stripe_price_id)
    syncing.sync(account)
    stripe_server.cancel_now(bought)

    for _ in range(3):
        stripe_server.answer_next(503)
    with pytest.raises(Unreachable):
        reconciling.reconcile_all()
    settings.STRIPE_SECRET_KEY = ""
    reconciling.reconcile_all()

    assert code_of(account) == "starter"


# In the admin

ACCOUNTS = reverse("admin:billing_billingaccount_changelist")


def test_the_operator_reads_stripe_anew(stripe_server, account, operator, in_admin):
    twice, unknown = account, make_account(make_workspace())
    price = sell("starter").stripe_price_id
    for _ in range(2):
        subscribe(stripe_server, twice, price)
    nobodys = price_in_stripe()
    subscribe(stripe_server, unknown, nobodys)

    page = in_admin(operator).post(
        ACCOUNTS, {"action": "read_anew", "_selected_action": [twice.pk, unknown.pk]}, follow=True
    )

    told = [(message.level_tag, str(message)) for message in page.context["messages"]]
    assert [level for level, _text in told] == ["error", "warning", "success"]
    assert told[0][1].startswith(f"{unknown.workspace}: Stripe charges by the price {nobodys}")
    assert told[1][1].startswith(f"{twice.workspace}: The customer has 2 live subscriptions")
    assert told[2][1] == "1 workspace is as Stripe says."
    assert code_of(twice) == "starter"


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_of_accounts_costs_the_same_with_one_row_and_with_three(
    number, operator, in_admin, django_assert_num_queries
):
    for each in range(number):
        BillingAccount.objects.create(workspace=make_workspace(), customer_id=f"cus_{each}")
    browser = in_admin(operator)
    browser.get("/admin/")

    with django_assert_num_queries(4):
        page = browser.get(ACCOUNTS)

    assert page.context["cl"].result_count == number


def test_nobody_writes_an_account_by_hand(account, operator, in_admin):
    page = in_admin(operator).post(
        reverse("admin:billing_billingaccount_change", args=[account.pk]), {"customer_id": "cus_other"}
    )

    assert page.status_code == 403
    assert BillingAccount.objects.get().customer_id == account.customer_id
    assert not Subscription.objects.exists()
