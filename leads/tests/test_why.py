"""Why a lead has this owner, this score and this price."""

from datetime import datetime

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import editing
from leads.history import Author
from leads.models import Assignment, DistributionRule, Lead, WaitingLead
from leads.tests.factories import make_catalogue, make_lead
from leads.tests.test_distribution import available, distribute, make_rule, work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(member):
    return make_member(Role.AGENT, member.workspace)


def why(api, lead_id, **headers):
    return api.get(f"/api/v1/leads/{lead_id}/why", headers=headers).json()


def minute(written):
    return f"{datetime.fromisoformat(written):%Y-%m-%d %H:%M} UTC"


def test_a_lead_that_a_rule_gave_tells_which_and_what_it_saw(api, member, agent):
    rule = make_rule(member.workspace, [agent, member], name="Ohio", states=["OH"])
    available(agent, daily_capacity=5)
    lead = make_lead(member.workspace, state="OH")
    distribute(member.workspace)

    owner = why(api, lead.pk)["owner"]

    at = owner.pop("at")
    assert at == api.get(f"/api/v1/leads/{lead.pk}/why").json()["owner"]["at"]
    assert owner == {
        "user_id": agent.user_id, "email": agent.user.email, "by": "rule",
        "rule": {"id": rule.pk, "name": "Ohio", "strategy": "round_robin"},
        "reason": "The rule “Ohio” gave it to the next in turn, out of 2 who were free. It matched by state: OH."
        " It was number 1 of at most 5 on that day.",
        "facts": {
            "rule": "Ohio", "strategy": "round_robin", "matched": {"state": ["OH"]}, "suited": 2, "free": 2,
            "given_today": 1, "daily_capacity": 5,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("round_robin", "The rule “R” gave it to the next in turn, out of 1 who were free. It matched by tags: HOT."),
        (
            "weighted",
            "The rule “R” gave it to the next in turn, out of 1 who were free, by a weight of 3 in 3. It matched by tags: HOT.",
        ),
        (
            "least_busy",
            "The rule “R” gave it to whoever had the fewest open leads, 0, out of 1 who were free. It matched by tags: HOT.",
        ),
        (
            "territory",
            "The rule “R” gave it to the next in turn, out of 1 who were free and have it in their territory. It matched by tags: HOT.",
        ),
    ],
)
def test_each_strategy_has_its_sentence(api, member, agent, strategy, reason):
    make_rule(member.workspace, [(agent, {"tags": ["HOT"], "weight": 3})], name="R", strategy=strategy)
    lead = make_lead(member.workspace, tags=["hot"])
    distribute(member.workspace)

    assert why(api, lead.pk)["owner"]["reason"] == reason


def test_a_rule_that_is_gone_is_told_as_it_was(api, member, agent):
    make_rule(member.workspace, [agent], name="Ohio")
    lead = make_lead(member.workspace)
    distribute(member.workspace)
    DistributionRule.objects.all().delete()

    owner = why(api, lead.pk)["owner"]

    assert (owner["by"], owner["rule"]) == ("rule", None)
    assert owner["reason"] == "The rule “Ohio” gave it to the next in turn, out of 1 who were free."


def test_an_owner_set_by_hand_after_a_rule_tells_by_whom_and_what_the_rule_had_done(api, member, agent):
    other = make_member(Role.AGENT, member.workspace)
    rule = make_rule(member.workspace, [agent])
    lead = make_lead(member.workspace)
    distribute(member.workspace)
    api.patch(f"/api/v1/leads/{lead.pk}", {"assigned_user_id": other.user_id})

    owner = why(api, lead.pk)["owner"]

    assert (owner["user_id"], owner["by"], owner["rule"]) == (other.user_id, "user", None)
    assert owner["reason"] == f"{member.user.email} set it on {minute(owner['at'])}."
    assert owner["facts"]["given_before"] == {
        "user_id": agent.user_id, "rule": {"id": rule.pk, "name": rule.name, "strategy": "round_robin"},
        "at": owner["facts"]["given_before"]["at"],
    }  # fmt: skip


def test_the_same_owner_set_by_hand_again_is_by_hand(api, member, agent):
    make_rule(member.workspace, [agent])
    lead = make_lead(member.workspace)
    distribute(member.workspace)
    for user_id in (member.user_id, agent.user_id):
        editing.update(lead.pk, {"assigned_user_id": user_id}, workspace=member.workspace, by=Author.of(member))

    assert why(api, lead.pk)["owner"]["by"] == "user"


def test_owner_and_score_of_an_import_tell_which(client_of, agent):
    agents_api = client_of(agent)
    batch = agents_api.post("/import/leads", "company,score\nNew,70\n", content_type="text/csv").json()

    told = why(agents_api, Lead.objects.get().pk)

    at = minute(told["score"]["at"])
    assert (told["owner"]["by"], told["owner"]["user_id"]) == ("import", agent.user_id)
    assert told["owner"]["reason"] == f"It came with import {batch['import_batch_id']} on {at}."
    assert told["score"] == {
        "value": 70, "source": "import", "at": told["score"]["at"], "user_id": agent.user_id,
        "reason": f"It came with import {batch['import_batch_id']} on {at}.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("human", "{email} set it on {at}."),
        ("api", "It came by the API on {at}."),
        ("crm", "It came from the CRM on {at}."),
        ("ai", "It was worked out by AI on {at}."),
        ("scrape", "It was found on the web on {at}."),
        ("system", "Zevix set it on {at}."),
    ],
)
def test_a_score_tells_where_it_came_from(api, member, source, reason):
    lead = make_lead(member.workspace)
    editing.update(lead.pk, {"score": 55}, workspace=member.workspace, by=Author(source, member.user_id))

    score = why(api, lead.pk)["score"]

    assert (score["value"], score["source"], score["user_id"]) == (55, source, member.user_id)
    assert score["reason"] == reason.format(email=member.user.email, at=minute(score["at"]))


def test_a_lead_without_owner_and_score_says_so(api, member):
    told = why(api, make_lead(member.workspace).pk)

    assert (told["owner"], told["waiting"]) == (None, None)
    assert told["score"] == {"value": None, "source": None, "at": None, "user_id": None, "reason": "It has no score."}


@pytest.mark.parametrize(
    ("state", "capacity", "reason", "message"),
    [
        ("TX", 1, "no_rule", "No active rule takes this lead."),
        ("OH", 1, "no_members", "A rule takes this lead, but none of its members does."),
        (
            "NY",
            0,
            "nobody_free",
            "Everybody who would get this lead is away, or has as many leads as they take a day.",
        ),
    ],
)
def test_a_lead_that_waits_tells_why(api, member, state, capacity, reason, message):
    make_rule(member.workspace, [(member, {"states": ["NY"]})], states=["OH", "NY"])
    available(member, daily_capacity=capacity)
    lead = make_lead(member.workspace, state=state)
    distribute(member.workspace)

    waiting = why(api, lead.pk)["waiting"]

    assert (waiting["reason"], waiting["message"]) == (reason, message)
    assert waiting["since"].endswith("Z")


def test_a_lead_that_got_an_owner_waits_no_more(api, member):
    make_rule(member.workspace)
    lead = make_lead(member.workspace)
    distribute(member.workspace)
    editing.update(lead.pk, {"assigned_user_id": member.user_id}, workspace=member.workspace, by=Author.of(member))

    assert WaitingLead.objects.exists()
    assert why(api, lead.pk)["waiting"] is None


def test_the_price_is_one_until_it_was_exported_and_a_copy_is_the_lead_that_was_paid(api, member):
    make_catalogue(1)
    own = make_lead(member.workspace)
    receipt = api.post("/zevix/export-lead", {"lead_id": "id1"}).json()
    copy = Lead.objects.for_workspace(member.workspace).get(external_id="id1")

    prices = [why(api, lead.pk)["price"] for lead in (own, copy)]

    assert prices == [
        {
            "exported": False, "export_id": None, "cost": 1,
            "reason": "It was not exported yet: an export costs one lead of the month's quota.",
        },
        {
            "exported": True, "export_id": receipt["export_id"], "cost": 0,
            "reason": f"It was paid for with export {receipt['export_id']}; another export of it is free.",
        },
    ]  # fmt: skip


def test_the_owner_of_a_copy_is_the_rules(api, member, agent):
    make_catalogue(1, score=40)
    make_rule(member.workspace, [agent])
    receipt = api.post("/zevix/export-lead", {"lead_id": "id1"}).json()
    work_off()

    told = why(api, Lead.objects.for_workspace(member.workspace).get().pk)

    assert (told["owner"]["by"], told["owner"]["user_id"]) == ("rule", agent.user_id)
    assert told["score"]["reason"] == (
        f"It came from the catalogue with export {receipt['export_id']} on {minute(told['score']['at'])}."
    )


def test_sentences_are_in_the_callers_language(api, member, agent):
    make_rule(member.workspace, [agent], name="Ohio")
    lead = make_lead(member.workspace)
    distribute(member.workspace)

    german = why(api, lead.pk, **{"Accept-Language": "de"})

    assert german["score"]["reason"] != why(api, lead.pk)["score"]["reason"]
    assert german["owner"]["reason"].startswith("Die Regel „Ohio“")


@pytest.mark.parametrize("count", [1, 3])
def test_the_answer_takes_as_many_queries_however_much_has_happened(
    api, member, agent, django_assert_num_queries, count
):
    make_rule(member.workspace, [agent])
    lead = make_lead(member.workspace, score=1)
    for number in range(count):
        distribute(member.workspace, [lead], reassign=True)
        editing.update(lead.pk, {"score": 10 + number}, workspace=member.workspace, by=Author.of(member))

    # member, lead, its values, its versions, what rules gave, people, who waits, what was paid
    with django_assert_num_queries(8):
        why(api, lead.pk)

    assert Assignment.objects.count() == count


def test_agents_may_know_why(client_of, member, agent):
    lead = make_lead(member.workspace)

    assert client_of(agent).get(f"/api/v1/leads/{lead.pk}/why").status_code == 200
