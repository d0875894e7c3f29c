"""Deals that somebody wants made: the lead moves on, and a task tells what is to be done."""

from decimal import Decimal
from threading import Event
from time import sleep

import pytest
from django.db import transaction

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads import deals
from leads.errors import NotYourLead
from leads.history import Author
from leads.models import Activity, Lead, LeadVersion
from leads.signals import deal_wanted
from leads.tests.factories import make_lead
from zevix.errors import NotFound

pytestmark = pytest.mark.django_db


def want(lead, member, value="1200"):
    return deals.want(
        lead.pk, "Blinds", Decimal(value), "EUR", workspace=member.workspace, by=Author.of(member, "ai")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("NEW", "PROPOSAL"),
        ("CONTACTED", "PROPOSAL"),
        ("QUALIFIED", "PROPOSAL"),
        ("PROPOSAL", "PROPOSAL"),
        ("WON", "WON"),
        ("LOST", "LOST"),
    ],
)
def test_a_lead_with_a_deal_is_a_proposal_where_it_was_before_that(member, before, after):
    lead = make_lead(member.workspace, status=before)

    done = want(lead, member)

    lead.refresh_from_db()
    task = Activity.objects.get(type="task")
    assert lead.status == after
    assert (task.lead_id, task.text, task.user_id) == (lead.pk, "Deal: Blinds, 1,200.00 EUR", member.user_id)
    assert done == {"lead_id": lead.pk, "status": after, "activity_id": task.pk}


def test_the_change_of_status_is_told_and_is_the_ais(member):
    lead = make_lead(member.workspace, status="NEW")

    want(lead, member)

    told = Activity.objects.get(type="status_change")
    before = LeadVersion.objects.filter(pgh_obj=lead.pk).earliest("pgh_id")
    assert told.text == "NEW → PROPOSAL"
    assert (before.pgh_context["source"], before.pgh_context["user"]) == ("ai", member.user_id)


def test_agents_have_deals_with_their_own_leads_only(member):
    agent = make_member(Role.AGENT, member.workspace)
    theirs = make_lead(member.workspace, assigned_user=member.user)
    own = make_lead(member.workspace, assigned_user=agent.user)

    want(own, agent)
    with pytest.raises(NotYourLead):
        want(theirs, agent)

    assert list(Activity.objects.filter(type="task").values_list("lead", flat=True)) == [own.pk]
    assert Lead.objects.get(pk=theirs.pk).status == "NEW"


def test_another_workspaces_lead_is_not_there(member, stranger):
    lead = make_lead(stranger.workspace)

    with pytest.raises(NotFound):
        want(lead, member)

    assert not Activity.objects.exists()


def test_who_knows_where_deals_live_is_told_within_the_transaction(member):
    lead = make_lead(member.workspace, status="NEW")
    told = []

    def listen(lead_id, workspace, title, value, currency, by, **_more):
        told.append((lead_id, workspace, title, value, currency, by, Lead.objects.get(pk=lead_id).status))
        raise RuntimeError

    deal_wanted.connect(listen)
    try:
        with pytest.raises(RuntimeError):
            want(lead, member)
    finally:
        deal_wanted.disconnect(listen)

    by = Author.of(member, "ai")
    assert told == [(lead.pk, member.workspace, "Blinds", Decimal(1200), "EUR", by, "PROPOSAL")]
    assert Lead.objects.get(pk=lead.pk).status == "NEW"


@pytest.mark.django_db(transaction=True)
def test_a_lead_that_is_being_won_stays_won():
    member = make_member()
    lead = make_lead(member.workspace, status="NEW")
    is_winning = Event()

    def win():
        with transaction.atomic():
            Lead.objects.filter(pk=lead.pk).update(status="WON")
            is_winning.set()
            sleep(0.5)

    def want_meanwhile():
        is_winning.wait(10)
        want(lead, member)

    at_once([win, want_meanwhile])

    assert Lead.objects.get().status == "WON"
    assert Activity.objects.get().type == "task"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (0, "0.00"),
        (1200, "1200.00"),
        (0.1, "0.10"),
        (19.99, "19.99"),
        ("1200.5", "1200.50"),
        (" 7 ", "7.00"),
        ("-0", "0.00"),
        (999_999_999_999.99, "999999999999.99"),
    ],
)
def test_amounts_are_exact(written, kept):
    assert str(deals.deal_value(written)) == kept


@pytest.mark.parametrize(
    "written",
    [-1, 1e12, 1e300, "1e999999999", 0.001, "NaN", "inf", float("nan"), float("inf"), "", "much", "1,200.00", True, None, [1], {}, "9" * 500],
)  # fmt: skip
def test_what_is_no_amount_is_refused(written):
    with pytest.raises(ValueError):
        deals.deal_value(written)


def test_a_currency_is_one_that_there_is():
    assert [deals.deal_currency(written) for written in ("EUR", "usd", " chf ")] == ["EUR", "USD", "CHF"]

    for written in ("EURO", "€", "ABC", "", None, 978, "E\x00UR"):
        with pytest.raises(ValueError):
            deals.deal_currency(written)


def test_a_title_is_one_line():
    assert deals.deal_title(" Blinds\nfor the office ") == "Blinds for the office"

    for written in ("", " ", "x" * 201, "a\x00b", None, 5):
        with pytest.raises(ValueError):
            deals.deal_title(written)
