"""Distribution over HTTP: rules, availability, distributing, who waits."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.distribution import distributing
from leads.models import Assignment, DistributionRule, Lead, RuleMember, WaitingLead
from leads.tests.factories import make_lead
from leads.tests.test_distribution import (
    available,
    distribute,
    make_agents,
    make_leads,
    make_rule,
    owners,
    queued,
    work_off,
)

pytestmark = pytest.mark.django_db

RULES = "/api/v1/distribution-rules"
AVAILABILITIES = "/api/v1/availabilities"
DISTRIBUTE = "/api/v1/leads/distribute"
WAITING = "/api/v1/leads/waiting"

HUGE = "9" * 30


@pytest.fixture
def agent(member):
    return make_member(Role.AGENT, member.workspace)


@pytest.fixture
def agents_api(agent, client_of):
    return client_of(agent)


def error(answer):
    return answer.status_code, answer.json()["error"]


# Rules


def test_a_rule_comes_back_as_it_was_written(api, member, agent):
    written = {
        "name": "Ohio", "strategy": "weighted", "position": 3, "is_active": False, "states": ["OH"], "zip_prefixes": ["443"],
        "specialties": ["Dentist"], "tags": ["hot"],
    }  # fmt: skip
    in_it = {
        "user_id": agent.user_id,
        "weight": 7,
        "states": ["OH"],
        "zip_prefixes": [],
        "specialties": [],
        "tags": ["x"],
    }

    added = api.post(RULES, {**written, "members": [in_it]})

    rule = added.json()
    assert added.status_code == 201
    assert {name: rule[name] for name in written} == written
    assert rule["members"] == [{**in_it, "email": agent.user.email}]
    assert api.get(f"{RULES}/{rule['id']}").json() == rule


def test_a_rule_needs_no_more_than_a_name_and_comes_behind_the_others(api):
    rules = [api.post(RULES, {"name": name}).json() for name in ("One", "Two")]

    assert [(rule["position"], rule["strategy"], rule["is_active"], rule["members"]) for rule in rules] == [
        (1, "round_robin", True, []), (2, "round_robin", True, []),
    ]  # fmt: skip


def test_what_was_read_can_be_written_again(api, member, agent):
    make_rule(member.workspace, [agent, member], tags=["hot"])
    rule = api.get(RULES).json()["results"][0]

    answer = api.patch(
        f"{RULES}/{rule['id']}", {name: rule[name] for name in rule.keys() - {"id", "created_at", "updated_at"}}
    )

    assert answer.status_code == 200
    assert answer.json() | {"updated_at": None} == rule | {"updated_at": None}


def test_the_members_given_are_all_that_a_rule_has_afterwards_and_those_who_stay_keep_their_place(api, member, agent):
    other = make_member(Role.AGENT, member.workspace)
    rule = make_rule(member.workspace, [agent, other])
    staying = rule.members.get(user=agent.user)

    api.patch(f"{RULES}/{rule.pk}", {"members": [{"user_id": agent.user_id}, {"user_id": member.user_id, "weight": 2}]})

    assert list(rule.members.order_by("id").values_list("user", "weight")) == [(agent.user_id, 1), (member.user_id, 2)]
    assert rule.members.get(user=agent.user).pk == staying.pk


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        ({"name": "Other", "states": ["OH"]}, True),
        ({"strategy": "weighted"}, False),
        ({"members": "same"}, True),
        ({"members": "heavier"}, False),
    ],
)
def test_whose_turn_it_is_is_kept_until_members_weights_or_strategy_change(api, member, change, is_kept):
    a, b = make_agents(member.workspace, 2)
    rule = make_rule(member.workspace, [a, b])
    distribute(member.workspace, make_leads(member.workspace, 1))
    weight = {"same": 1, "heavier": 5}.get(change.get("members"))
    if weight:
        change = {"members": [{"user_id": one.user_id, "weight": weight} for one in (a, b)]}

    answer = api.patch(f"{RULES}/{rule.pk}", change)

    assert answer.status_code == 200
    assert list(rule.members.order_by("id").values_list("credit", flat=True)) == ([-1, 1] if is_kept else [0, 0])


def test_who_has_left_is_in_no_rule(api, member, agent):
    rule = make_rule(member.workspace, [agent, member])
    agent.delete()

    assert [one["user_id"] for one in api.get(f"{RULES}/{rule.pk}").json()["members"]] == [member.user_id]


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"name": 1},
        {"name": "R", "strategy": "by_dice"},
        {"name": "R", "strategy": ["weighted"]},
        {"name": "R", "position": -1},
        {"name": "R", "position": 10**30},
        {"name": "R", "is_active": "perhaps"},
        {"name": "R", "states": "OH"},
        {"name": "R", "states": [1]},
        {"name": "R", "states": [""]},
        {"name": "R", "states": ["a\x00"]},
        {"name": "R", "zip_prefixes": [["4"]]},
        {"name": "R", "tags": {"a": 1}},
        {"name": "R", "tags": ["x" * 201]},
        {"name": "R", "tags": [str(number) for number in range(2_001)]},
        {"name": "R", "members": [1]},
        {"name": "R", "members": {"user_id": 1}},
        {"name": "R", "members": [{}]},
        {"name": "R", "members": [{"user_id": 10**30}]},
        {"name": "R", "members": [{"user_id": 2**62}]},
        {"name": "R", "members": [{"user_id": "me", "weight": 0}]},
        {"name": "R", "nonsense": 1},
        [],
        "R",
        None,
    ],
)
def test_a_rule_that_can_not_be_is_refused(api, written):
    answer = api.post(RULES, written)

    assert error(answer) == (400, "validation_error")
    assert not DistributionRule.objects.exists()


@pytest.mark.parametrize(
    "of_member",
    [{"weight": 0}, {"weight": 1001}, {"weight": "heavy"}, {"weight": None}, {"states": None}, {"credit": 5}],
)
def test_a_member_that_can_not_be_is_refused(api, agent, of_member):
    answer = api.post(RULES, {"name": "R", "members": [{"user_id": agent.user_id, **of_member}]})

    assert error(answer) == (400, "validation_error")


def test_only_members_of_the_workspace_are_in_a_rule_and_once(api, member, stranger):
    foreign = api.post(RULES, {"name": "R", "members": [{"user_id": stranger.user_id}]})
    twice = api.post(RULES, {"name": "R", "members": [{"user_id": member.user_id}] * 2})

    assert foreign.json()["fields"] == {"members": ["There is no such member."]}
    assert twice.json()["fields"] == {"members": ["Nobody can be in a rule twice."]}


def test_by_territory_each_member_needs_one(api, member, agent):
    refused = {"members": ["Each member needs a territory of their own."]}
    members = [{"user_id": agent.user_id, "states": ["OH"]}, {"user_id": member.user_id}]
    rule = make_rule(member.workspace, [agent])

    answers = [
        api.post(RULES, {"name": "R", "strategy": "territory", "members": members}),
        api.patch(f"{RULES}/{rule.pk}", {"strategy": "territory"}),
        api.post(RULES, {"name": "R", "strategy": "territory", "members": members[:1]}),
    ]

    assert [answer.json().get("fields") for answer in answers] == [refused, refused, None]


def test_a_name_names_one_rule_of_a_workspace(api, member, stranger):
    make_rule(stranger.workspace, name="R")
    rule = make_rule(member.workspace, name="Taken")

    answers = [
        api.post(RULES, {"name": "R"}),
        api.post(RULES, {"name": "Taken"}),
        api.patch(f"{RULES}/{rule.pk}", {"name": "R"}),
        api.patch(f"{RULES}/{rule.pk}", {"name": "Taken"}),
    ]

    assert [answer.status_code for answer in answers] == [201, 409, 409, 200]


def test_repeats_in_a_territory_count_once(api):
    rule = api.post(RULES, {"name": "R", "states": ["OH", " oh ", "TX"]}).json()

    assert rule["states"] == ["OH", "TX"]


def test_a_deleted_rule_leaves_its_leads_where_they_are(api, member):
    rule = make_rule(member.workspace, [member])
    lead = make_lead(member.workspace)
    distribute(member.workspace)

    answer = api.delete(f"{RULES}/{rule.pk}")

    assert (answer.status_code, owners([lead])) == (204, [member.user_id])
    assert (Assignment.objects.get().rule, RuleMember.objects.count()) == (None, 0)


def test_rules_are_listed_in_their_order_to_everybody_and_written_by_managers(api, agents_api, member):
    names = [make_rule(member.workspace, name=name, position=position).name for name, position in [("b", 2), ("a", 1)]]
    rule = DistributionRule.objects.first()

    listed = [row["name"] for row in agents_api.get(RULES).json()["results"]]
    refused = [
        agents_api.post(RULES, {"name": "R"}),
        agents_api.patch(f"{RULES}/{rule.pk}", {"name": "R"}),
        agents_api.delete(f"{RULES}/{rule.pk}"),
        agents_api.post(DISTRIBUTE, {}),
    ]

    assert listed == names[::-1]
    assert [error(answer) for answer in refused] == [(403, "permission_denied")] * 4


def test_the_same_request_makes_one_rule(api):
    answers = [api.post(RULES, {"name": "R"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert DistributionRule.objects.count() == 1


def test_another_workspaces_rule_lead_and_member_are_not_there(api, stranger):
    rule = make_rule(stranger.workspace, [stranger])
    lead = make_lead(stranger.workspace)

    answers = [
        api.get(f"{RULES}/{rule.pk}"),
        api.patch(f"{RULES}/{rule.pk}", {"name": "Mine"}),
        api.delete(f"{RULES}/{rule.pk}"),
        api.get(f"{RULES}/{HUGE}"),
        api.put(f"{AVAILABILITIES}/{stranger.user_id}", {"daily_capacity": 1}),
        api.put(f"{AVAILABILITIES}/{HUGE}", {"daily_capacity": 1}),
        api.get(f"/api/v1/leads/{lead.pk}/why"),
        api.get(f"/api/v1/leads/{HUGE}/why"),
    ]

    assert [error(answer) for answer in answers] == [(404, "not_found")] * 8
    assert DistributionRule.objects.get().name == rule.name


# Availability


def test_everybodys_availability_is_listed_with_what_they_got_today(api, member, agent):
    make_rule(member.workspace, [agent])
    available(agent, daily_capacity=3, absent_until="2026-01-02")
    distribute(member.workspace, make_leads(member.workspace, 2))

    listed = api.get(AVAILABILITIES).json()["results"]

    assert listed == [
        {
            "user_id": one.user_id, "email": one.user.email, "daily_capacity": capacity, "absent_from": None,
            "absent_until": until, "given_today": today,
        }
        for one, capacity, until, today in [(member, None, None, 0), (agent, 3, "2026-01-02", 2)]
    ]  # fmt: skip


def test_what_is_left_out_of_an_availability_stays(api, agent):
    path = f"{AVAILABILITIES}/{agent.user_id}"
    api.put(path, {"daily_capacity": 3, "absent_from": "2026-03-01"})

    changed = api.put(path, {"absent_until": "2026-03-05"}).json()
    emptied = api.put(path, {"absent_from": None, "absent_until": None, "daily_capacity": None}).json()

    shown = [(row["daily_capacity"], row["absent_from"], row["absent_until"]) for row in (changed, emptied)]
    assert shown == [(3, "2026-03-01", "2026-03-05"), (None, None, None)]


@pytest.mark.parametrize(
    "written",
    [
        {"daily_capacity": -1},
        {"daily_capacity": 10**30},
        {"daily_capacity": "many"},
        {"absent_from": "tomorrow"},
        {"absent_from": 5},
        {"absent_from": "2026-03-05", "absent_until": "2026-03-04"},
        {"nonsense": 1},
        [],
    ],
)
def test_an_availability_that_can_not_be_is_refused(api, agent, written):
    assert error(api.put(f"{AVAILABILITIES}/{agent.user_id}", written)) == (400, "validation_error")


def test_an_absence_does_not_come_to_end_before_it_begins_by_two_requests(api, agent):
    path = f"{AVAILABILITIES}/{agent.user_id}"
    api.put(path, {"absent_from": "2026-03-05"})

    assert error(api.put(path, {"absent_until": "2026-03-04"})) == (400, "validation_error")


def test_agents_say_when_they_are_away_and_no_more(agents_api, member, agent):
    own, others = f"{AVAILABILITIES}/{agent.user_id}", f"{AVAILABILITIES}/{member.user_id}"

    answers = [
        agents_api.put(own, {"absent_from": "2026-03-01"}),
        agents_api.put(own, {"daily_capacity": 100}),
        agents_api.put(others, {"absent_from": "2026-03-01"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 403]


# Distributing


def test_all_leads_without_an_owner_are_distributed(api, member, agent):
    make_rule(member.workspace, [agent, member], states=["OH"])
    leads = [make_lead(member.workspace, state=state) for state in ("OH", "OH", "OH", "TX")]
    make_lead(member.workspace, state="OH", assigned_user=agent.user)

    answer = api.post(DISTRIBUTE, {}).json()

    assert answer.pop("distribution").startswith("distribution:")
    assert answer == {
        "status": "completed", "assigned_count": 3, "waiting_count": 1, "unchanged_count": 0, "unknown_count": 0,
        "by_user": [{"user_id": agent.user_id, "count": 2}, {"user_id": member.user_id, "count": 1}],
        "waiting": [{"lead_id": leads[3].pk, "reason": "no_rule"}],
    }  # fmt: skip


def test_named_leads_are_distributed_and_strangers_are_as_good_as_none(api, member, stranger, agent):
    make_rule(member.workspace, [agent])
    free, owned, unnamed = (
        make_lead(member.workspace),
        make_lead(member.workspace, assigned_user=member.user),
        make_lead(member.workspace),
    )
    theirs = make_lead(stranger.workspace)

    answer = api.post(DISTRIBUTE, {"lead_ids": [free.pk, owned.pk, theirs.pk, 2**62, free.pk]}).json()

    assert [answer[name] for name in ("assigned_count", "unchanged_count", "unknown_count")] == [1, 1, 2]
    assert owners([free, owned, unnamed, theirs]) == [agent.user_id, member.user_id, None, None]


def test_named_leads_are_given_anew_on_demand(api, member, agent):
    make_rule(member.workspace, [agent])
    lead = make_lead(member.workspace, assigned_user=member.user)

    answer = api.post(DISTRIBUTE, {"lead_ids": [lead.pk], "reassign": True}).json()

    assert (answer["assigned_count"], owners([lead])) == (1, [agent.user_id])


def test_the_leads_of_a_filter_are_distributed(api, member, agent):
    make_rule(member.workspace, [agent])
    leads = [make_lead(member.workspace, city=city) for city in ("Akron", "Dayton")]

    api.post(DISTRIBUTE, {"filter": {"city": "akron"}})

    assert owners(leads) == [agent.user_id, None]


@pytest.mark.parametrize(
    "written",
    [
        {"lead_ids": []},
        {"lead_ids": "all"},
        {"lead_ids": [0]},
        {"lead_ids": [10**30]},
        {"lead_ids": ["a\x00"]},
        {"lead_ids": [1] * 10_001},
        {"lead_ids": [1], "filter": {"city": "x"}},
        {"filter": {"nonsense": "x"}},
        {"filter": {"status": "x"}},
        {"filter": {"city": {"a": 1}}},
        {"filter": {"city": "a\x00"}},
        {"filter": "city"},
        {"filter": []},
        {"reassign": True},
        {"reassign": "perhaps"},
        {"nonsense": 1},
        [],
    ],
)
def test_what_can_not_be_distributed_is_refused(api, member, written):
    make_rule(member.workspace, [member])
    lead = make_lead(member.workspace)

    assert error(api.post(DISTRIBUTE, written)) == (400, "validation_error")
    assert owners([lead]) == [None]


def test_the_same_request_distributes_once(api, member):
    make_rule(member.workspace, [member])
    make_lead(member.workspace)
    first = api.post(DISTRIBUTE, {}, headers={"Idempotency-Key": "k"})
    make_lead(member.workspace)

    second = api.post(DISTRIBUTE, {}, headers={"Idempotency-Key": "k"})

    assert second.json() == first.json()
    assert Lead.objects.filter(assigned_user=None).count() == 1


def test_more_than_a_request_can_wait_for_goes_on_in_the_background(api, member, monkeypatch):
    monkeypatch.setattr("leads.views.distribution.AT_ONCE", 2)
    monkeypatch.setattr(distributing, "CHUNK", 2)
    make_rule(member.workspace, [member])
    leads = [make_lead(member.workspace, city="Akron") for _ in range(3)] + make_leads(member.workspace, 1)

    answer = api.post(DISTRIBUTE, {"filter": {"city": "Akron"}})
    (run,) = queued()
    work_off()

    assert answer.status_code == 202
    assert answer.json() == {"status": "queued", "distribution": run["act"], "lead_count": 3}
    assert owners(leads) == [member.user_id] * 3 + [None]


@pytest.mark.parametrize("count", [1, 3])
def test_distributing_takes_as_many_queries_however_many_leads(api, member, django_assert_num_queries, count):
    make_rule(member.workspace, [member], states=["OH"])
    ids = [make_lead(member.workspace, state=state).pk for state in ("OH", "TX") for _ in range(count)]

    # member, known ones, savepoint, leads, lock, rules, members, who writes, the write, who wrote before, event, release
    with django_assert_num_queries(12):
        api.post(DISTRIBUTE, {"lead_ids": ids})


# Waiting


def test_waiting_leads_are_listed_with_the_reason(api, member, stranger):
    make_rule(stranger.workspace)
    distribute(stranger.workspace, make_leads(stranger.workspace, 1))
    make_rule(member.workspace, [member], states=["OH"])
    lead = make_lead(member.workspace, state="TX")
    distribute(member.workspace)

    answer = api.get(WAITING, {"count": "true"}).json()

    (row,) = answer["results"]
    assert (row["lead_id"], row["reason"], row["lead"]) == (
        lead.pk,
        "no_rule",
        api.get(f"/api/v1/leads/{lead.pk}").json(),
    )
    assert row["waiting_since"].endswith("Z")
    assert answer["count"] == 1


@pytest.mark.parametrize("path", [RULES, AVAILABILITIES, WAITING])
@pytest.mark.parametrize("count", [1, 3])
def test_a_list_is_one_query_besides_the_member(api, member, django_assert_num_queries, path, count):
    for one in make_agents(member.workspace, count):
        make_rule(member.workspace, [one, member], states=["OH"])
        make_lead(member.workspace)
    distribute(member.workspace)

    with django_assert_num_queries(2):
        api.get(path)


@pytest.mark.parametrize("path", [RULES, AVAILABILITIES, WAITING])
def test_a_list_is_read_page_by_page(api, member, path):
    for one in make_agents(member.workspace, 3):
        make_rule(member.workspace, [one], states=["OH"])
        make_lead(member.workspace)
    distribute(member.workspace)
    whole = api.get(path).json()["results"]

    read, url = [], f"{path}?limit=2"
    while url:
        answer = api.get(url).json()
        read, url = read + answer["results"], answer["next"]

    assert read == whole
    assert len(whole) >= 3
    assert WaitingLead.objects.count() == 3
