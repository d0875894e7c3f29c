"""The books under load, on real transactions: nothing below zero, nothing beyond plan and credit, nothing twice."""

from datetime import UTC, datetime, timedelta
from itertools import cycle
from threading import get_ident

import pytest
from django.db.models import Sum

from accounts.tests.factories import make_member, make_user
from billing.models import TopUp
from leads import auditing, exports, ledger, quotas, refunds
from leads.models import ExportedLead, LeadCredit, Usage, UsageEntry
from leads.tests.factories import give_plan, make_catalogue
from leads.tests.test_exports_in_parallel import at_once, receipts
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


def differences():
    return [line for check in auditing.CHECKS for line in auditing.differences(check)]


def exporting(member, *ids):
    return lambda: exports.export(list(ids), by=member.user, workspace=member.workspace)


def give_credit(member, leads):
    number = TopUp.objects.count()
    pack = TopUp.objects.create(
        workspace=member.workspace, leads=leads, currency="usd", amount=1, session_id=f"cs_{number}"
    )
    ledger.credit_top_up(pack.pk)
    return pack


def at_the_turn_of_the_month(monkeypatch):
    """Every other thread is in the next month already."""
    first = datetime.now(UTC).replace(day=1)
    moments, of_thread = cycle([first - timedelta(days=1), first]), {}
    now = staticmethod(lambda zone: of_thread.setdefault(get_ident(), next(moments)))
    monkeypatch.setattr(quotas, "datetime", type("Clock", (), {"now": now}))


def test_parallel_exports_share_plan_and_credit_to_the_last_lead():
    member = make_member()
    make_catalogue(80)
    give_plan(member.workspace, 10)
    give_credit(member, 15)

    outcomes = at_once([exporting(member, *(f"id{n}" for n in range(start, start + 4))) for start in range(1, 80, 4)])

    assert sum(len(receipt.new_ids) for receipt in receipts(outcomes)) == 25
    usage, credit = Usage.objects.get(), LeadCredit.objects.get()
    assert (usage.used, usage.from_credit, credit.balance) == (25, 15, 0)
    assert differences() == []


@pytest.mark.parametrize("attempt", range(3))
def test_at_the_turn_of_the_month_two_months_draw_on_one_credit(monkeypatch, attempt):
    """Each month has its own lock, and its own plan; the credit is one."""
    member = make_member()
    make_catalogue(96)
    give_plan(member.workspace, 10)
    give_credit(member, 15)
    at_the_turn_of_the_month(monkeypatch)

    outcomes = at_once([exporting(member, *(f"id{n}" for n in range(start, start + 4))) for start in range(1, 96, 4)])

    assert sum(len(receipt.new_ids) for receipt in receipts(outcomes)) == 35
    totals = Usage.objects.aggregate(used=Sum("used"), from_credit=Sum("from_credit"))
    assert (totals, LeadCredit.objects.get().balance) == ({"used": 35, "from_credit": 15}, 0)
    assert all(usage.used - usage.from_credit <= 10 for usage in Usage.objects.all())
    assert differences() == []


def test_a_pack_credited_by_eight_threads_at_once_is_credited_once():
    member = make_member()
    pack = TopUp.objects.create(workspace=member.workspace, leads=100, currency="usd", amount=1, session_id="cs")

    done = at_once([lambda: ledger.credit_top_up(pack.pk)] * 8)

    assert sorted(done) == [False] * 7 + [True]
    assert LeadCredit.objects.get().balance == 100
    assert Event.objects.filter(type="usage.changed").count() == 1


def test_refunds_and_exports_at_once_keep_the_books_right():
    member = make_member()
    give_plan(member.workspace, 10)
    give_credit(member, 20)
    leads = make_catalogue(60, email="dead@practice.example")
    for start in range(1, 21, 5):
        exporting(member, *(f"id{n}" for n in range(start, start + 5)))()

    acts = [lambda: refunds.report_dead(["dead@practice.example"])] * 4 + [lambda: refunds.refund_due()] * 2
    acts += [exporting(member, f"id{number}") for number in range(21, 31)]
    at_once(acts)

    refunds.refund_due()
    sold = ExportedLead.objects.count()
    entered = UsageEntry.objects.filter(kind="refund")
    assert entered.count() == len(set(entered.values_list("refunded", flat=True)))
    assert 20 <= entered.count() <= sold <= len(leads)
    assert differences() == []


def test_one_lead_refunded_by_eight_threads_is_given_back_once(monkeypatch):
    member = make_member()
    (lead,) = make_catalogue(1, email="dead@practice.example")
    exporting(member, "id1")()
    at_the_turn_of_the_month(monkeypatch)

    at_once([lambda: refunds.report_dead([lead.email])] * 8)

    assert UsageEntry.objects.filter(kind="refund").count() == 1
    assert differences() == []


def test_adjustments_at_once_take_no_more_than_there_is():
    member, operator = make_member(), make_user(is_superuser=True)
    give_credit(member, 5)

    def take():
        try:
            return ledger.adjust(member.workspace, credits=-1, reason="so", by=operator)
        except ledger.AdjustsTooFar:
            return None

    done = at_once([take] * 8)

    assert sum(entry is not None for entry in done) == 5
    assert LeadCredit.objects.get().balance == 0
