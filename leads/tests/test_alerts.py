"""Alerts: who nears the end of a quota is told, once for each threshold, month and plan."""

import pytest
from django.core import mail
from django.utils import translation
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Role
from accounts.tests.factories import make_member, make_workspace
from accounts.tests.mailbox import run_jobs
from leads import alerts
from leads.models import UsageAlert
from leads.quotas import Standing
from zevix.models import Event

pytestmark = pytest.mark.django_db


def standing(used, **fields):
    return Standing(**{"from_credit": 0, "credit": 0, "monthly_leads": 100, "month": "2026-02", "plan": "pro"} | fields, used=used)  # fmt: skip


def told():
    return [(event.data["threshold"], event.data["used"]) for event in Event.objects.filter(type="usage.alert").order_by("pk")]  # fmt: skip


def noted():
    return sorted(UsageAlert.objects.values_list("threshold", flat=True))


def test_below_the_first_threshold_nothing_is_asked_of_the_database(member, django_assert_num_queries):
    with django_assert_num_queries(0):
        alerts.note(standing(79), workspace_id=member.workspace_id)

    assert told() == []


def test_a_threshold_is_told_once_with_the_figures(member):
    alerts.note(standing(80), workspace_id=member.workspace_id)
    alerts.note(standing(81), workspace_id=member.workspace_id)

    (event,) = Event.objects.filter(type="usage.alert")
    assert event.workspace_id == member.workspace_id
    assert event.data == {
        "threshold": 80, "used": 80, "remaining": 20, "limit": 100, "month": "2026-02", "plan": "pro",
    }  # fmt: skip


def test_the_end_is_told_after_the_first_threshold(member):
    for used in (80, 99, 100):
        alerts.note(standing(used), workspace_id=member.workspace_id)

    assert told() == [(80, 80), (100, 100)]


def test_both_at_once_are_noted_and_only_the_end_is_told(member):
    alerts.note(standing(100), workspace_id=member.workspace_id)
    alerts.note(standing(85, month="2026-02"), workspace_id=member.workspace_id)

    assert told() == [(100, 100)]
    assert noted() == [80, 100]


def test_another_month_and_another_plan_are_told_anew(member):
    for fields in ({}, {"month": "2026-03"}, {"plan": "max"}):
        alerts.note(standing(80, **fields), workspace_id=member.workspace_id)

    assert told() == [(80, 80)] * 3


def test_credit_counts_to_the_limit(member):
    alerts.note(standing(100, credit=100), workspace_id=member.workspace_id)

    assert told() == []


def test_a_plan_of_nothing_has_no_thresholds(member, django_assert_num_queries):
    with django_assert_num_queries(0):
        alerts.note(standing(0, monthly_leads=0), workspace_id=member.workspace_id)


def test_workspaces_are_told_apart(member, stranger):
    for one in (member, stranger):
        alerts.note(standing(80), workspace_id=one.workspace_id)

    assert told() == [(80, 80)] * 2


@pytest.mark.django_db(transaction=True)
def test_each_admin_gets_a_mail_and_nobody_else(monkeypatch):
    workspace = make_workspace(name="Acme\r\nBcc: all@example.com")
    admins = [make_member(workspace=workspace) for _ in range(2)]
    make_member(workspace=workspace, is_active=False)
    make_member(Role.MANAGER, workspace=workspace)
    make_member()

    alerts.note(standing(800, monthly_leads=1000), workspace_id=workspace.pk)
    run_jobs(monkeypatch)

    assert sorted(letter.to[0] for letter in mail.outbox) == sorted(admin.user.email for admin in admins)
    assert {letter.subject for letter in mail.outbox} == {
        "Acme Bcc: all@example.com has used 80% of this month's leads"
    }
    assert "has used 800 of 1,000 leads. The month ends on Feb. 28, 2026 at midnight (UTC)" in mail.outbox[0].body


@pytest.mark.django_db(transaction=True)
def test_the_mail_is_in_the_language_of_the_request(monkeypatch):
    member = make_member()

    with translation.override("de"):
        alerts.note(standing(1000, monthly_leads=1000), workspace_id=member.workspace_id)
    run_jobs(monkeypatch)

    (letter,) = mail.outbox
    assert "1.000" in letter.body
    assert "28. Februar 2026" in letter.body


@pytest.mark.django_db(transaction=True)
def test_a_workspace_that_is_gone_gets_no_mail(monkeypatch):
    member = make_member()
    alerts.note(standing(80), workspace_id=member.workspace_id)
    member.workspace.delete()

    run_jobs(monkeypatch)

    assert mail.outbox == []
    assert ProcrastinateJob.objects.filter(queue_name="mail").latest("id").status == "succeeded"


def test_who_used_more_than_a_smaller_plan_has_is_told_by_the_credit_that_is_left(member):
    """Of 601 leads that were used the plan has 50 now; 99 bought on top are left."""
    downgraded = {"monthly_leads": 50, "from_credit": 1, "credit": 99}

    alerts.note(standing(601, **downgraded), workspace_id=member.workspace_id)

    assert told() == [(80, 601)]
