"""A deal that the AI notes, or that somebody approves, is made in Pipedrive, too; by workspaces that are connected."""

from decimal import Decimal

import pytest
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from crm.models import Deal
from crm.pipedrive import accounts
from crm.pipedrive.deals import making
from crm.pipedrive.limits import Lane
from crm.tests.factories import make_connection
from leads import deals
from leads.history import Author
from leads.models import Activity, Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db


def want(lead, member, title="Blinds"):
    return deals.want(
        lead.pk, title, Decimal("1200.50"), "EUR", workspace=member.workspace, by=Author.of(member, "ai")
    )  # fmt: skip


def drains():
    return list(
        ProcrastinateJob.objects.filter(task_name="crm.jobs.drain", status="todo").values_list("args", flat=True)
    )


def test_the_wish_is_kept_and_its_job_queued(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server)
    lead = make_lead(member.workspace)
    ProcrastinateJob.objects.all().delete()

    want(lead, member)

    deal = Deal.objects.get()
    assert (deal.lead_id, deal.title, deal.value, deal.currency, deal.status, deal.wanted_by_id) == (
        lead.pk, "Blinds", Decimal("1200.50"), "EUR", "queued", member.user_id,
    )  # fmt: skip
    assert drains() == [{"connection_id": connection.pk}]


def test_the_deal_arrives_in_the_stage_of_a_proposal(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server)
    lead = make_lead(member.workspace, name="Ada", email="ada@engines.example")

    want(lead, member)
    making.make_queued(accounts.open(connection, lane=Lane.BACKGROUND))

    deal = pipedrive_server.people.deals.all()[0]
    stages = {one["id"]: one["name"] for one in pipedrive_server.people.stages.all()}
    assert (deal["title"], deal["value"], stages[deal["stage_id"]]) == ("Blinds", 1200.5, "Proposal made")
    assert Lead.objects.get().status == "PROPOSAL"


def test_the_same_deal_noted_twice_is_made_once(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server)
    lead = make_lead(member.workspace)

    want(lead, member)
    making.make_queued(accounts.open(connection, lane=Lane.BACKGROUND))
    want(lead, member)
    making.make_queued(accounts.open(connection, lane=Lane.BACKGROUND))

    assert (Deal.objects.count(), len(pipedrive_server.people.deals.all())) == (1, 1)
    assert Activity.objects.filter(type="task").count() == 2


def test_nothing_is_kept_of_what_is_undone(member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server)
    lead = make_lead(member.workspace)
    ProcrastinateJob.objects.all().delete()

    with pytest.raises(RuntimeError), transaction.atomic():
        want(lead, member)
        raise RuntimeError

    assert (Deal.objects.count(), drains()) == (0, [])


def test_without_a_connection_there_is_the_task_alone(member):
    lead = make_lead(member.workspace)

    want(lead, member)

    assert (Deal.objects.count(), Activity.objects.filter(type="task").count()) == (0, 1)
