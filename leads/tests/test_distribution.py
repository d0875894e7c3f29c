"""Who gets which lead: strategies, territories, capacity, absence, waiting, and when leads arrive."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Membership, Role
from accounts.tests.factories import make_member
from accounts.tests.mailbox import run_jobs
from leads import editing, jobs
from leads.distribution import distributing, rules
from leads.distribution.distributing import Run
from leads.history import SYSTEM, Author
from leads.models import Assignment, DistributionRule, Lead, LeadVersion, WaitingLead
from leads.tests.factories import make_catalogue, make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db

DISTRIBUTE = "/api/v1/leads/distribute"


def make_agents(workspace, count):
    return [make_member(Role.AGENT, workspace) for _ in range(count)]


def make_rule(workspace, members=(), **fields):
    """``members`` are memberships, or pairs of one and its fields in the rule."""
    pairs = [pair if isinstance(pair, tuple) else (pair, {}) for pair in members]
    written = [{"user_id": member.user_id, "weight": 1, **of_member} for member, of_member in pairs]
    number = DistributionRule.objects.count() + 1
    rule_id = rules.create({"name": f"Rule {number}", **fields, "members": written}, workspace=workspace)
    return DistributionRule.objects.get(pk=rule_id)


def available(member, **fields):
    rules.set_availability(member.user, fields, workspace=member.workspace)


def distribute(workspace, leads=None, **options):
    ids = [lead.pk for lead in leads] if leads is not None else Lead.objects.values_list("pk", flat=True)
    return distributing.distribute(list(ids), workspace=workspace, by=SYSTEM, **options)


def owners(leads):
    found = dict(Lead.objects.values_list("pk", "assigned_user"))
    return [found[lead.pk] for lead in leads]


def make_leads(workspace, count, **fields):
    return [make_lead(workspace, **fields) for _ in range(count)]


def queued():
    jobs = ProcrastinateJob.objects.filter(task_name="leads.jobs.distribute", status="todo").order_by("id")
    return [job.args["run"] for job in jobs]


def work_off():
    """Do what is queued, as a worker would, until nothing is left."""
    done = 0
    while done < len(runs := queued()):
        distributing.carry_on(Run(**runs[done]))
        done += 1
    return done


# Strategies


def test_in_turn_each_gets_the_same_number_and_nobody_two_in_a_row(member):
    a, b, c = make_agents(member.workspace, 3)
    make_rule(member.workspace, [a, b, c])
    leads = make_leads(member.workspace, 7)

    distribute(member.workspace)

    assert owners(leads) == [one.user_id for one in (a, b, c, a, b, c, a)]


def test_the_turn_goes_on_where_the_last_distribution_ended(member):
    a, b, c = make_agents(member.workspace, 3)
    make_rule(member.workspace, [a, b, c])
    leads = make_leads(member.workspace, 6)

    for lead in leads:
        distribute(member.workspace, [lead])

    assert owners(leads) == [one.user_id for one in (a, b, c, a, b, c)]


def test_by_weight_a_full_cycle_is_exact_and_spread_out(member):
    a, b, c = make_agents(member.workspace, 3)
    make_rule(member.workspace, [(a, {"weight": 5}), (b, {"weight": 1}), (c, {"weight": 1})], strategy="weighted")
    leads = make_leads(member.workspace, 14)

    distribute(member.workspace, leads[:3])
    distribute(member.workspace, leads[3:])

    assert owners(leads) == [one.user_id for one in (a, a, b, a, c, a, a) * 2]


def test_whoever_has_the_fewest_open_leads_is_next(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a, b], strategy="least_busy")
    make_leads(member.workspace, 2, assigned_user=a.user)
    make_leads(member.workspace, 1, assigned_user=b.user)
    make_leads(member.workspace, 5, assigned_user=b.user, status="WON")
    make_leads(member.workspace, 5, assigned_user=b.user, status="LOST")
    leads = make_leads(member.workspace, 4)

    distribute(member.workspace)

    assert owners(leads) == [one.user_id for one in (b, a, b, a)]


def test_leads_in_another_workspace_keep_nobody_busy(member, stranger):
    a, b = make_agents(member.workspace, 2)
    Membership.objects.create(user=a.user, workspace=stranger.workspace)
    make_leads(stranger.workspace, 3, assigned_user=a.user)
    make_rule(member.workspace, [a, b], strategy="least_busy")
    lead = make_lead(member.workspace)

    distribute(member.workspace)

    assert owners([lead]) == [a.user_id]


def test_by_territory_each_gets_their_own_in_turn_where_they_overlap(member):
    ohio, akron, texas = make_agents(member.workspace, 3)
    make_rule(
        member.workspace,
        [(ohio, {"states": ["OH"]}), (akron, {"zip_prefixes": ["443"]}), (texas, {"states": ["TX"]})],
        strategy="territory",
    )
    leads = [
        make_lead(member.workspace, state="oh", zip_code="43004"),
        make_lead(member.workspace, state="TX", zip_code="75001"),
        make_lead(member.workspace, state="OH", zip_code="44301"),
        make_lead(member.workspace, state="OH", zip_code="44302-1234"),
    ]

    distribute(member.workspace)

    # the one in Ohio has had a lead already when both are suited
    assert owners(leads) == [one.user_id for one in (ohio, texas, ohio, akron)]


# Which rule


@pytest.mark.parametrize(
    ("conditions", "lead", "taken"),
    [
        ({}, {}, True),
        ({"states": ["OH", "tx"]}, {"state": "TX"}, True),
        ({"states": ["OH"]}, {"state": ""}, False),
        ({"states": ["OH"], "zip_prefixes": ["75"]}, {"state": "TX", "zip_code": "75001"}, True),
        ({"states": ["OH"], "zip_prefixes": ["75"]}, {"state": "TX", "zip_code": "76001"}, False),
        ({"zip_prefixes": ["ec1a"]}, {"zip_code": "EC1A 1BB"}, True),
        ({"zip_prefixes": ["445"]}, {"zip_code": "1445"}, False),
        ({"specialties": ["dentist", "DERMATOLOGY"]}, {"specialties": ["Surgery", "Dermatology"]}, True),
        ({"specialties": ["dent"]}, {"specialties": ["Dentist"]}, False),
        ({"tags": ["hot"]}, {"tags": ["Hot", "fair"]}, True),
        ({"tags": ["hot"]}, {"tags": []}, False),
        ({"tags": ["hot"], "states": ["OH"]}, {"tags": ["hot"], "state": "TX"}, False),
        ({"tags": ["hot"], "specialties": ["a"]}, {"tags": ["hot"], "specialties": ["a"]}, True),
        ({"tags": ["straße"]}, {"tags": ["STRASSE"]}, True),
    ],
)
def test_a_rule_takes_the_leads_that_it_names(member, conditions, lead, taken):
    make_rule(member.workspace, [member], **conditions)
    arrived = make_lead(member.workspace, **lead)

    distribute(member.workspace)

    assert owners([arrived]) == [member.user_id if taken else None]


def test_the_first_rule_that_has_somebody_free_decides(member):
    first, second, last = make_agents(member.workspace, 3)
    make_rule(member.workspace, [last], position=9)
    make_rule(member.workspace, [second], position=2, states=["OH"])
    make_rule(member.workspace, [first], position=1, states=["OH"], tags=["hot"])
    available(first, daily_capacity=1)
    leads = [
        make_lead(member.workspace, state="OH", tags=["hot"]),
        make_lead(member.workspace, state="OH", tags=["hot"]),
        make_lead(member.workspace, state="TX"),
    ]

    distribute(member.workspace)

    assert owners(leads) == [one.user_id for one in (first, second, last)]


def test_a_rule_that_is_off_takes_nothing(member):
    make_rule(member.workspace, [member], is_active=False)
    lead = make_lead(member.workspace)

    outcome = distribute(member.workspace)

    assert outcome.waiting == [(lead.pk, "no_rule")]


def test_a_members_own_territory_narrows_the_rules(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [(a, {"tags": ["hot"]}), b])
    leads = [make_lead(member.workspace) for _ in range(2)]

    distribute(member.workspace)

    assert owners(leads) == [b.user_id, b.user_id]


def test_another_workspaces_rules_give_nothing(member, stranger):
    make_rule(stranger.workspace, [stranger])
    lead = make_lead(member.workspace)

    outcome = distribute(member.workspace)

    assert outcome.waiting == [(lead.pk, "no_rule")]


def test_who_has_left_or_may_not_sign_in_gets_nothing(member):
    left, blocked, here = make_agents(member.workspace, 3)
    make_rule(member.workspace, [left, blocked, here])
    left.delete()
    blocked.user.is_active = False
    blocked.user.save()
    leads = make_leads(member.workspace, 3)

    distribute(member.workspace)

    assert owners(leads) == [here.user_id] * 3


# Who is free


def test_nobody_gets_more_than_they_take_a_day(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a, b])
    available(a, daily_capacity=1)
    available(b, daily_capacity=2)
    leads = make_leads(member.workspace, 5)

    distribute(member.workspace, leads[:2])
    outcome = distribute(member.workspace, leads[2:])

    assert owners(leads) == [a.user_id, b.user_id, b.user_id, None, None]
    assert outcome.waiting == [(lead.pk, "nobody_free") for lead in leads[3:]]


def test_a_new_day_in_utc_begins_with_the_whole_capacity(member):
    make_rule(member.workspace, [member])
    available(member, daily_capacity=1)
    distribute(member.workspace, [make_lead(member.workspace)])
    yesterday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)
    Assignment.objects.update(created_at=yesterday)
    lead = make_lead(member.workspace)

    distribute(member.workspace, [lead])

    assert owners([lead]) == [member.user_id]


def test_somebody_with_a_capacity_of_none_gets_nothing(member):
    make_rule(member.workspace, [member])
    available(member, daily_capacity=0)
    lead = make_lead(member.workspace)

    assert distribute(member.workspace).waiting == [(lead.pk, "nobody_free")]


@pytest.mark.parametrize(
    ("first", "last", "is_there"),
    [
        (0, 0, False),
        (-3, 0, False),
        (0, None, False),
        (None, 0, False),
        (None, 2, False),
        (1, None, True),
        (1, 2, True),
        (-3, -1, True),
        (None, -1, True),
        (None, None, True),
    ],
)
def test_who_is_away_gets_nothing_on_the_first_and_the_last_day_either(member, first, last, is_there):
    today = datetime.now(UTC).date()
    day = [None if offset is None else today + timedelta(days=offset) for offset in (first, last)]
    make_rule(member.workspace, [member])
    available(member, absent_from=day[0], absent_until=day[1])
    lead = make_lead(member.workspace)

    distribute(member.workspace)

    assert owners([lead]) == [member.user_id if is_there else None]


def test_who_was_away_comes_back_to_their_turn(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a, b])
    available(a, absent_from=date(2026, 1, 1))
    leads = make_leads(member.workspace, 6)
    distribute(member.workspace, leads[:2])

    available(a, absent_from=None)
    distribute(member.workspace, leads[2:])

    assert owners(leads) == [one.user_id for one in (b, b, a, b, a, b)]


def test_a_rule_without_suited_members_says_so(member):
    make_rule(member.workspace, [(member, {"states": ["TX"]})], states=["OH"])
    lead = make_lead(member.workspace, state="OH")

    outcome = distribute(member.workspace)

    assert outcome.waiting == [(lead.pk, "no_members")]


# What is written


def test_a_lead_is_given_with_its_history_its_reasons_and_one_event(member):
    a = make_agents(member.workspace, 1)[0]
    rule = make_rule(member.workspace, [(a, {"tags": ["hot"]})], states=["OH"])
    available(a, daily_capacity=5)
    Event.objects.all().delete()
    lead = make_lead(member.workspace, state="OH", tags=["hot", "new"])

    distributing.distribute([lead.pk], workspace=member.workspace, by=Author.of(member), act="distribution:1")

    given = Assignment.objects.get()
    before = LeadVersion.objects.get()
    assert (given.workspace, given.lead_id, given.user_id, given.rule_id) == (
        member.workspace, lead.pk, a.user_id, rule.pk,
    )  # fmt: skip
    assert given.facts == {
        "rule": rule.name, "strategy": "round_robin", "matched": {"state": ["OH"], "tags": ["hot"]}, "suited": 1, "free": 1,
        "given_today": 1, "daily_capacity": 5,
    }  # fmt: skip
    assert (before.assigned_user_id, before.pgh_context) == (
        None, {"source": "system", "user": member.user_id, "act": "distribution:1"},
    )  # fmt: skip
    assert list(Event.objects.values_list("type", "data")) == [
        ("lead.assigned", {"id": lead.pk, "assigned_user_id": a.user_id})
    ]


def test_many_leads_are_one_event_with_counts(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a, b])
    make_leads(member.workspace, 3)

    distribute(member.workspace)

    by_user = [{"user_id": a.user_id, "count": 2}, {"user_id": b.user_id, "count": 1}]
    assert Event.objects.get(type="lead.assigned").data == {"count": 3, "by_user": by_user}


def test_leads_that_have_an_owner_keep_them(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a])
    lead = make_lead(member.workspace, assigned_user=b.user)

    outcome = distribute(member.workspace)

    assert (outcome.assigned, outcome.waiting, owners([lead])) == ([], [], [b.user_id])
    assert not LeadVersion.objects.exists()


def test_leads_that_are_given_anew_get_another_owner_or_keep_theirs(member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [b], states=["OH"])
    leads = [make_lead(member.workspace, assigned_user=a.user, state=state) for state in ("OH", "TX")]

    outcome = distribute(member.workspace, leads, reassign=True)

    assert owners(leads) == [b.user_id, a.user_id]
    assert (outcome.unchanged, outcome.waiting, WaitingLead.objects.count()) == ([leads[1].pk], [], 0)


@pytest.mark.parametrize("count", [1, 3])
def test_however_many_leads_it_takes_as_many_queries(member, django_assert_num_queries, count):
    make_rule(member.workspace, [member], strategy="least_busy", states=["OH"])
    leads = [make_lead(member.workspace, state=state) for state in ["OH", "TX"] for _ in range(count)]

    # savepoint, the leads, the lock, rules, members, open leads, who writes, the write, who wrote before, the event, release
    with django_assert_num_queries(11):
        distribute(member.workspace, leads)


# Arriving


def test_a_lead_that_is_added_has_its_owner_in_the_answer(api, member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a, b])

    answers = [api.post("/api/v1/leads", {"name": name}).json() for name in ("Ada", "Bo", "Cy")]

    assert [answer["assigned_user_id"] for answer in answers] == [a.user_id, b.user_id, a.user_id]
    assert list(Event.objects.order_by("seq").values_list("type", flat=True)) == ["lead.created", "lead.assigned"] * 3


def test_a_lead_that_is_added_with_an_owner_keeps_them(api, client_of, member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a])

    chosen = api.post("/api/v1/leads", {"name": "Ada", "assigned_user_id": b.user_id}).json()
    own = client_of(b).post("/api/v1/leads", {"name": "Bo"}).json()

    assert (chosen["assigned_user_id"], own["assigned_user_id"]) == (b.user_id, b.user_id)
    assert not Assignment.objects.exists()


def test_a_lead_that_nobody_takes_is_added_all_the_same_and_waits(api, member):
    make_rule(member.workspace, [member], states=["OH"])

    answer = api.post("/api/v1/leads", {"name": "Ada"})

    assert (answer.status_code, answer.json()["assigned_user_id"]) == (201, None)
    assert WaitingLead.objects.get().lead_id == answer.json()["id"]


def test_without_rules_adding_a_lead_costs_one_query_more_and_nothing_waits(member, django_assert_num_queries):
    fields = {"name": "Ada"}
    editing.create(fields, workspace=member.workspace, by=SYSTEM)

    # savepoint, who writes, savepoint, the lead, release, who wrote before, the event, are there rules, release
    with django_assert_num_queries(9):
        editing.create(fields, workspace=member.workspace, by=SYSTEM)

    assert not WaitingLead.objects.exists()


def test_imported_leads_are_distributed_by_a_job(api, member):
    a, b = make_agents(member.workspace, 2)
    make_rule(member.workspace, [a, b])
    known = make_lead(member.workspace, external_id="x1")

    api.post("/import/leads", "external_id,company\nx1,Old\nx2,New\nx3,Newer\n", content_type="text/csv")
    work_off()

    owned = dict(Lead.objects.values_list("external_id", "assigned_user"))
    assert owned == {"x1": None, "x2": a.user_id, "x3": b.user_id}
    assert owners([known]) == [None]


def test_a_dry_run_and_an_import_without_rules_queue_nothing(api, member):
    api.post("/import/leads", "company\nNew\n", content_type="text/csv")
    make_rule(member.workspace, [member])
    api.post("/import/leads?dry_run=true", "company\nNewer\n", content_type="text/csv")

    assert queued() == []


def test_copies_from_the_catalogue_are_distributed_by_a_job(api, member):
    make_catalogue(2)
    own = make_lead(member.workspace, external_id="own")
    make_rule(member.workspace, [member])

    api.post("/zevix/export-leads-batch", {"lead_ids": ["id1", "id2", "own"]})
    work_off()

    copies = Lead.objects.for_workspace(member.workspace).exclude(catalogue_lead=None)
    assert set(copies.values_list("assigned_user", flat=True)) == {member.user_id}
    assert (copies.count(), owners([own])) == (2, [None])


# Waiting


def test_what_waits_is_tried_again_when_a_rule_or_somebodys_availability_changes(api, member):
    rule = make_rule(member.workspace, [member], states=["TX"])
    available(member, daily_capacity=0)
    lead = make_lead(member.workspace, state="OH")
    distribute(member.workspace)
    assert queued() == []

    api.patch(f"/api/v1/distribution-rules/{rule.pk}", {"states": []})
    work_off()
    reasons = list(WaitingLead.objects.values_list("reason", flat=True))
    api.put(f"/api/v1/availabilities/{member.user_id}", {"daily_capacity": 1})
    work_off()

    assert reasons == ["nobody_free"]
    assert (owners([lead]), WaitingLead.objects.count()) == ([member.user_id], 0)


def test_each_workspace_with_rules_is_tried_again_every_hour(member, stranger):
    for one in (member, stranger):
        make_rule(one.workspace, [one], states=["TX"])
        distribute(one.workspace, make_leads(one.workspace, 2, state="OH"))
    rules.delete(DistributionRule.objects.for_workspace(stranger.workspace).get().pk, workspace=stranger.workspace)

    jobs.distribute_waiting_leads(timestamp=0)

    assert [run["workspace_id"] for run in queued()] == [member.workspace_id]


def test_leads_that_have_an_owner_or_are_gone_wait_no_more(member, api):
    make_rule(member.workspace, [member], states=["TX"])
    given, gone, waiting = leads = make_leads(member.workspace, 3, state="OH")
    distribute(member.workspace, leads)
    editing.update(given.pk, {"assigned_user_id": member.user_id}, workspace=member.workspace, by=SYSTEM)
    editing.delete(Lead.objects.filter(pk=gone.pk), by=SYSTEM)

    listed = [row["lead_id"] for row in api.get("/api/v1/leads/waiting").json()["results"]]
    distributing.retry(member.workspace_id)
    work_off()

    assert listed == [waiting.pk]
    assert list(WaitingLead.objects.values_list("lead", flat=True)) == [waiting.pk]


def test_waiting_keeps_its_beginning_when_a_try_fails_again(member):
    make_rule(member.workspace, [member], states=["TX"])
    lead = make_lead(member.workspace, state="OH")
    distribute(member.workspace)
    first = WaitingLead.objects.get()

    distribute(member.workspace, [lead])

    assert WaitingLead.objects.values().get() == {
        "id": first.pk, "workspace_id": member.workspace_id, "lead_id": lead.pk, "reason": "no_rule",
        "created_at": first.created_at,
    }  # fmt: skip


# Runs


def test_a_long_run_goes_chunk_by_chunk_and_tells_how_far_it_is(member, monkeypatch):
    monkeypatch.setattr(distributing, "CHUNK", 2)
    make_rule(member.workspace, [member])
    make_leads(member.workspace, 5)

    distributing.queue(Run(member.workspace_id, {}, "distribution:1", total=5))
    chunks = work_off()

    told = [event.data for event in Event.objects.filter(type="lead.assigned").order_by("seq")]
    assert (chunks, Lead.objects.filter(assigned_user=None).count()) == (3, 0)
    assert [(data["count"], data["done"], data["total"]) for data in told] == [(2, 2, 5), (2, 4, 5), (1, 5, 5)]


def test_a_chunk_that_is_done_twice_gives_nothing_twice(member, monkeypatch):
    monkeypatch.setattr(distributing, "CHUNK", 2)
    make_rule(member.workspace, [member])
    make_leads(member.workspace, 5)
    run = Run(member.workspace_id, {}, "distribution:1")

    distributing.carry_on(run)
    distributing.carry_on(run)
    work_off()

    assert Assignment.objects.count() == 5
    assert Counter(Assignment.objects.values_list("lead", flat=True)).most_common(1)[0][1] == 1


def test_leads_that_no_rule_takes_do_not_keep_those_behind_them_waiting(member, monkeypatch):
    monkeypatch.setattr(distributing, "CHUNK", 2)
    make_rule(member.workspace, [member], states=["OH"])
    available(member, daily_capacity=0)
    leads = make_leads(member.workspace, 5, state="TX") + make_leads(member.workspace, 1, state="OH")
    distribute(member.workspace)

    available(member, daily_capacity=1)
    work_off()

    assert owners(leads) == [None] * 5 + [member.user_id]


def test_a_retry_when_nobody_is_free_does_not_go_through_all_who_wait(member, monkeypatch):
    monkeypatch.setattr(distributing, "CHUNK", 2)
    make_rule(member.workspace, [member])
    available(member, daily_capacity=0)
    distribute(member.workspace, make_leads(member.workspace, 5))

    distributing.retry(member.workspace_id)

    assert work_off() == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_does_what_is_queued(monkeypatch):
    member = make_member()
    make_rule(member.workspace, [member], states=["OH"])
    lead = make_lead(member.workspace, state="TX")
    distribute(member.workspace)
    rules.update(DistributionRule.objects.get().pk, {"states": []}, workspace=member.workspace)

    run_jobs(monkeypatch, queue="distribution")

    assert owners([lead]) == [member.user_id]


def test_ten_thousand_leads_are_given_within_seconds(member):
    agents = make_agents(member.workspace, 10)
    make_rule(member.workspace, agents)
    Lead.objects.bulk_create(Lead(workspace=member.workspace, company=f"P {n}", state="OH") for n in range(10_000))
    ids = list(Lead.objects.values_list("pk", flat=True))

    begun = timezone.now()
    distributing.distribute(ids, workspace=member.workspace, by=SYSTEM)
    took = timezone.now() - begun

    counts = Counter(Lead.objects.values_list("assigned_user", flat=True))
    assert counts == {agent.user_id: 1_000 for agent in agents}
    assert took < timedelta(seconds=10)  # about one; machines that do much else are slower
