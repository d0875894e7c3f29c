import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership
from accounts.tests.factories import make_member
from crm.models import Connection, TokenMeter

pytestmark = pytest.mark.django_db

LIST = "admin:crm_tokenmeter_changelist"


def make_meter(workspace=None, **fields):
    connection = Connection.objects.create(workspace=workspace or make_member().workspace, company_name="Engines Ltd.")
    return TokenMeter.objects.create(connection=connection, workspace=connection.workspace, **fields)


def page(meter):
    return reverse("admin:crm_tokenmeter_change", args=[meter.pk])


def test_a_manager_sees_how_much_of_the_day_is_used(member, in_admin):
    make_meter(member.workspace, day=timezone.now().date(), spent=12_345)

    shown = in_admin(member.user).get(reverse(LIST)).content.decode()

    assert '<progress value="12345" max="30000"></progress> 12,345 / 30,000' in shown


def test_what_was_used_yesterday_counts_no_more(member, in_admin):
    meter = make_meter(member.workspace, day="2026-01-01", spent=12_345)

    shown = in_admin(member.user).get(page(meter)).content.decode()

    assert '<progress value="0" max="30000"></progress> 0 / 30,000' in shown


def test_a_manager_tells_what_the_account_may_ask(member, in_admin):
    meter = make_meter(member.workspace, day=timezone.now().date(), spent=5)

    in_admin(member.user).post(
        page(meter), {"daily_limit": 60_000, "burst_limit": 40, "search_limit": 10, "spent": 0, "closed_until_0": ""}
    )

    meter.refresh_from_db()
    assert (meter.daily_limit, meter.burst_limit, meter.spent) == (60_000, 40, 5)


@pytest.mark.parametrize("limit", ["-1", "many", "99999999999999999999", ""])
def test_a_limit_that_is_none_is_refused(member, in_admin, limit):
    meter = make_meter(member.workspace)

    answer = in_admin(member.user).post(page(meter), {"daily_limit": limit, "burst_limit": 40, "search_limit": 10})

    assert answer.status_code == 200
    assert "daily_limit" in answer.context["adminform"].form.errors


def test_nobody_adds_or_deletes_a_meter_by_hand(operator, in_admin):
    meter = make_meter()
    browser = in_admin(operator)

    answers = [
        browser.get(reverse("admin:crm_tokenmeter_add")),
        browser.post(reverse("admin:crm_tokenmeter_delete", args=[meter.pk]), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_list_costs_the_same_however_long_it_is(rows, operator, in_admin, django_assert_num_queries):
    for _ in range(rows):
        make_meter()
    browser = in_admin(operator)
    browser.get(reverse(LIST))

    with django_assert_num_queries(4):
        browser.get(reverse(LIST))


def test_a_manager_of_two_workspaces_tells_their_meters_apart(member, in_admin):
    other = make_member().workspace
    Membership.objects.create(user=member.user, workspace=other, role="manager")
    make_meter(member.workspace), make_meter(other), make_meter()

    answer = in_admin(member.user).get(reverse(LIST))

    assert {meter.workspace_id for meter in answer.context["cl"].result_list} == {member.workspace_id, other.pk}
