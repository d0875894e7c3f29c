"""Distribution in the admin."""

import pytest
from django.urls import reverse

from accounts.models import Membership, Role, Workspace
from accounts.tests.factories import make_member
from leads.models import Assignment, Availability, DistributionRule, Lead, WaitingLead
from leads.tests.factories import make_lead
from leads.tests.test_distribution import distribute, make_leads, make_rule, owners, queued
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db


def list_of(model):
    return reverse(f"admin:leads_{model._meta.model_name}_changelist")


def add(model):
    return reverse(f"admin:leads_{model._meta.model_name}_add")


def page_of(row):
    return reverse(f"admin:leads_{row._meta.model_name}_change", args=[row.pk])


def save(browser, path, **changes):
    return browser.post(path, filled(browser.get(path), **changes))


def choose(browser, model, action, *rows):
    return browser.post(list_of(model), {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def errors(answer):
    return answer.context["adminform"].form.errors


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def agent(manager):
    return make_member(Role.AGENT, manager.workspace)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


def with_member(rule, user, **fields):
    """What the form sends when somebody is put into a rule that had nobody."""
    given = {"user": user.pk, "weight": 1, "id": "", "rule": rule.pk} | fields
    return {"members-TOTAL_FORMS": "1", **{f"members-0-{name}": value for name, value in given.items()}}


def test_a_rule_is_added_and_then_its_members(browser, manager, agent):
    added = save(browser, add(DistributionRule), name="Ohio", states="OH\noh\nTX", workspace=manager.workspace_id)
    rule = DistributionRule.objects.get()
    changed = save(browser, page_of(rule), **with_member(rule, agent.user, weight=3, tags="hot\n"))

    in_it = rule.members.get()
    assert (added.status_code, changed.status_code) == (302, 302)
    assert (rule.workspace, rule.name, rule.states, rule.strategy) == (
        manager.workspace, "Ohio", ["OH", "TX"], "round_robin",
    )  # fmt: skip
    assert (in_it.user, in_it.weight, in_it.tags) == (agent.user, 3, ["hot"])


def test_only_members_of_the_rules_workspace_can_be_put_in(browser, manager, agent, stranger):
    rule = make_rule(manager.workspace)

    answer = save(browser, page_of(rule), **with_member(rule, stranger.user))

    assert answer.status_code == 200
    assert not rule.members.exists()
    assert stranger.user.email not in answer.content.decode()
    assert agent.user.email in answer.content.decode()


def test_by_territory_each_member_needs_one(browser, manager, agent):
    rule = make_rule(manager.workspace)

    refused = save(browser, page_of(rule), strategy="territory", **with_member(rule, agent.user))
    accepted = save(browser, page_of(rule), strategy="territory", **with_member(rule, agent.user, states="OH"))

    assert "Each member needs a territory of their own." in refused.content.decode()
    assert accepted.status_code == 302
    assert rule.members.get().states == ["OH"]


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "Taken"),
        ("strategy", "by_dice"),
        ("position", "-1"),
        ("position", "9" * 30),
        ("states", "x" * 201),
        ("tags", "a\x00b"),
        ("zip_prefixes", "\n".join(map(str, range(2_001)))),
    ],
)
def test_what_can_not_be_is_refused_at_the_field(browser, manager, field, written):
    make_rule(manager.workspace, name="Taken")
    rule = make_rule(manager.workspace, name="R")

    answer = save(browser, page_of(rule), **{field: written})

    assert answer.status_code == 200
    assert errors(answer).keys() == {field}


def test_the_catalogue_has_no_rules(operator, in_admin):
    catalogue = Workspace.objects.catalogue()

    answer = save(in_admin(operator), add(DistributionRule), name="R", workspace=catalogue.pk)

    assert errors(answer).keys() == {"workspace"}


def test_a_new_round_begins_with_other_members_and_who_waits_is_tried_again(browser, manager, agent):
    rule = make_rule(manager.workspace, [manager, agent], states=["OH"])
    distribute(manager.workspace, [make_lead(manager.workspace, state="OH"), make_lead(manager.workspace, state="TX")])

    save(browser, page_of(rule), name="Other")
    kept = sorted(rule.members.values_list("credit", flat=True))
    save(browser, page_of(rule), **{"members-0-weight": "5"})

    assert (kept, sorted(rule.members.values_list("credit", flat=True))) == ([-1, 1], [0, 0])
    assert [run["leads"] for run in queued()] == [{"waiting": True}] * 2


def test_somebody_who_has_left_is_no_obstacle_to_saving(browser, manager, agent):
    rule = make_rule(manager.workspace, [agent, manager])
    agent.delete()

    answer = save(browser, page_of(rule), name="Other")

    rule.refresh_from_db()
    assert (answer.status_code, rule.name) == (302, "Other")
    assert agent.user.email not in browser.get(page_of(rule)).content.decode()


def test_a_rule_is_deleted(browser, manager):
    rule = make_rule(manager.workspace, [manager])
    distribute(manager.workspace, make_leads(manager.workspace, 1))

    browser.post(reverse("admin:leads_distributionrule_delete", args=[rule.pk]), {"post": "yes"})

    assert not DistributionRule.objects.exists()
    assert Assignment.objects.get().rule is None


def test_an_availability_is_added_and_changed(browser, manager, agent):
    save(browser, add(Availability), workspace=manager.workspace_id, user=agent.user_id, daily_capacity="3")
    row = Availability.objects.get()
    save(browser, page_of(row), absent_from="2026-03-01", absent_until="2026-03-05")
    refused = save(browser, page_of(row), absent_until="2026-02-01")

    row.refresh_from_db()
    assert (row.user, row.daily_capacity, str(row.absent_from), str(row.absent_until)) == (
        agent.user, 3, "2026-03-01", "2026-03-05",
    )  # fmt: skip
    assert errors(refused).keys() == {"absent_until"}


def test_an_availability_is_a_members_and_there_is_one(browser, manager, agent, stranger):
    other = make_member(Role.ADMIN)
    Membership.objects.create(user=manager.user, workspace=other.workspace, role=Role.ADMIN)
    given = {"workspace": manager.workspace_id, "daily_capacity": "3"}
    save(browser, add(Availability), user=agent.user_id, **given)

    answers = [
        save(browser, add(Availability), user=user_id, **given)
        for user_id in (stranger.user_id, other.user_id, agent.user_id)
    ]

    assert [list(errors(answer)) for answer in answers] == [["user"], ["user"], ["__all__"]]
    assert Availability.objects.count() == 1


def test_leads_are_distributed_from_their_list(browser, manager, agent):
    make_rule(manager.workspace, [agent], states=["OH"])
    leads = [make_lead(manager.workspace, state=state) for state in ("OH", "OH", "TX")]

    answer = choose(browser, Lead, "distribute", *leads)

    assert owners(leads) == [agent.user_id, agent.user_id, None]
    assert said(answer) == ["2 leads were given to somebody.", "1 lead waits."]


def test_who_waits_is_shown_with_the_reason_and_distributed_at_once(browser, manager, agent):
    rule = make_rule(manager.workspace, [agent], states=["OH"])
    lead = make_lead(manager.workspace, state="TX", company="Black River Clinic")
    distribute(manager.workspace)
    waiting = WaitingLead.objects.get()
    listed = browser.get(list_of(WaitingLead), {"q": "river"}).content.decode()
    DistributionRule.objects.filter(pk=rule.pk).update(states=[])

    answer = choose(browser, WaitingLead, "distribute_now", waiting)

    assert "Black River Clinic" in listed
    assert "No active rule takes this lead." in listed
    assert (owners([lead]), said(answer)) == ([agent.user_id], ["1 lead was given to somebody."])


def test_an_assignment_tells_why_and_is_not_written_by_hand(browser, manager, agent):
    make_rule(manager.workspace, [agent], name="Ohio", states=["OH"])
    distribute(manager.workspace, [make_lead(manager.workspace, state="OH")])
    given = Assignment.objects.get()

    page = browser.get(page_of(given)).content.decode()

    assert "The rule “Ohio” gave it to the next in turn" in page
    assert browser.get(add(Assignment)).status_code == 403
    assert browser.post(page_of(given), {"user": manager.user_id}).status_code == 403


@pytest.mark.parametrize(
    ("model", "who", "cost"),
    [
        (DistributionRule, "operator", 4),
        (DistributionRule, "manager", 6),
        (Availability, "operator", 4),
        (Availability, "manager", 6),
        (Assignment, "operator", 4),
        (Assignment, "manager", 6),
        (WaitingLead, "operator", 4),
        (WaitingLead, "manager", 6),
    ],
)
def test_a_list_costs_the_same_with_one_row_and_with_three(
    model, who, cost, operator, manager, in_admin, django_assert_num_queries
):
    browser = in_admin(operator if who == "operator" else manager.user)

    for rows in (1, 2):
        for number in range(rows):
            one = make_member(Role.AGENT, manager.workspace)
            make_rule(manager.workspace, [one], states=["OH"])
            Availability.objects.create(workspace=manager.workspace, user=one.user)
            distribute(manager.workspace, [make_lead(manager.workspace, state=state) for state in ("OH", f"T{number}")])
        with django_assert_num_queries(cost):
            browser.get(list_of(model))
