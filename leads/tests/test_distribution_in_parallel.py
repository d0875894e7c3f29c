"""Leads that arrive at the same moment, on real transactions: every turn is taken once, no capacity is passed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from django.db import OperationalError, connection, transaction

from accounts import roles
from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads import editing
from leads.distribution import distributing, rulebook, rules
from leads.history import SYSTEM
from leads.models import Assignment, Lead, RuleMember, WaitingLead
from leads.tests.factories import make_lead
from leads.tests.test_distribution import available, make_agents, make_rule

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
EACH = 6


def add_leads(workspace, count=EACH):
    for _ in range(count):
        editing.create({"name": "Ada"}, workspace=workspace, by=SYSTEM)


def given():
    return Counter(Lead.objects.values_list("assigned_user", flat=True))


def test_leads_that_are_added_at_once_are_given_exactly_in_turn():
    workspace = make_member().workspace
    agents = make_agents(workspace, 4)
    make_rule(workspace, agents)

    at_once([lambda: add_leads(workspace)] * THREADS)

    in_order = Assignment.objects.order_by("id").values_list("user", flat=True)
    assert given() == {agent.user_id: THREADS * EACH // 4 for agent in agents}
    assert list(in_order) == [agent.user_id for agent in agents] * (THREADS * EACH // 4)
    assert set(RuleMember.objects.values_list("credit", flat=True)) == {0}


def test_weights_are_exact_over_full_cycles_of_leads_that_are_added_at_once():
    workspace = make_member().workspace
    a, b = make_agents(workspace, 2)
    make_rule(workspace, [(a, {"weight": 3}), (b, {"weight": 1})], strategy="weighted")

    at_once([lambda: add_leads(workspace)] * THREADS)

    assert given() == {a.user_id: 36, b.user_id: 12}


def test_the_least_busy_are_equally_busy_after_leads_that_are_added_at_once():
    workspace = make_member().workspace
    agents = make_agents(workspace, 4)
    make_rule(workspace, agents, strategy="least_busy")

    at_once([lambda: add_leads(workspace)] * THREADS)

    assert given() == {agent.user_id: THREADS * EACH // 4 for agent in agents}


def test_no_capacity_is_passed_by_leads_that_are_added_at_once():
    workspace = make_member().workspace
    a, b = make_agents(workspace, 2)
    make_rule(workspace, [a, b])
    available(a, daily_capacity=5)
    available(b, daily_capacity=10)

    at_once([lambda: add_leads(workspace)] * THREADS)

    assert given() == {a.user_id: 5, b.user_id: 10, None: THREADS * EACH - 15}
    assert WaitingLead.objects.count() == THREADS * EACH - 15


def test_the_same_leads_distributed_at_once_are_given_once():
    workspace = make_member().workspace
    agents = make_agents(workspace, 2)
    make_rule(workspace, agents)
    ids = [make_lead(workspace).pk for _ in range(40)]

    outcomes = at_once(
        [lambda: distributing.distribute(ids, workspace=workspace, by=SYSTEM)] * (THREADS // 2)
        + [lambda: distributing.distribute(ids[::-1], workspace=workspace, by=SYSTEM)] * (THREADS // 2)
    )

    assert sorted(len(outcome.assigned) for outcome in outcomes) == [0] * (THREADS - 1) + [40]
    assert given() == {agent.user_id: 20 for agent in agents}
    assert Assignment.objects.count() == 40


def test_adding_and_distributing_and_changing_rules_at_once_never_lock_each_other_out():
    workspace = make_member().workspace
    agents = make_agents(workspace, 3)
    rule = make_rule(workspace, agents)
    ids = [make_lead(workspace).pk for _ in range(20)]

    def edit():
        for number in range(EACH):
            weights = [{"user_id": agent.user_id, "weight": number + 1} for agent in agents]
            rules.update(rule.pk, {"members": weights, "position": number}, workspace=workspace)

    def set_by_hand():
        editing.update_all(Lead.objects.filter(pk__in=ids), {"needs_action": False}, by=SYSTEM)
        editing.update_all(Lead.objects.filter(pk__in=ids), {"needs_action": True}, by=SYSTEM)

    at_once(
        [lambda: add_leads(workspace)] * 3
        + [edit, set_by_hand, set_by_hand]
        + [lambda: distributing.distribute(ids, workspace=workspace, by=SYSTEM)] * 2
    )

    assert Assignment.objects.count() == 20 + 3 * EACH
    assert None not in given()


def test_workspaces_do_not_wait_for_each_other():
    one, other = make_member(), make_member()
    make_rule(other.workspace, [other])

    with transaction.atomic():
        rulebook.lock(one.workspace_id)
        at_once([lambda: add_leads(other.workspace, 1)])

    assert given() == {other.user_id: 1}


def test_who_is_being_given_a_lead_leaves_afterwards_so_that_it_is_taken_from_them():
    workspace = make_member().workspace
    agent = make_member(Role.AGENT, workspace)
    make_rule(workspace, [agent])
    lead = make_lead(workspace)

    def leave():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            roles.remove([agent])

    with transaction.atomic():
        distributing.distribute([lead.pk], workspace=workspace, by=SYSTEM)
        with pytest.raises(OperationalError):
            at_once([leave])

    assert given() == {agent.user_id: 1}


def test_a_lead_that_somebody_holds_for_long_keeps_no_other_from_being_added_and_given():
    """As an import does, which may also wait for the one who is adding a lead: then both would wait for ever."""
    workspace = make_member().workspace
    agent = make_member(Role.AGENT, workspace)
    make_rule(workspace, [agent])
    held = make_lead(workspace)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Lead.objects.select_for_update().get(pk=held.pk)
            distribution = pool.submit(distribute_alone, [held.pk], workspace)
            wait_for_somebody_to_wait()
            at_once([lambda: add_leads(workspace, 1)])
            added = given()
        distribution.result(10)

    assert added == {agent.user_id: 1, None: 1}
    assert given() == {agent.user_id: 2}


def distribute_alone(ids, workspace):
    try:
        distributing.distribute(ids, workspace=workspace, by=SYSTEM)
    finally:
        connection.close()


def wait_for_somebody_to_wait():
    until = monotonic() + 10
    while monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        sleep(0.01)
    raise AssertionError("nobody waits")
