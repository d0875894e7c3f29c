"""Refunds: a lead that was sold and is dead is given back for, once for ever, and only for what was sold."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import auditing, exports, ledger, quotas, refunds
from leads.models import Export, ExportedLead, Lead, LeadVersion, UsageEntry
from leads.refunds import Found
from leads.tests.factories import a_month_passes, give_plan, make_catalogue_lead, make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db


def sell(lead, *members):
    for member in members:
        exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)


def standing(member):
    now = quotas.standing(member.workspace)
    return now.used, now.from_credit, now.credit


def refunded(member):
    found = UsageEntry.objects.for_workspace(member.workspace).filter(kind="refund").order_by("pk")
    return list(found.values_list("leads", "credits", "reason"))


def copy_of(lead, member):
    return Lead.objects.for_workspace(member.workspace).get(catalogue_lead=lead)


def set_status(status, *leads):
    """As whatever verifies addresses does."""
    Lead.objects.filter(pk__in=[lead.pk for lead in leads]).update(email_status=status)


def age(days):
    Export.objects.update(created_at=timezone.now() - timedelta(days=days))


def differences():
    return [line for check in auditing.CHECKS for line in auditing.differences(check)]


# A bounce


def test_a_bounce_marks_the_lead_with_its_copies_and_gives_every_buyer_the_lead_back(member, stranger):
    dead, alive = make_catalogue_lead(email="Dead@Practice.example"), make_catalogue_lead()
    sell(dead, member, stranger)
    sell(alive, member)

    outcome = refunds.report_dead(["dead@practice.EXAMPLE"])

    assert outcome == {"dead@practice.example": Found(leads=3, marked=3, refunded=2)}
    assert set(Lead.objects.filter(email_status="undeliverable").values_list("email", flat=True)) == {
        "Dead@Practice.example"
    }
    assert standing(member) == (1, 0, 0)
    assert standing(stranger) == (0, 0, 0)
    assert refunded(member) == refunded(stranger) == [(-1, 0, "hard bounce")]
    assert differences() == []


def test_each_workspace_is_told_once_with_the_count_and_the_figures(member):
    leads = [make_catalogue_lead() for _ in range(3)]
    for lead in leads:
        sell(lead, member)
    Event.objects.all().delete()

    refunds.report_dead([lead.email for lead in leads[:2]])

    assert list(Event.objects.filter(workspace=member.workspace).values_list("type", "data").order_by("pk")) == [
        ("lead.updated", {"count": 2, "fields": ["email_status"]}),
        ("usage.changed", {"used": 1, "remaining": 49, "limit": 50, "month": quotas.current_month(), "refunded": 2}),
    ]


def test_a_refunded_lead_stays_owned(member):
    lead = make_catalogue_lead()
    sell(lead, member)
    refunds.report_dead([lead.email])

    receipt = exports.export([str(lead.pk), str(make_catalogue_lead().pk)], by=member.user, workspace=member.workspace)

    assert receipt.duplicate_ids == [str(lead.pk)]
    assert standing(member) == (1, 0, 0)


def test_a_report_repeated_refunds_nothing_more(member):
    lead = make_catalogue_lead()
    sell(lead, member)

    outcomes = [refunds.report_dead([lead.email])[lead.email] for _ in range(2)]

    assert outcomes == [Found(leads=2, marked=2, refunded=1), Found(leads=2, marked=0, refunded=0)]
    assert len(refunded(member)) == 1


def test_a_report_killed_after_marking_is_finished_by_the_hourly_sweep(member):
    lead = make_catalogue_lead()
    sell(lead, member)
    set_status("undeliverable", lead, copy_of(lead, member))

    assert refunds.refund_due() == 1
    assert refunds.refund_due() == 0
    assert refunded(member) == [(-1, 0, "undeliverable")]


def test_an_address_that_nobody_has_is_told(member):
    assert refunds.report_dead(["nobody@x.example"]) == {"nobody@x.example": Found()}


def test_a_dry_run_counts_and_writes_nothing(member):
    lead = make_catalogue_lead()
    sell(lead, member)

    outcome = refunds.report_dead([lead.email], dry_run=True)

    assert outcome == {lead.email: Found(leads=2, marked=2, refunded=1)}
    assert refunded(member) == []
    assert not Lead.objects.filter(email_status="undeliverable").exists()


def test_the_history_tells_who_reported_it(member, operator):
    lead = make_catalogue_lead()
    sell(lead, member)

    refunds.report_dead([lead.email], by=operator)

    version = LeadVersion.objects.filter(pgh_obj=copy_of(lead, member).pk).get()
    assert (version.pgh_context["act"], version.pgh_context["user"]) == ("bounce", operator.pk)
    assert UsageEntry.objects.get(kind="refund").user == operator


def test_more_than_a_chunk_is_given_back(member, monkeypatch):
    monkeypatch.setattr(refunds, "CHUNK", 2)
    leads = [make_catalogue_lead() for _ in range(5)]
    for lead in leads:
        sell(lead, member)

    outcome = refunds.report_dead(lead.email for lead in leads)

    assert sum(found.refunded for found in outcome.values()) == 5
    assert standing(member) == (0, 0, 0)


# When, and as what


def test_only_what_was_sold_within_the_window_is_given_back(member, settings):
    lead = make_catalogue_lead()
    sell(lead, member)
    age(days=15)

    refunds.report_dead([lead.email])
    refunds.refund_due()
    assert refunded(member) == []

    settings.REFUND_WINDOW = timedelta(days=16)
    assert refunds.refund_due() == 1


def test_the_moment_of_the_bounce_counts_not_that_of_its_report(member):
    lead = make_catalogue_lead()
    sell(lead, member)
    age(days=20)

    refunds.report_dead([lead.email], at=timezone.now() - timedelta(days=10))

    assert len(refunded(member)) == 1


def test_of_the_same_month_as_many_go_back_to_credit_as_came_from_it(member, operator):
    leads = [make_catalogue_lead() for _ in range(5)]
    give_plan(member.workspace, 3)
    ledger.adjust(member.workspace, credits=2, reason="a present", by=operator)
    for lead in leads:
        sell(lead, member)
    assert standing(member) == (5, 2, 0)

    refunds.report_dead([lead.email for lead in leads[:3]])

    assert refunded(member) == [(-1, 1, "hard bounce"), (-1, 1, "hard bounce"), (-1, 0, "hard bounce")]
    assert standing(member) == (2, 0, 2)
    assert differences() == []


def test_of_an_earlier_month_it_is_credit(member):
    lead = make_catalogue_lead()
    sell(lead, member)
    a_month_passes()
    Export.objects.update(month="2020-01")

    refunds.report_dead([lead.email])

    assert refunded(member) == [(0, 1, "hard bounce")]
    assert standing(member) == (0, 0, 1)
    assert differences() == []


def test_where_the_operator_gave_it_back_already_it_is_credit(member, operator):
    lead = make_catalogue_lead()
    sell(lead, member)
    ledger.adjust(member.workspace, leads=-1, reason="sorry", by=operator)

    refunds.report_dead([lead.email])

    assert standing(member) == (0, 0, 1)


# What was sold


def test_a_lead_known_dead_when_it_was_sold_is_not_given_back(member):
    lead = make_catalogue_lead(email_status="undeliverable")
    sell(lead, member)

    refunds.report_dead([lead.email])
    refunds.refund_due()

    assert refunded(member) == []


def test_an_address_that_the_workspace_wrote_itself_earns_nothing(member, api):
    lead = make_catalogue_lead()
    sell(lead, member)
    copy = copy_of(lead, member)
    api.patch(f"/api/v1/leads/{copy.pk}", {"email": "dead@nowhere.example"})

    refunds.report_dead(["dead@nowhere.example"])
    refunds.refund_due()

    assert copy_of(lead, member).email_status == "undeliverable"
    assert refunded(member) == []


def test_a_copy_with_another_address_is_not_marked_and_yet_given_back_for(member, api):
    lead = make_catalogue_lead()
    sell(lead, member)
    copy = copy_of(lead, member)
    api.patch(f"/api/v1/leads/{copy.pk}", {"email": "found@myself.example"})

    refunds.report_dead([lead.email])

    assert copy_of(lead, member).email_status == "unknown"
    assert len(refunded(member)) == 1


def test_a_copy_that_was_deleted_is_given_back_for(member, api):
    lead = make_catalogue_lead()
    sell(lead, member)
    api.delete(f"/api/v1/leads/{copy_of(lead, member).pk}")

    refunds.report_dead([lead.email])

    assert len(refunded(member)) == 1


def test_an_address_that_the_catalogue_got_later_is_not_what_was_sold(member):
    lead = make_catalogue_lead()
    sell(lead, member)
    Lead.objects.filter(pk=lead.pk).update(email="new@practice.example")

    refunds.report_dead(["new@practice.example"])

    assert refunded(member) == []


def test_an_address_that_the_catalogue_had_then_is_found_by_its_copy(member):
    lead = make_catalogue_lead()
    sell(lead, member)
    Lead.objects.filter(pk=lead.pk).update(email="new@practice.example")

    refunds.report_dead([lead.email])

    assert len(refunded(member)) == 1
    assert Lead.objects.get(pk=lead.pk).email_status == "unknown"


def test_a_lead_of_ones_own_that_was_charged_is_given_back(member):
    lead = make_lead(member.workspace)
    sell(lead, member)

    refunds.report_dead([lead.email])

    assert len(refunded(member)) == 1


def test_a_lead_of_ones_own_that_was_never_exported_is_left_alone(member):
    lead = make_lead(member.workspace)

    outcome = refunds.report_dead([lead.email])

    assert outcome == {lead.email: Found()}
    assert Lead.objects.get(pk=lead.pk).email_status == "unknown"


def test_the_sweep_needs_only_the_status(member, stranger):
    lead = make_catalogue_lead()
    sell(lead, member, stranger)
    set_status("undeliverable", copy_of(lead, member))

    assert refunds.refund_due() == 1
    assert (len(refunded(member)), len(refunded(stranger))) == (1, 0)


def test_the_sweep_asks_as_much_for_three_leads_as_for_one(member, django_assert_num_queries):
    for leads in (1, 3):
        for _ in range(leads):
            lead = make_catalogue_lead()
            sell(lead, member)
            set_status("undeliverable", lead)
        with django_assert_num_queries(8):
            assert refunds.refund_due() == leads


# Nobody makes a lead dead by hand


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AGENT])
def test_no_route_takes_an_email_status(role, member, client_of):
    seller = make_member(role, workspace=member.workspace)
    api = client_of(seller)
    lead = make_catalogue_lead()
    sell(lead, member)
    copy = copy_of(lead, member)
    Lead.objects.filter(pk=copy.pk).update(assigned_user=seller.user)

    tried = [
        api.patch(f"/api/v1/leads/{copy.pk}", {"email_status": "undeliverable"}),
        api.post("/api/v1/leads", {"company": "A", "email_status": "undeliverable"}),
        api.post("/api/leads/add", {"company": "A", "email_status": "undeliverable"}),
        api.post("/api/v1/leads/bulk", {"ids": [copy.pk], "set": {"email_status": "undeliverable"}}),
        api.post(
            "/import/leads", f"email,email_status\n{lead.email},undeliverable\nnew@x.example,undeliverable\n",
            content_type="text/csv",
        ),
    ]  # fmt: skip

    assert {answer.status_code for answer in tried} <= {200, 201, 400, 403}
    assert not Lead.objects.filter(email_status="undeliverable").exists()
    assert refunds.refund_due() == 0


def test_a_merge_takes_no_status_from_another_address(member, api):
    lead, dead = make_catalogue_lead(), make_lead(member.workspace, email_status="undeliverable")
    sell(lead, member)
    copy = copy_of(lead, member)

    chosen = api.post(
        "/api/v1/leads/merge", {"survivor": copy.pk, "losers": [dead.pk], "values": {"email_status": dead.pk}}
    )
    api.post("/api/v1/leads/merge", {"survivor": copy.pk, "losers": [dead.pk]})

    assert chosen.status_code == 400
    assert copy_of(lead, member).email_status == "unknown"
    assert refunds.refund_due() == 0


def test_a_copy_merged_into_a_dead_lead_is_not_dead_itself(member, api):
    lead, dead = make_catalogue_lead(), make_lead(member.workspace, email_status="undeliverable")
    sell(lead, member)
    merged = api.post("/api/v1/leads/merge", {"survivor": dead.pk, "losers": [copy_of(lead, member).pk]})

    assert merged.status_code == 201
    assert copy_of(lead, member).pk == dead.pk
    assert refunds.refund_due() == 0


def test_a_charge_that_a_merge_moved_to_a_dead_lead_stays(member, api):
    paid, dead = make_lead(member.workspace), make_lead(member.workspace, email_status="undeliverable")
    sell(paid, member)
    Lead.objects.filter(pk=dead.pk).update(email_status="unknown")
    api.post("/api/v1/leads/merge", {"survivor": dead.pk, "losers": [paid.pk]})
    assert ExportedLead.objects.get().lead_id == dead.pk

    refunds.report_dead([dead.email])

    assert refunded(member) == []


def test_taking_an_import_back_takes_no_status_to_another_address(member, api):
    lead = make_catalogue_lead(external_id="x1")
    sell(lead, member)
    done = api.post("/import/leads", "external_id,email\nx1,dead@nowhere.example\n", content_type="text/csv")
    refunds.report_dead(["dead@nowhere.example"])
    assert copy_of(lead, member).email_status == "undeliverable"

    api.post(f"/api/v1/imports/{done.json()['import_batch_id']}/undo")

    copy = copy_of(lead, member)
    assert (copy.email, copy.email_status) == (lead.email, "unknown")
    assert refunds.refund_due() == 0


def test_taking_an_import_back_leaves_the_status_of_an_address_that_was_written_since(member, api):
    lead = make_catalogue_lead(external_id="x1")
    sell(lead, member)
    copy = copy_of(lead, member)
    api.patch(f"/api/v1/leads/{copy.pk}", {"email": "dead@nowhere.example"})
    refunds.report_dead(["dead@nowhere.example"])
    done = api.post("/import/leads", "external_id,email\nx1,other@nowhere.example\n", content_type="text/csv")
    api.patch(f"/api/v1/leads/{copy.pk}", {"email": lead.email})

    api.post(f"/api/v1/imports/{done.json()['import_batch_id']}/undo")

    copy = copy_of(lead, member)
    assert (copy.email, copy.email_status) == (lead.email, "unknown")
    assert refunds.refund_due() == 0


def test_a_version_restored_brings_its_own_address_with_its_status(member, api):
    lead = make_catalogue_lead()
    sell(lead, member)
    copy = copy_of(lead, member)
    api.patch(f"/api/v1/leads/{copy.pk}", {"email": "dead@nowhere.example"})
    refunds.report_dead(["dead@nowhere.example"])
    dead_version = copy_of(lead, member).version
    api.patch(f"/api/v1/leads/{copy.pk}", {"email": lead.email})

    restored = api.post(f"/api/v1/leads/{copy.pk}/history/{dead_version}/restore")

    assert restored.status_code == 200
    assert (copy_of(lead, member).email, copy_of(lead, member).email_status) == (
        "dead@nowhere.example",
        "undeliverable",
    )
    assert refunds.refund_due() == 0
