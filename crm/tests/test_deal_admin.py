"""Deals in the admin: to be read, tried again, and given up."""

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from crm.models import Creation, Deal
from crm.tests.factories import make_connection
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

LIST = "/admin/crm/deal/"


@pytest.fixture
def connection(member, pipedrive_server):
    return make_connection(member.workspace, pipedrive_server, by=member.user)


@pytest.fixture
def operators(in_admin, operator):
    return in_admin(operator)


def deal(connection, **fields):
    lead = make_lead(connection.workspace, company="Engines")
    told = {"workspace": connection.workspace, "connection": connection, "lead": lead}
    return Deal.objects.create(**told, **{"title": "Blinds", "value": 1200, "currency": "EUR", **fields})


def act(browser, action, *deals):
    chosen = {"action": action, "_selected_action": [one.pk for one in deals]}
    return browser.post(LIST, chosen, follow=True).content.decode()


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_however_long_it_is(operators, connection, django_assert_num_queries, count):
    for number in range(count):
        deal(connection, remote_id=number + 1, status="open")
    operators.get(LIST)

    with django_assert_num_queries(4):
        page = operators.get(LIST).content.decode()

    assert page.count("1,200.00 EUR") == count


def test_deals_are_found_by_words_and_status(operators, connection):
    deal(connection, title="Blinds", remote_id=4711, status="open")
    deal(connection, title="Curtains", problem="Pipedrive can't be reached")

    def found(query):
        page = operators.get(LIST + query).content.decode()
        return [title for title in ("Blinds", "Curtains") if f">{title}<" in page]

    assert found("?q=curt") == ["Curtains"]
    assert found("?q=4711") == ["Blinds"]
    assert found("?q=reached") == ["Curtains"]
    assert found("?status__exact=open") == ["Blinds"]


def test_a_deal_is_read_not_written(operators, connection):
    one = deal(connection, remote_id=5, status="open", pipeline_id=connection.pipeline_id, stage_id=1)
    page = reverse("admin:crm_deal_change", args=[one.pk])

    shown = operators.get(page)
    written = operators.post(page, {"title": "Mine"})

    assert shown.status_code == 200
    assert "Qualified" in shown.content.decode()
    assert written.status_code == 403
    assert operators.get(reverse("admin:crm_deal_add")).status_code == 403


def test_a_deal_of_a_lead_in_the_bin_is_shown_by_the_leads_number(operators, connection):
    one = deal(connection, remote_id=5, status="open")
    one.lead.delete()

    assert f"#{one.lead_id}" in operators.get(LIST).content.decode()


def test_refused_ones_are_tried_again_and_others_say_why_not(operators, connection):
    refused = deal(connection, status="refused", problem="No", attempts=3)
    there = deal(connection, status="open", remote_id=5, title="Curtains")

    page = act(operators, "try_again", refused, there)

    refused.refresh_from_db()
    assert (refused.status, refused.problem, refused.attempts) == ("queued", "", 0)
    assert "1 deal is tried again." in page
    assert "Curtains: This deal is in Pipedrive already" in page


def test_waiting_ones_are_given_up_unless_they_may_be_there(operators, connection):
    queued, asked, there = deal(connection), deal(connection), deal(connection, status="open", remote_id=5)
    Creation.objects.create(
        workspace=connection.workspace, connection=connection, kind="deal", key=str(asked.pk), sent_at=asked.created_at
    )

    page = act(operators, "give_up", queued, asked, there)

    assert list(Deal.objects.order_by("pk")) == [asked, there]
    assert "1 deal given up." in page
    assert "may have made it" in page


def test_managers_see_the_deals_of_their_workspaces(in_admin, member, stranger, connection, pipedrive_server):
    manager = make_member(Role.MANAGER, member.workspace)
    deal(connection, title="Ours")
    theirs = deal(make_connection(stranger.workspace, pipedrive_server), title="Theirs")
    browser = in_admin(manager.user)

    page = browser.get(LIST).content.decode()
    act(browser, "give_up", theirs)

    assert (">Ours<" in page, ">Theirs<" in page) == (True, False)
    assert browser.get(reverse("admin:crm_deal_change", args=[theirs.pk])).status_code in (302, 404)
    assert Deal.objects.filter(pk=theirs.pk).exists()
