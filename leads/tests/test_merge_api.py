"""Duplicates and merges by HTTP: for managers, of their own workspace, and whatever is sent is answered."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import duplicates, history
from leads.models import DuplicatePair, Lead, Merge
from leads.tests.factories import make_lead
from leads.tests.test_merging import make

pytestmark = pytest.mark.django_db

DUPLICATES, MERGE, MERGES = "/api/v1/leads/duplicates", "/api/v1/leads/merge", "/api/v1/merges"


def twins(workspace, **fields):
    return [make(workspace, **{"email": "a@x.example", **fields}) for _ in range(2)]


def problems(answer):
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"] == "validation_error"
    return {name.split(".")[0] for name in answer.json()["fields"]}


# Duplicates


def test_somebody_who_just_made_a_twin_sees_it_at_once(api, member, stranger):
    first, second = twins(member.workspace, phone_normalized="+13307793389")
    twins(stranger.workspace)
    Lead.objects.filter(pk=second.pk).update(city="Bath")

    answer = api.get(DUPLICATES).json()

    (pair,) = answer["results"]
    assert {name: pair[name] for name in ("reasons", "survivor", "state")} == {
        "reasons": ["email", "phone"], "survivor": second.pk, "state": "open"
    }  # fmt: skip
    assert pair["leads"] == [api.get(f"/api/v1/leads/{lead.pk}").json() for lead in (first, second)]
    assert answer["uncompared"] == 0


def test_of_two_that_are_as_complete_the_older_is_to_survive(api, member):
    first, _second = twins(member.workspace)

    assert api.get(DUPLICATES).json()["results"][0]["survivor"] == first.pk


def test_more_new_leads_than_are_compared_at_once_are_told(api, member, monkeypatch):
    monkeypatch.setattr(duplicates.compare, "__defaults__", (2,))
    for _ in range(5):
        make(member.workspace)

    assert api.get(DUPLICATES).json()["uncompared"] == 3


def test_pairs_are_narrowed_by_what_they_share(api, member):
    twins(member.workspace)
    twins(member.workspace, email="", phone_normalized="+13307793389")

    found = [api.get(DUPLICATES, {"reason": reason}).json()["results"] for reason in ("email", "phone", "npi")]

    assert [[pair["reasons"] for pair in pairs] for pairs in found] == [[["email"]], [["phone"]], []]


@pytest.mark.parametrize("query", [{"reason": "name"}, {"state": "closed"}, {"limit": "0"}, {"cursor": "x"}])
def test_a_question_that_makes_no_sense_is_refused(query, api):
    assert problems(api.get(DUPLICATES, query)) == set(query)


def test_pairs_come_in_pages(api, member):
    for number in range(3):
        twins(member.workspace, email=f"{number}@x.example")

    first = api.get(DUPLICATES, {"limit": 2, "count": "true"}).json()
    second = api.get(first["next"]).json()

    assert first["count"] == 3
    ids = [pair["id"] for page in (first, second) for pair in page["results"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_costs_the_same_with_one_pair_and_with_three(count, api, member, stranger, django_assert_num_queries):
    for number in range(count):
        twins(member.workspace, email=f"{number}@x.example")
    twins(stranger.workspace)
    duplicates.compare(member.workspace_id)

    with django_assert_num_queries(10):
        assert len(api.get(DUPLICATES).json()["results"]) == count


def test_a_pair_of_which_one_is_gone_is_not_offered(api, member):
    first, _second = twins(member.workspace)
    api.get(DUPLICATES)

    Lead.objects.filter(pk=first.pk).delete()

    assert api.get(DUPLICATES).json()["results"] == []


def test_a_dismissed_pair_is_offered_again_when_that_was_wrong(api, member):
    twins(member.workspace)
    (pair,) = api.get(DUPLICATES).json()["results"]

    dismissed = api.post(f"{DUPLICATES}/{pair['id']}/dismiss")
    while_dismissed = [api.get(DUPLICATES, {"state": state}).json()["results"] for state in ("open", "dismissed")]
    user = DuplicatePair.objects.get().user
    reopened = api.post(f"{DUPLICATES}/{pair['id']}/reopen")

    assert dismissed.json() == {"id": pair["id"], "state": "dismissed"}
    assert while_dismissed == [[], [pair | {"state": "dismissed"}]]
    assert user == member.user
    assert reopened.json() == {"id": pair["id"], "state": "open"}
    assert api.get(DUPLICATES).json()["results"] == [pair]


# Merging


def test_a_merge_answers_with_the_lead_that_came_of_it(api, member):
    survivor, loser = make(member.workspace), make(member.workspace, city="Bath")

    answer = api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]})

    merge = Merge.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "merge_id": merge.pk, "survivor_id": survivor.pk, "merged_ids": [loser.pk],
        "lead": api.get(f"/api/v1/leads/{survivor.pk}").json(),
    }  # fmt: skip
    assert answer.json()["lead"]["city"] == "Bath"
    assert api.get(f"/api/v1/leads/{loser.pk}").status_code == 404


def test_the_survivor_may_be_among_the_ids_of_all(api, member):
    leads = [make(member.workspace) for _ in range(3)]

    answer = api.post(MERGE, {"survivor_id": leads[1].pk, "lead_ids": [lead.pk for lead in leads]})

    assert answer.json()["merged_ids"] == [leads[0].pk, leads[2].pk]


def test_several_merges_are_done_in_one_request(api, member):
    pairs = [twins(member.workspace) for _ in range(3)]

    answer = api.post(MERGE, {"merges": [{"survivor": one.pk, "losers": [other.pk]} for one, other in pairs]})

    assert answer.status_code == 201
    assert [(one["survivor_id"], one["merged_ids"], one["lead"]["id"]) for one in answer.json()["merges"]] == [
        (one.pk, [other.pk], one.pk) for one, other in pairs
    ]


def test_values_are_chosen_by_a_lead_or_given_and_checked(api, member):
    survivor = make(member.workspace, name="Ann", company="River")
    loser = make(member.workspace, name="Bob", company="Hill")
    values = {
        "owner_name": loser.pk, "practice_name": {"value": " Lake "}, "npi": {"value": "1000000001"},
        "extra": {"value": {"beds": 2, "fax": None}}, "assigned_user_id": {"value": member.user_id}, "notes": {"value": None},
    }  # fmt: skip

    lead = api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk], "values": values}).json()["lead"]

    assert {name: lead[name] for name in ("name", "company", "npi", "extra", "assigned_user_id", "notes")} == {
        "name": "Bob", "company": "Lake", "npi": "1000000001", "extra": {"beds": 2}, "assigned_user_id": member.user_id,
        "notes": "",
    }  # fmt: skip


def test_a_preview_changes_nothing(api, member):
    survivor, loser = (
        make(member.workspace),
        make(member.workspace, name="Bob", city="Bath", last_contact="2026-01-31T09:00Z"),
    )
    wish = {"survivor": survivor.pk, "losers": [loser.pk], "values": {"state": {"value": "OH"}}}

    one = api.post(MERGE, {**wish, "preview": True})
    several = api.post(MERGE, {"merges": [wish], "preview": True})

    assert (one.status_code, several.status_code) == (200, 200)
    assert several.json() == {"merges": [one.json()]}
    fields = one.json()["fields"]
    assert (one.json()["survivor_id"], one.json()["merged_ids"]) == (survivor.pk, [loser.pk])
    assert fields["name"] == {
        "value": "Ann",
        "lead_id": survivor.pk,
        "alternatives": [{"lead_id": loser.pk, "value": "Bob"}],
    }
    assert fields["city"] == {"value": "Bath", "lead_id": loser.pk, "alternatives": []}
    assert fields["state"] == {"value": "OH", "lead_id": None, "alternatives": []}
    assert fields["last_contact"]["value"] == "2026-01-31T09:00:00Z"
    assert Lead.objects.count() == 2


def test_the_same_key_merges_once(api, member):
    survivor, loser = twins(member.workspace)

    answers = [
        api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert Merge.objects.count() == 1


ONE, OTHER = 1, 2  # ids that there are not


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"survivor"}),
        ([], {"non_field_errors"}),
        ({"survivor": ONE}, {"losers"}),
        ({"survivor": ONE, "losers": []}, {"losers"}),
        ({"survivor": ONE, "losers": [ONE]}, {"losers"}),
        ({"survivor_id": ONE, "lead_ids": [ONE]}, {"losers"}),
        ({"survivor": ONE, "losers": [OTHER, OTHER]}, {"losers"}),
        ({"survivor": ONE, "losers": OTHER}, {"losers"}),
        ({"survivor": ONE, "losers": {"a": OTHER}}, {"losers"}),
        ({"survivor": ONE, "losers": [2**63]}, {"losers"}),
        ({"survivor": ONE, "losers": [-1]}, {"losers"}),
        ({"survivor": ONE, "losers": ["a\x00"]}, {"losers"}),
        ({"survivor": ONE, "losers": [None]}, {"losers"}),
        ({"survivor": ONE, "losers": [2.5]}, {"losers"}),
        ({"survivor": ONE, "losers": [True]}, {"losers"}),
        ({"survivor": ONE, "losers": list(range(2, 103))}, {"losers"}),
        ({"survivor": 2**63, "losers": [OTHER]}, {"survivor"}),
        ({"survivor": [ONE], "losers": [OTHER]}, {"survivor"}),
        ({"survivor": None, "losers": [OTHER]}, {"survivor"}),
        ({"survivor": ONE, "survivor_id": ONE, "losers": [OTHER]}, {"survivor_id"}),
        ({"survivor": ONE, "losers": [OTHER], "lead_ids": [OTHER]}, {"lead_ids"}),
        ({"survivor": ONE, "losers": [OTHER], "force": True}, {"force"}),
        ({"survivor": ONE, "losers": [OTHER], "preview": "perhaps"}, {"preview"}),
        ({"survivor": ONE, "losers": [OTHER], "values": []}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": 3}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": 10**30}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": "Bob"}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": True}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": None}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": {}}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"name": {"value": "a\x00"}}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"npi": {"value": "1"}}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"extra": {"value": [1]}}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"id": {"value": 5}}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"catalogue_lead_id": OTHER}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"email_status": {"value": "risky"}}}, {"values"}),
        ({"survivor": ONE, "losers": [OTHER], "values": {"assigned_user_id": {"value": 2**70}}}, {"values"}),
        ({"merges": []}, {"merges"}),
        ({"merges": {}}, {"merges"}),
        ({"merges": [1]}, {"merges"}),
        ({"merges": [{"survivor": ONE}]}, {"merges"}),
        ({"merges": [{"survivor": ONE, "losers": [OTHER], "merges": []}]}, {"merges"}),
        ({"merges": [{"survivor": ONE, "losers": [OTHER]}], "survivor": ONE}, {"merges"}),
        ({"merges": [{"survivor": ONE, "losers": [OTHER]}] * 1001}, {"merges"}),
        ({"merges": [{"survivor": ONE, "losers": [OTHER]}, {"survivor": OTHER, "losers": [3]}]}, {"losers"}),
        ({"merges": [{"survivor": ONE, "losers": list(range(2, 102))}] * 100}, {"merges"}),
    ],
)
def test_what_is_no_merge_is_refused_at_its_field(body, fields, api):
    assert problems(api.post(MERGE, body)) == fields


def test_an_external_id_that_another_lead_has_is_refused(api, member):
    make(member.workspace, external_id="taken")
    survivor, loser = twins(member.workspace)

    answer = api.post(
        MERGE, {"survivor": survivor.pk, "losers": [loser.pk], "values": {"external_id": {"value": "taken"}}}
    )

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert not Merge.objects.exists()


# Merges and their undoing


def test_a_merge_is_undone_with_what_was_kept(api, member):
    survivor, loser = make(member.workspace), make(member.workspace, city="Bath")
    before = api.get(f"/api/v1/leads/{loser.pk}").json()
    merge_id = api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}).json()["merge_id"]
    api.patch(f"/api/v1/leads/{survivor.pk}", {"city": "Copley"})

    answer = api.post(f"{MERGES}/{merge_id}/undo")

    assert answer.status_code == 200
    assert answer.json() == {
        "merge_id": merge_id, "survivor_id": survivor.pk, "restored_ids": [loser.pk],
        "kept": [{"lead_id": survivor.pk, "reason": "changed", "fields": ["city"]}],
        "lead": api.get(f"/api/v1/leads/{survivor.pk}").json(),
    }  # fmt: skip
    assert {name for name, value in api.get(f"/api/v1/leads/{loser.pk}").json().items() if value != before[name]} == {
        "version", "updated_at"
    }  # fmt: skip


def test_the_merges_of_a_workspace_are_listed(api, member, stranger, client_of):
    theirs, ours = twins(stranger.workspace), twins(member.workspace)
    client_of(stranger).post(MERGE, {"survivor": theirs[0].pk, "losers": [theirs[1].pk]})
    merge_id = api.post(MERGE, {"survivor": ours[0].pk, "losers": [ours[1].pk]}).json()["merge_id"]

    (listed,) = api.get(MERGES).json()["results"]

    assert {name: listed[name] for name in ("id", "survivor_id", "merged_ids", "user_id", "undone_at")} == {
        "id": merge_id, "survivor_id": ours[0].pk, "merged_ids": [ours[1].pk], "user_id": member.user_id, "undone_at": None
    }  # fmt: skip
    assert api.get(f"{MERGES}/{merge_id}").json() == listed


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_of_merges_costs_the_same_with_one_and_with_three(count, api, member, django_assert_num_queries):
    for _ in range(count):
        survivor, loser = twins(member.workspace)
        api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]})

    with django_assert_num_queries(2):
        assert len(api.get(MERGES).json()["results"]) == count


def test_a_merge_is_not_undone_twice(api, member):
    survivor, loser = twins(member.workspace)
    merge_id = api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}).json()["merge_id"]

    answers = [api.post(f"{MERGES}/{merge_id}/undo") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json()["message"] == "This was undone already."


def test_what_stands_in_the_way_of_an_undoing_is_told(api, member):
    leads = [make(member.workspace, external_id=f"E{number}") for number in range(5)]

    def merge(survivor, loser):
        return api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}).json()["merge_id"]

    inner = merge(leads[1], leads[0])
    outer = merge(leads[2], leads[1])
    deleted = merge(leads[4], leads[3])
    api.delete(f"/api/v1/leads/{leads[4].pk}")
    taken = merge(leads[2], make(member.workspace, external_id="mine"))
    make(member.workspace, external_id="mine")

    answers = [api.post(f"{MERGES}/{merge_id}/undo") for merge_id in (inner, deleted, taken)]

    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert [answer.json()["message"] for answer in answers] == [
        f"Lead {leads[1].pk} was itself merged since: undo merge {outer} first.",
        f"Lead {leads[4].pk} was deleted since: take it out of the bin first.",
        f"Lead {Merge.objects.get(pk=taken).merged.get().lead_id} can't come back: another lead has its external id by now.",
    ]
    assert not Merge.objects.exclude(undone_at=None).exists()


def test_what_was_forgotten_does_not_come_back(api, member):
    survivor, loser = twins(member.workspace)
    merge_id = api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}).json()["merge_id"]
    Merge.objects.update(created_at=timezone.now() - timedelta(days=31))
    history.forget([loser.pk])

    answer = api.post(f"{MERGES}/{merge_id}/undo")

    assert (answer.status_code, answer.json()["message"]) == (409, "Merges can be undone for 30 days.")


# Who may


def test_agents_may_not(member, client_of):
    agent = client_of(make_member(Role.AGENT, member.workspace))
    survivor, loser = twins(member.workspace)
    duplicates.compare(member.workspace_id)
    pair = DuplicatePair.objects.get()

    answers = [
        agent.get(DUPLICATES),
        agent.post(f"{DUPLICATES}/{pair.pk}/dismiss"),
        agent.post(f"{DUPLICATES}/{pair.pk}/reopen"),
        agent.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}),
        agent.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk], "preview": True}),
        agent.get(MERGES),
        agent.get(f"{MERGES}/1"),
        agent.post(f"{MERGES}/1/undo"),
    ]

    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(403, "permission_denied")}


def test_what_is_anothers_is_not_there(api, stranger, client_of):
    theirs = client_of(stranger)
    survivor, loser = twins(stranger.workspace)
    (pair,) = theirs.get(DUPLICATES).json()["results"]
    mine = make_lead(stranger.workspace)
    merge_id = theirs.post(MERGE, {"survivor": mine.pk, "losers": [make_lead(stranger.workspace).pk]}).json()[
        "merge_id"
    ]

    answers = [
        api.post(f"{DUPLICATES}/{pair['id']}/dismiss"),
        api.post(f"{DUPLICATES}/{pair['id']}/reopen"),
        api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk]}),
        api.post(MERGE, {"survivor": survivor.pk, "losers": [loser.pk], "preview": True}),
        api.get(f"{MERGES}/{merge_id}"),
        api.post(f"{MERGES}/{merge_id}/undo"),
        api.post(f"{MERGES}/{10**30}/undo"),
        api.post(f"{DUPLICATES}/{10**30}/dismiss"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert DuplicatePair.objects.get(pk=pair["id"]).state == "open"
    assert Lead.objects.filter(pk__in=[survivor.pk, loser.pk]).count() == 2
