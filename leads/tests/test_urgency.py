"""Which leads need action, in which order, and how it comes about by mere time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import activities, editing, jobs, urgency
from leads.history import SYSTEM
from leads.models import Activity, Lead, LeadVersion
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db

URL = "/leads/needs-action"
NOW = timezone.now()


def day(number):
    return datetime(2024, 5, number, 9, tzinfo=UTC)


def ago(**time):
    return NOW - timedelta(**time)


def ids(answer):
    return [lead["id"] for lead in answer.json()["leads"]]


def needs_action(lead):
    return Lead.objects.values_list("needs_action", flat=True).get(pk=lead.pk)


def settled(workspace, **fields):
    """A lead that needs no action, and has been there for long."""
    lead = make_lead(workspace, needs_action=False, **{"status": "CONTACTED", "last_contact": NOW, **fields})
    Lead.objects.filter(pk=lead.pk).update(created_at=ago(days=1500))
    return lead


# The list


def test_a_lead_is_told_in_short(api, member):
    lead = make_lead(
        member.workspace, name="Anna", next_action_at=day(1), next_action_description="Call", last_contact=day(2)
    )

    answer = api.get(URL)

    assert answer.json() == {
        "leads": [
            {
                "id": lead.pk,
                "name": "Anna",
                "email": lead.email,
                "company": lead.company,
                "status": "NEW",
                "next_action_at": "2024-05-01T09:00:00Z",
                "next_action_description": "Call",
                "last_contact": "2024-05-02T09:00:00Z",
            }
        ]
    }


def test_the_most_urgent_come_first(api, member):
    never = make_lead(member.workspace)
    lately = make_lead(member.workspace, last_contact=day(9))
    longest = make_lead(member.workspace, last_contact=day(1))
    planned = make_lead(member.workspace, next_action_at=NOW + timedelta(days=3))
    overdue = make_lead(member.workspace, next_action_at=day(3), last_contact=day(9))
    make_lead(member.workspace, needs_action=False, next_action_at=day(1))

    assert ids(api.get(URL)) == [lead.pk for lead in (overdue, planned, never, longest, lately)]


def test_there_are_eight_unless_one_asks_for_others(api, member):
    leads = [make_lead(member.workspace).pk for _ in range(10)]

    assert ids(api.get(URL)) == leads[:8]
    assert ids(api.get(f"{URL}?limit=3")) == leads[:3]
    assert ids(api.get(f"{URL}?limit=500")) == leads


def test_agents_read_every_lead_or_narrow_the_list(client_of, member):
    agent = make_member(Role.AGENT, member.workspace)
    mine, others, nobodys = (
        make_lead(member.workspace, assigned_user=user).pk for user in (agent.user, member.user, None)
    )
    api = client_of(agent)

    found = [ids(api.get(f"{URL}{query}")) for query in ("", "?assigned_to=me", "?assigned_to=none")]

    assert found == [[mine, others, nobodys], [mine], [nobodys]]
    assert ids(api.get(f"{URL}?assigned_to={member.user.pk}")) == [others]


def test_another_workspaces_leads_are_not_listed(api, stranger):
    make_lead(stranger.workspace, assigned_user=stranger.user)

    assert ids(api.get(URL)) == ids(api.get(f"{URL}?assigned_to={stranger.user.pk}")) == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=501", "limit=x", "limit=-1", "limit=1.5", "limit=99999999999999999999", "limit=",
        "assigned_to=somebody", "assigned_to=", "assigned_to=99999999999999999999", "status=NEW",
    ],
)  # fmt: skip
def test_a_query_that_can_not_be_is_a_validation_error(api, query):
    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [query.split("=")[0]]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_is_one_query_besides_the_members(api, member, django_assert_num_queries, rows):
    for _ in range(rows):
        make_lead(member.workspace)

    with django_assert_num_queries(2):
        answer = api.get(URL)

    assert len(ids(answer)) == rows


def test_the_list_walks_its_index(member):
    wanted = urgency.most_urgent_first(Lead.objects.for_workspace(member.workspace))[:8]

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
    plan = wanted.explain()

    assert "Index Scan using leads_most_urgent_first" in plan
    assert "Sort" not in plan


# What comes about by time


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"last_contact": ago(days=31)}, True),
        ({"last_contact": ago(days=29)}, False),
        ({"last_contact": ago(days=31), "status": "WON"}, False),
        ({"last_contact": ago(days=31), "status": "LOST"}, False),
        ({"next_action_at": ago(hours=1)}, True),
        ({"next_action_at": NOW + timedelta(days=1)}, False),
        ({"next_action_at": ago(hours=1), "status": "WON"}, False),
    ],
)
def test_a_lead_that_nobody_touched_comes_to_need_action(member, fields, needed):
    lead = settled(member.workspace, **fields)

    marked = urgency.mark_due()

    assert (marked, needs_action(lead)) == (int(needed), needed)


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"due_at": ago(hours=1)}, True),
        ({"due_at": NOW + timedelta(days=1)}, False),
        ({"due_at": ago(hours=1), "done_at": NOW}, False),
        ({}, False),
    ],
)
def test_so_does_one_with_a_task_that_came_due_even_if_it_is_won(member, fields, needed):
    lead = settled(member.workspace, status="WON")
    Activity.objects.create(workspace=member.workspace, lead=lead, type="task", text="x", **fields)

    urgency.mark_due()

    assert needs_action(lead) is needed


@pytest.mark.parametrize("fields", [{"last_contact": ago(days=31)}, {"next_action_at": ago(hours=1)}])
def test_a_mark_that_somebody_removed_after_the_moment_is_not_set_again(member, fields):
    lead = settled(member.workspace, **fields)
    urgency.mark_due()
    editing.update(lead.pk, {"needs_action": False}, workspace=member.workspace, by=SYSTEM)

    marked = urgency.mark_due()

    assert (marked, needs_action(lead)) == (0, False)


def test_one_that_was_removed_before_the_moment_is(member):
    lead = settled(member.workspace, last_contact=ago(days=31))
    editing.update(lead.pk, {"needs_action": True}, workspace=member.workspace, by=SYSTEM)
    editing.update(lead.pk, {"needs_action": False}, workspace=member.workspace, by=SYSTEM)
    LeadVersion.objects.update(pgh_created_at=ago(days=5))

    urgency.mark_due()

    assert needs_action(lead) is True


def test_a_change_of_something_else_after_the_moment_hides_nothing(member):
    lead = settled(member.workspace, last_contact=ago(days=31))
    editing.update(lead.pk, {"notes": "x"}, workspace=member.workspace, by=SYSTEM)

    urgency.mark_due()

    assert needs_action(lead) is True


def test_what_was_brought_as_needing_nothing_after_the_moment_stays_so(member):
    lead = make_lead(member.workspace, needs_action=False, last_contact=ago(days=60), next_action_at=ago(days=2))

    urgency.mark_due()

    assert needs_action(lead) is False


def test_each_workspace_hears_of_it_once_and_the_history_tells_that_time_did_it(member, stranger):
    leads = [settled(workspace, next_action_at=day(1)) for workspace in (member.workspace,) * 2 + (stranger.workspace,)]

    marked = urgency.mark_due()

    assert marked == 3
    assert list(Event.objects.order_by("workspace").values_list("workspace", "type", "data")) == [
        (workspace.pk, "lead.updated", {"count": count, "fields": ["needs_action"]})
        for workspace, count in ((member.workspace, 2), (stranger.workspace, 1))
    ]
    told = LeadVersion.objects.filter(pgh_obj=leads[0].pk).order_by("-pgh_id").first()
    assert (told.pgh_context["source"], told.pgh_context["act"]) == ("system", "time")


def test_the_hourly_job_goes_on_until_none_is_left(member, monkeypatch):
    monkeypatch.setattr(jobs, "_CHUNK", 2)
    leads = [settled(member.workspace, next_action_at=day(1)) for _ in range(5)]

    jobs.mark_due_leads(0)

    assert Lead.objects.filter(needs_action=True).count() == len(leads)
    assert Event.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_lead_that_is_being_changed_is_left_to_the_next_time():
    from concurrent.futures import ThreadPoolExecutor

    from django.db import transaction

    lead, other = (settled(make_member().workspace, next_action_at=day(1)) for _ in range(2))

    def mark():
        try:
            return urgency.mark_due()
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        Lead.objects.select_for_update().get(pk=lead.pk)
        meanwhile = pool.submit(mark).result(10)

    assert (meanwhile, needs_action(lead), needs_action(other)) == (1, False, True)
    assert (urgency.mark_due(), needs_action(lead)) == (1, True)


def test_the_daily_job_empties_the_bins_of_what_was_deleted_long_ago(member, monkeypatch):
    monkeypatch.setattr(jobs, "_CHUNK", 1)
    old = [make_lead(member.workspace) for _ in range(3)]
    new = make_lead(member.workspace)
    for lead in (*old, new):
        activities.add(lead.pk, {"type": "note", "text": "x"}, workspace=member.workspace, by=SYSTEM)
    editing.delete(Lead.objects.all(), by=SYSTEM)
    LeadVersion.objects.filter(pgh_obj__in=[lead.pk for lead in old]).update(pgh_created_at=ago(days=31))

    jobs.empty_bins(0)

    assert list(LeadVersion.objects.values_list("pgh_obj", flat=True)) == [new.pk]
    assert list(Activity.objects.values_list("lead", flat=True)) == [new.pk]
