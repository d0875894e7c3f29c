"""Leads of somebody who leaves the workspace have no owner then."""

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts import roles
from accounts.models import Membership, Role
from accounts.tests.factories import make_member
from accounts.tests.mailbox import run_jobs
from leads import leaving
from leads.models import Lead
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(member):
    return make_member(Role.AGENT, member.workspace)


def owners(*leads):
    return [Lead.objects.get(pk=lead.pk).assigned_user_id for lead in leads]


def job_for(user_id):
    return ProcrastinateJob.objects.get(task_name="leads.jobs.release_leads", args__user_id=user_id)


@pytest.mark.django_db(transaction=True)
def test_who_is_taken_out_by_the_api_has_no_leads_there_any_more(client_of, monkeypatch):
    admin, stranger = make_member(), make_member()
    agent = make_member(Role.AGENT, admin.workspace)
    Membership.objects.create(user=agent.user, workspace=stranger.workspace, role=Role.AGENT)
    here, colleagues = (make_lead(admin.workspace, assigned_user=user) for user in (agent.user, admin.user))
    elsewhere = make_lead(stranger.workspace, assigned_user=agent.user)

    client_of(admin).delete(f"/api/v1/members/{agent.pk}")
    run_jobs(monkeypatch, queue="leads")

    assert owners(here, colleagues, elsewhere) == [None, admin.user_id, agent.user_id]
    assert job_for(agent.user_id).status == "succeeded"


def test_the_job_is_queued_for_each_workspace_of_a_deleted_user(agent, stranger):
    Membership.objects.create(user=agent.user, workspace=stranger.workspace, role=Role.AGENT)

    roles.delete_users([agent.user])

    queued = ProcrastinateJob.objects.filter(task_name="leads.jobs.release_leads", args__user_id=agent.user_id)
    assert sorted(job.args["workspace_id"] for job in queued) == [agent.workspace_id, stranger.workspace_id]


@pytest.mark.parametrize("count", [0, 2, 3, 5])
def test_leads_are_released_piece_by_piece_and_counted(agent, monkeypatch, count):
    monkeypatch.setattr(leaving, "_PIECE", 2)
    leads = [make_lead(agent.workspace, assigned_user=agent.user) for _ in range(count)]
    agent.delete()

    released = leaving.release(agent.user_id, agent.workspace_id)

    told = [event.data for event in Event.objects.filter(type="lead.updated").order_by("pk")]
    assert released == count
    assert owners(*leads) == [None] * count
    assert sum(data["count"] for data in told) == count
    assert all(data["fields"] == ["assigned_user_id"] for data in told)


def test_the_history_tells_that_it_was_the_system(member, agent, api):
    lead = make_lead(agent.workspace, assigned_user=agent.user)
    agent.delete()

    leaving.release(agent.user_id, agent.workspace_id)

    change, _creation = api.get(f"/api/v1/leads/{lead.pk}/history").json()["results"]
    assert change["source"] == "system"


def test_doing_it_again_changes_nothing(agent):
    lead = make_lead(agent.workspace, assigned_user=agent.user)
    agent.delete()

    counts = [leaving.release(agent.user_id, agent.workspace_id) for _ in range(2)]

    assert counts == [1, 0]
    assert Lead.objects.get(pk=lead.pk).version == lead.version + 1


def test_who_came_back_meanwhile_keeps_their_leads(agent):
    lead = make_lead(agent.workspace, assigned_user=agent.user)

    assert leaving.release(agent.user_id, agent.workspace_id) == 0
    assert owners(lead) == [agent.user_id]
