"""The ledger: what is entered stays, and the sums follow."""

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import User, Workspace
from accounts.tests.mailbox import run_jobs
from billing.models import TopUp
from billing.signals import plan_changed, topped_up
from leads import auditing, exports, ledger, quotas, refunds
from leads.errors import AdjustsTooFar, CatalogueHasNoQuota
from leads.models import ExportedLead, Lead, LeadCredit, Usage, UsageAlert, UsageEntry
from leads.quotas import current_month
from leads.tests.factories import a_month_passes, give_plan, make_catalogue, make_catalogue_lead, use
from zevix.errors import ValidationFailed
from zevix.models import Event

pytestmark = pytest.mark.django_db


def top_up(workspace, leads=100):
    number = TopUp.objects.count()
    return TopUp.objects.create(workspace=workspace, leads=leads, currency="usd", amount=900, session_id=f"cs_{number}")


def figures(workspace):
    now = quotas.standing(workspace)
    return now.used, now.from_credit, now.credit, now.limit


def changed():
    return list(Event.objects.filter(type="usage.changed").order_by("pk").values_list("data", flat=True))


# Top-ups


def test_a_pack_that_was_paid_is_credit_once(member):
    pack = top_up(member.workspace)

    done = [ledger.credit_top_up(pack.pk) for _ in range(3)]

    assert done == [True, False, False]
    assert figures(member.workspace) == (0, 0, 100, 150)
    assert changed() == [{"used": 0, "remaining": 150, "limit": 150, "month": current_month(), "topped_up": 100}]


def test_a_pack_of_a_workspace_that_is_gone_is_nobodys(db):
    assert ledger.credit_top_up(0) is False


def test_credit_lasts_into_other_months_and_is_used_after_the_plan(member):
    ledger.credit_top_up(top_up(member.workspace, 2).pk)
    give_plan(member.workspace, 1)
    make_catalogue(2)

    exports.export(["id1", "id2"], by=member.user, workspace=member.workspace)
    assert figures(member.workspace) == (2, 1, 1, 3)

    a_month_passes()
    assert figures(member.workspace) == (0, 0, 1, 2)


@pytest.mark.django_db(transaction=True)
def test_a_payment_and_another_plan_are_told_by_jobs(monkeypatch):
    workspace = Workspace.objects.create(name="W")
    pack = top_up(workspace)

    with transaction.atomic():
        topped_up.send(sender=TopUp, top_up_id=pack.pk)
    run_jobs(monkeypatch, "leads")
    give_plan(workspace, 1_000)
    with transaction.atomic():
        plan_changed.send(sender=TopUp, workspace_id=workspace.pk)
    run_jobs(monkeypatch, "leads")

    assert [event["limit"] for event in changed()] == [150, 1_100]
    assert {job.status for job in ProcrastinateJob.objects.filter(queue_name="leads")} == {"succeeded"}


# Adjustments


def test_the_operator_adjusts_either_sum_and_says_why(member, operator):
    use(member.workspace, 10)

    entry = ledger.adjust(member.workspace, leads=-4, reason=" a mistake of ours ", by=operator)
    ledger.adjust(member.workspace, credits=25, reason="a present", by=operator)

    assert (entry.reason, entry.user, entry.month) == ("a mistake of ours", operator, current_month())
    assert figures(member.workspace) == (6, 0, 25, 75)
    assert [event["adjusted"] for event in changed()] == [-4, 25]


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({"leads": -1}, AdjustsTooFar),
        ({"credits": -1}, AdjustsTooFar),
        ({"leads": 10**9, "credits": 1}, ValidationFailed),
        ({"leads": 10**12}, ValidationFailed),
        ({}, ValidationFailed),
        ({"leads": 1, "reason": " "}, ValidationFailed),
        ({"leads": 1, "reason": "\x00"}, ValidationFailed),
    ],
)
def test_what_cannot_be_is_refused_in_words(member, operator, wanted, refusal):
    with pytest.raises(refusal):
        ledger.adjust(member.workspace, **{"reason": "so", "by": operator} | wanted)

    assert not UsageEntry.objects.exists()


def test_no_fewer_are_used_than_came_from_credit(member, operator):
    give_plan(member.workspace, 0)
    ledger.adjust(member.workspace, credits=1, reason="a present", by=operator)
    make_catalogue(1)
    exports.export(["id1"], by=member.user, workspace=member.workspace)

    with pytest.raises(AdjustsTooFar, match="1 came from credit"):
        ledger.adjust(member.workspace, leads=-1, reason="so", by=operator)


def test_the_catalogue_has_no_quota(operator):
    with pytest.raises(CatalogueHasNoQuota):
        ledger.adjust(Workspace.objects.catalogue(), credits=1, reason="so", by=operator)


# What stays


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leads_usageentry SET leads = leads + 1",
        "UPDATE leads_usageentry SET reason = 'another'",
        "DELETE FROM leads_usageentry",
        "UPDATE leads_usage SET used = 0",
        "UPDATE leads_usage SET from_credit = used",
        "UPDATE leads_leadcredit SET balance = 1000",
        "INSERT INTO leads_usage (workspace_id, month, used, limit_when_charged) SELECT id, '2020-01', 5, 5 FROM accounts_workspace",
    ],
)
def test_no_statement_changes_the_books(member, operator, statement):
    use(member.workspace, 3)
    ledger.adjust(member.workspace, credits=2, reason="a present", by=operator)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    assert figures(member.workspace) == (3, 0, 2, 52)


def test_who_is_deleted_leaves_the_entries_without_a_name(member, operator):
    entry = ledger.adjust(member.workspace, credits=2, reason="a present", by=operator)

    User.objects.filter(pk=operator.pk).delete()

    entry.refresh_from_db()
    assert entry.user is None


@pytest.mark.django_db(transaction=True)
def test_a_workspace_that_exported_nothing_is_deleted_with_its_books(member, operator):
    ledger.credit_top_up(top_up(member.workspace).pk)
    ledger.adjust(member.workspace, leads=5, reason="so", by=operator)

    member.workspace.delete()

    assert [model.objects.count() for model in (UsageEntry, Usage, LeadCredit, TopUp)] == [0] * 4


# The API


def entries(api, **query):
    return api.get("/api/v1/usage/entries", query).json()["results"]


def test_usage_shows_the_quota_what_was_told_and_each_months_sums(api, member, operator):
    give_plan(member.workspace, 4)
    use(member.workspace, 9)
    a_month_passes("2026-02")
    ledger.credit_top_up(top_up(member.workspace, 5).pk)
    make_catalogue(5, email="dead@practice.example")
    exports.export(["id1", "id2", "id3", "id4", "id5"], by=member.user, workspace=member.workspace)
    refunds.report_dead(["dead@practice.example"], by=operator)
    ledger.adjust(member.workspace, leads=2, reason="so", by=operator)
    UsageAlert.objects.create(workspace=member.workspace, month="2026-02", threshold=80, plan="free")

    shown = api.get("/api/v1/usage").json()

    month = current_month()
    assert [alert["threshold"] for alert in shown.pop("alerts")] == []
    assert shown.pop("resets_at") == quotas.resets_at(month).isoformat().replace("+00:00", "Z")
    plan = shown.pop("plan")
    assert plan.startswith("plan-")
    assert shown == {
        "month": month, "used": 2, "remaining": 7, "limit": 9, "credit": 5, "from_credit": 0,
        "months": [
            {
                "month": month, "used": 2, "from_credit": 0, "exports": 1, "charged": 5, "refunded": 5,
                "refunded_to_credit": 1, "adjusted": 2, "credit_adjusted": 0, "topped_up": 5,
            },
            {
                "month": "2026-02", "used": 9, "from_credit": 0, "exports": 0, "charged": 0, "refunded": 0,
                "refunded_to_credit": 0, "adjusted": 9, "credit_adjusted": 0, "topped_up": 0,
            },
        ],
    }  # fmt: skip


def test_a_workspace_that_used_nothing_has_this_month(api):
    shown = api.get("/api/v1/usage").json()

    assert [(one["month"], one["used"]) for one in shown["months"]] == [(current_month(), 0)]
    assert (shown["used"], shown["remaining"], shown["plan"], shown["alerts"]) == (0, 50, "free", [])


def test_what_was_told_this_month_is_shown(api, member):
    UsageAlert.objects.create(workspace=member.workspace, month=current_month(), threshold=80, plan="free")

    (alert,) = api.get("/api/v1/usage").json()["alerts"]

    assert (alert["threshold"], alert["plan"]) == (80, "free")


def test_at_most_two_years_are_shown(api, member):
    for year in (2021, 2022, 2023):
        for month in range(1, 13):
            Usage.objects.create(workspace=member.workspace, month=f"{year}-{month:02}")

    months = [one["month"] for one in api.get("/api/v1/usage").json()["months"]]

    assert len(months) == 24
    assert months == sorted(months, reverse=True)
    assert months[0] == current_month()


def test_the_entries_are_shown_newest_first_with_what_they_are_about(api, member, operator):
    lead = make_catalogue_lead()
    receipt = exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)
    refunds.report_dead([lead.email])
    pack = top_up(member.workspace)
    ledger.credit_top_up(pack.pk)
    copy = Lead.objects.for_workspace(member.workspace).get()

    shown = entries(api)

    named = ("kind", "leads", "credits", "reason", "export_id", "lead_id", "top_up_id", "user_id")
    assert [tuple(entry[name] for name in named) for entry in shown] == [
        ("topup", 0, 100, "", None, None, pack.pk, None),
        ("refund", -1, 0, "hard bounce", receipt.export_id, copy.pk, None, None),
        ("charge", 1, 0, "", receipt.export_id, None, None, member.user_id),
    ]


def test_entries_are_narrowed_by_kind_and_month(api, member):
    use(member.workspace, 1)
    a_month_passes("2026-02")
    ledger.credit_top_up(top_up(member.workspace).pk)

    assert [entry["kind"] for entry in entries(api, kind="topup")] == ["topup"]
    assert [entry["kind"] for entry in entries(api, month="2026-02")] == ["adjustment"]
    assert entries(api, kind="charge") == []


@pytest.mark.parametrize("query", [{"kind": "gift"}, {"month": "2026-13"}, {"month": "x\x00"}, {"month": "2026-1"}])
def test_a_filter_that_there_is_not_is_refused(api, query):
    assert api.get("/api/v1/usage/entries", query).status_code == 400


def test_nobody_sees_anothers_ledger(api, stranger, operator):
    use(stranger.workspace, 5)
    ledger.adjust(stranger.workspace, credits=3, reason="theirs", by=operator)

    assert entries(api) == []
    assert api.get("/api/v1/usage").json()["limit"] == 50


@pytest.mark.parametrize(("path", "cost"), [("/api/v1/usage", 5), ("/api/v1/usage/entries", 2)])
def test_the_cost_is_the_same_for_one_row_and_for_three(api, member, path, cost, django_assert_num_queries):
    for number in (1, 2):
        for _ in range(number):
            use(member.workspace, 1)
            UsageAlert.objects.create(
                workspace=member.workspace, month=current_month(), threshold=80, plan=f"p{UsageAlert.objects.count()}"
            )
        with django_assert_num_queries(cost):
            api.get(path)


# Proof


def check(**options):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("check_ledger", stdout=out, stderr=err, **options)
    except SystemExit as end:
        assert end.code == 1
        return out.getvalue().splitlines()
    return out.getvalue().strip()


def tamper(statement, *parameters):
    """As no statement can: with the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, parameters)
        cursor.execute("SET LOCAL session_replication_role = origin")


@pytest.fixture
def history(member, operator):
    """A workspace with an entry of each kind."""
    make_catalogue(2, email="dead@practice.example")
    exports.export(["id1", "id2"], by=member.user, workspace=member.workspace)
    refunds.report_dead(["dead@practice.example"])
    ledger.credit_top_up(top_up(member.workspace).pk)
    ledger.adjust(member.workspace, leads=5, reason="so", by=operator)
    return member.workspace


def test_right_books_are_proved(history):
    assert check() == "The ledger is right."


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE leads_usage SET used = used + 1, limit_when_charged = 99", "used is 6, its entries make 5"),
        ("UPDATE leads_usage SET from_credit = 1", "from credit 1, by its entries 0"),
        ("UPDATE leads_leadcredit SET balance = 7", "credit is 7, its entries make 100"),
        ("DELETE FROM leads_leadcredit", "credit is , its entries make 100"),
        ("UPDATE leads_export SET new_count = 3", "it says 3 new leads, has 2 charges, and entries for 2"),
        (
            "INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id) SELECT workspace_id, 0, id FROM leads_export",
            "it says 2 new leads, has 3 charges, and entries for 2",
        ),
        ("UPDATE billing_topup SET leads = 99", "99 leads were paid, 100 are credited"),
    ],
)
def test_what_differs_is_told_in_a_line(history, statement, found):
    tamper(statement)

    lines = check()

    assert found in lines[0]
    assert f"workspace {history.pk}" in lines[0]


def test_a_pack_that_nobody_credited_is_found_after_a_day(history):
    forgotten = top_up(history, 10)
    assert check() == "The ledger is right."

    TopUp.objects.filter(pk=forgotten.pk).update(created_at=timezone.now() - timedelta(days=2))

    assert check() == [f"workspace {history.pk}, top-up {forgotten.pk}: 10 leads were paid, 0 are credited"]


def test_one_workspace_is_proved_without_the_others(history, stranger):
    tamper("UPDATE leads_leadcredit SET balance = 7")

    assert check(workspace=stranger.workspace_id) == "The ledger is right."
    assert len(check(workspace=history.pk)) == 1


def test_the_nightly_check_logs_what_differs(history, caplog):
    auditing.report()
    assert caplog.records == []

    tamper("UPDATE leads_leadcredit SET balance = 7")
    auditing.report()

    assert [record.levelname for record in caplog.records] == ["ERROR"]


# The admin


def test_the_operator_adjusts_in_the_admin(operator, member, in_admin):
    browser = in_admin(operator)
    form = {"workspace": member.workspace_id, "leads": 0, "credits": 40, "reason": "a present"}

    answer = browser.post("/admin/leads/usageentry/add/", form)

    assert answer.status_code == 302
    entry = UsageEntry.objects.get()
    assert (entry.kind, entry.credits, entry.user) == ("adjustment", 40, operator)
    assert LeadCredit.objects.get().balance == 40


def test_the_admin_says_why_not(operator, member, in_admin):
    form = {"workspace": member.workspace_id, "leads": -3, "credits": 0, "reason": "so"}

    answer = in_admin(operator).post("/admin/leads/usageentry/add/", form, follow=True)

    assert "no fewer can be used" in answer.content.decode()
    assert not UsageEntry.objects.exists()


def test_a_manager_reads_their_ledger_and_adds_nothing(member, in_admin):
    use(member.workspace, 1)
    entry = UsageEntry.objects.get()
    browser = in_admin(member.user)

    assert browser.get(f"/admin/leads/usageentry/{entry.pk}/change/").status_code == 200
    assert browser.get("/admin/leads/usageentry/add/").status_code == 403
    assert browser.post(f"/admin/leads/usageentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("sold", [True, False])
def test_the_operator_refunds_a_dead_lead_in_the_admin(sold, operator, member, in_admin):
    lead = make_catalogue_lead()
    exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)
    row = ExportedLead.objects.get() if sold else lead

    answer = in_admin(operator).post(
        f"/admin/leads/{row._meta.model_name}/", {"action": "refund_dead", "_selected_action": [row.pk]}, follow=True
    )

    assert "2 leads marked as undeliverable, 1 refunded." in answer.content.decode()
    assert UsageEntry.objects.get(kind="refund").user == operator


def test_a_manager_refunds_nothing(member, in_admin):
    lead = make_catalogue_lead()
    exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)

    in_admin(member.user).post(
        "/admin/leads/exportedlead/",
        {"action": "refund_dead", "_selected_action": [ExportedLead.objects.get().pk]},
    )

    assert not UsageEntry.objects.filter(kind="refund").exists()


def test_a_workspaces_page_shows_its_credit_beside_the_quota(operator, member, in_admin):
    ledger.adjust(member.workspace, credits=30, reason="a present", by=operator)
    use(member.workspace, 2)

    page = in_admin(operator).get(f"/admin/accounts/workspace/{member.workspace_id}/change/").content.decode()

    assert "2 / 80" in page
