"""Acts upon many leads at once: which leads, what happens to them, what follows from it, and what is told of it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Membership, Role, Workspace
from accounts.tests.factories import make_member
from leads import bulk, editing, jobs
from leads.bulk import Change
from leads.errors import LeadSold
from leads.history import Author
from leads.models import Activity, BulkChange, Lead, LeadVersion
from leads.selections import Selection
from leads.tests.factories import make_catalogue_lead, make_lead
from leads.values import normalized_phone
from zevix.models import Event

pytestmark = pytest.mark.django_db

BULK = "/api/v1/leads/bulk"
COUNTS = ("matched_count", "changed_count", "deleted_count", "unchanged_count", "unknown_count")


def act(api, **body):
    answer = api.post(BULK, body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def counts(answer):
    return tuple(answer[name] for name in COUNTS)


def read(*leads):
    return [Lead.objects.filter(pk=lead.pk).values().first() for lead in leads]


@pytest.fixture
def leads(member):
    return [make_lead(member.workspace, company=str(number), status="NEW", tags=["a"]) for number in range(4)]


@pytest.fixture
def agents(member):
    return [make_member(Role.AGENT, member.workspace) for _ in range(3)]


# Which leads


def test_leads_are_meant_by_their_ids_and_others_are_counted_as_unknown(api, leads, stranger):
    theirs = make_lead(stranger.workspace)
    before = read(theirs)

    answer = act(api, ids=[leads[0].pk, leads[1].pk, leads[1].pk, theirs.pk, 10**15], set={"status": "WON"})

    assert (answer["status"], counts(answer)) == ("completed", (2, 2, 0, 0, 2))
    assert [lead["status"] for lead in read(*leads)] == ["WON", "WON", "NEW", "NEW"]
    assert read(theirs) == before


def test_leads_are_meant_by_filters_as_the_list_has_them(api, member, leads, stranger):
    make_lead(stranger.workspace, tags=["b"])
    make_lead(member.workspace, tags=["b"], extra={"size": 5})
    Membership.objects.filter(pk=member.pk).update(role=Role.MANAGER)
    api.post("/api/v1/fields", {"key": "size", "kind": "number"})

    answers = [
        act(api, filter={"tag": ["a", "b"], "status": "NEW", "search": "3", "assigned_to": "none"}, set={"score": 5}),
        act(api, filter={"extra.size.min": 5}, set={"score": 5}),
        act(api, filter={"assigned_to": "me"}, set={"score": 5}),
    ]

    assert [counts(answer) for answer in answers] == [(1, 1, 0, 0, 0), (1, 1, 0, 0, 0), (0, 0, 0, 0, 0)]


def test_all_leads_are_meant_only_where_that_is_said(api, leads, stranger):
    make_lead(stranger.workspace)

    refused = api.post(BULK, {"filter": {}, "delete": True})
    done = act(api, filter={}, all=True, delete=True)

    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["filter"])
    assert counts(done) == (4, 0, 4, 0, 0)
    assert Lead.objects.get().workspace_id == stranger.workspace_id


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["non_field_errors"]),
        ({"delete": True}, ["non_field_errors"]),
        ({"ids": [1]}, ["non_field_errors"]),
        ({"ids": [1], "filter": {"status": "NEW"}, "delete": True}, ["non_field_errors"]),
        ({"ids": [], "delete": True}, ["ids"]),
        ({"ids": list(range(1, 10_002)), "delete": True}, ["ids"]),
        ({"ids": "1", "delete": True}, ["ids"]),
        ({"ids": ["x"], "delete": True}, ["ids.0"]),
        ({"ids": [0], "delete": True}, ["ids.0"]),
        ({"ids": [2**63], "delete": True}, ["ids.0"]),
        ({"ids": [None], "delete": True}, ["ids.0"]),
        ({"ids": [1], "all": True, "delete": True}, ["all"]),
        ({"filter": {"status": "NEW"}, "all": True, "delete": True}, ["all"]),
        ({"filter": [], "delete": True}, ["filter"]),
        ({"filter": "status=NEW", "delete": True}, ["filter"]),
        ({"filter": {"status": "DONE"}, "delete": True}, ["filter.status"]),
        ({"filter": {"status": ""}, "delete": True}, ["filter.status"]),
        ({"filter": {"status": []}, "delete": True}, ["filter.status"]),
        ({"filter": {"nonsense": 1}, "delete": True}, ["filter.nonsense"]),
        ({"filter": {"view": 1}, "delete": True}, ["filter.view"]),
        ({"filter": {"city": "a\x00"}, "delete": True}, ["filter.city"]),
        ({"ids": [1], "delete": False}, ["delete"]),
        ({"ids": [1], "delete": "perhaps"}, ["delete"]),
        ({"ids": [1], "delete": True, "set": {"score": 1}}, ["non_field_errors"]),
        ({"ids": [1], "delete": True, "assign": None}, ["non_field_errors"]),
        ({"ids": [1], "delete": True, "add_tags": ["a"]}, ["non_field_errors"]),
        ({"ids": [1], "assign": None, "add_tags": ["a"]}, ["non_field_errors"]),
        ({"ids": [1], "set": {}}, ["set.non_field_errors"]),
        ({"ids": [1], "set": []}, ["set.non_field_errors"]),
        ({"ids": [1], "set": {"version": 5}}, ["set.non_field_errors"]),
        ({"ids": [1], "set": {"nonsense": 5}}, ["set.nonsense"]),
        ({"ids": [1], "set": {"status": "DONE"}}, ["set.status"]),
        ({"ids": [1], "set": {"score": 101, "npi": "1750675054"}}, ["set.score"]),
        ({"ids": [1], "set": {"email": "a@b.example"}}, ["set.email"]),
        ({"ids": [1], "set": {"practice_phone": "330 1234"}}, ["set.phone"]),
        ({"ids": [1], "set": {"external_id": "x", "npi": ""}}, ["set.external_id", "set.npi"]),
        ({"ids": [1], "set": {"assigned_user_id": 999_999}}, ["set.assigned_user_id"]),
        ({"ids": [1], "assign": 999_999}, ["assign"]),
        ({"ids": [1], "assign": "me"}, ["assign"]),
        ({"ids": [1], "assign": True}, ["assign"]),
        ({"ids": [1], "assign": []}, ["assign"]),
        ({"ids": [1], "assign": [None]}, ["assign"]),
        ({"ids": [1], "assign": [{}]}, ["assign"]),
        ({"ids": [1], "assign": 10**30}, ["assign"]),
        ({"ids": [1], "assign": {"user": 1}}, ["assign"]),
        ({"ids": [1], "assign": {"user_id": "x"}}, ["assign"]),
        ({"ids": [1], "add_tags": []}, ["non_field_errors"]),
        ({"ids": [1], "add_tags": [{}]}, ["add_tags"]),
        ({"ids": [1], "add_tags": ["a\x00"]}, ["add_tags"]),
        ({"ids": [1], "add_tags": ["a"], "remove_tags": ["a"]}, ["remove_tags"]),
        ({"ids": [1], "add_tags": ["a"], "set": {"tags": [str(n) for n in range(100)]}}, ["add_tags"]),
        ({"ids": [1], "delete": True, "dry_run": "perhaps"}, ["dry_run"]),
        ({"ids": [1], "delete": True, "nonsense": 1}, ["nonsense"]),
        ([], ["non_field_errors"]),
        (None, ["non_field_errors"]),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_named_and_nothing_happens(api, leads, body, named):
    answer = api.post(BULK, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error"), answer.content
    assert list(answer.json()["fields"]) == named
    assert not BulkChange.objects.exists()
    assert not LeadVersion.objects.exists()


# Who may


def test_managers_act_and_everybody_sees_what_was_done(api, member, leads, agents, client_of):
    agent = client_of(agents[0])

    refused = agent.post(BULK, {"ids": [leads[0].pk], "delete": True})
    done = act(client_of(make_member(Role.MANAGER, member.workspace)), ids=[leads[0].pk], delete=True)

    assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")
    assert agent.get(f"{BULK}/{done['bulk_id']}").json() == done
    assert agent.get(BULK).json()["results"] == [done]


def test_another_workspaces_acts_are_not_found(api, stranger, client_of):
    theirs = client_of(stranger)
    done = act(theirs, ids=[make_lead(stranger.workspace).pk], set={"score": 1})

    assert api.get(f"{BULK}/{done['bulk_id']}").status_code == 404
    assert api.get(BULK).json()["results"] == []


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_is_one_query_besides_the_member(api, leads, django_assert_num_queries, rows):
    for number in range(rows):
        act(api, ids=[leads[0].pk], set={"score": number})

    with django_assert_num_queries(2):
        answer = api.get(BULK)

    assert len(answer.json()["results"]) == rows


# What happens


def test_fields_are_set_and_leads_that_have_them_already_are_left_alone(api, member, leads):
    before = read(leads[0])
    fields = {
        "status": "CONTACTED", "score": 0, "notes": "", "city": "Akron", "is_sole_proprietor": None, "needs_action": False,
        "last_contact": "2026-11-01T10:00:00Z", "next_action_at": "02.12.2026", "providers": ["Ada Lang, MD"], "source": "fair",
        "disg_type": "D", "assigned_user_id": member.user_id, "owner_name": "Ada", "tags": ["x", "y"],
    }  # fmt: skip

    first = act(api, ids=[lead.pk for lead in leads[1:3]], set=fields)
    second = act(api, filter={"source": "fair"}, set=fields)

    written = api.get(f"/api/v1/leads/{leads[1].pk}").json()
    assert (counts(first), counts(second)) == ((2, 2, 0, 0, 0), (2, 0, 0, 2, 0))
    expected = fields | {"next_action_at": "2026-12-02T00:00:00Z", "name": "Ada"}
    assert {name: written[name] for name in expected} == expected
    assert written["version"] == 2
    assert read(leads[0]) == before


def test_custom_fields_are_merged_by_their_keys_and_checked(api, member):
    api.post("/api/v1/fields", {"key": "size", "kind": "number"})
    lead = make_lead(member.workspace, extra={"a": 1, "b": 2})

    refused = api.post(BULK, {"ids": [lead.pk], "set": {"extra": {"size": "many"}}})
    act(api, ids=[lead.pk], set={"extra": {"size": "1.234,5", "a": None, "c": {"d": [1]}}})

    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["set.extra.size"])
    assert read(lead)[0]["extra"] == {"b": 2, "size": 1234.5, "c": {"d": [1]}}


@pytest.mark.parametrize(
    ("before", "body", "after", "changed"),
    [
        (["a", "b"], {"add_tags": ["c", "a"]}, ["a", "b", "c"], 1),
        (["a", "b"], {"add_tags": "b, a"}, ["a", "b"], 0),
        (["a", "b", "c"], {"remove_tags": ["b", "x"]}, ["a", "c"], 1),
        (["a", "b"], {"add_tags": ["c"], "remove_tags": ["a"]}, ["b", "c"], 1),
        (["a"], {"remove_tags": ["a"]}, [], 1),
        (["a"], {"set": {"score": 5}, "add_tags": ["b"]}, ["a", "b"], 1),
        (["a"], {"set": {"tags": ["x", "y"]}, "add_tags": ["b"], "remove_tags": ["y"]}, ["x", "b"], 1),
        ([str(n) for n in range(100)], {"add_tags": ["one more"]}, [str(n) for n in range(100)], 0),
    ],
)
def test_tags_are_added_at_the_end_and_taken_away(api, member, before, body, after, changed):
    lead = make_lead(member.workspace, tags=before)

    answer = act(api, ids=[lead.pk], **body)

    assert (read(lead)[0]["tags"], answer["changed_count"]) == (after, changed)


def test_leads_are_given_to_one_to_nobody_and_to_several_in_turn(api, member, leads, agents):
    ids, users = [lead.pk for lead in leads], [agent.user_id for agent in agents]

    def owners():
        return [lead["assigned_user_id"] for lead in read(*leads)]

    act(api, ids=ids, assign=users)
    assert owners() == [*users, users[0]]
    act(api, ids=ids, assign={"user_id": users[1]})
    assert owners() == [users[1]] * 4
    assert counts(act(api, ids=ids[:2], assign=None)) == (2, 2, 0, 0, 0)
    assert owners() == [None, None, users[1], users[1]]
    assert counts(act(api, ids=ids, assign=users[1])) == (4, 2, 0, 2, 0)
    assert counts(act(api, ids=ids, assign={"user_id": None})) == (4, 4, 0, 0, 0)


def test_turns_go_on_from_chunk_to_chunk(member, leads, agents):
    users = [agent.user_id for agent in agents]
    change = Change(users=users)
    started = BulkChange.objects.create(
        workspace=member.workspace, user=member.user, kind=change.kind, changes=change.as_json(),
        selection={"filter": {}, "last": leads[-1].pk, "seen": 0}, matched_count=4,
    )  # fmt: skip

    while started.status != BulkChange.Status.COMPLETED:
        bulk.advance(started, limit=1)

    assert [lead["assigned_user_id"] for lead in read(*leads)] == [*users, users[0]]


def test_only_members_are_given_leads(api, leads, stranger):
    answer = api.post(BULK, {"ids": [leads[0].pk], "assign": [stranger.user_id]})

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["assign"])


def test_deleted_leads_are_in_the_bin(api, leads):
    answer = act(api, ids=[leads[0].pk, leads[1].pk], delete=True)

    assert (counts(answer), Lead.objects.count()) == ((2, 0, 2, 0, 0), 2)
    assert len(api.get("/api/v1/bin").json()["results"]) == 2


def test_what_a_workspace_has_exported_stays_in_the_catalogue(api, operator):
    lead = make_catalogue_lead()
    api.post("/zevix/export-lead", {"lead_id": lead.pk})
    everything = {"selection": Selection(filter={}), "change": Change(delete=True)}

    for attempt in (bulk.start, bulk.dry_run):
        with pytest.raises(LeadSold):
            attempt(**everything, workspace=Workspace.objects.catalogue(), by=Author("human", operator.pk))

    assert Lead.objects.filter(pk=lead.pk).exists()


# What follows


@pytest.mark.parametrize(
    ("before", "fields", "needs_action"),
    [
        ({"needs_action": True}, {"status": "WON", "last_contact": "2026-11-01"}, False),
        ({"needs_action": False}, {"status": "CONTACTED"}, True),
        ({"needs_action": False, "status": "CONTACTED"}, {"status": "CONTACTED", "score": 5}, False),
        ({"needs_action": True}, {"last_contact": "2999-01-01"}, False),
        ({"needs_action": False}, {"status": "CONTACTED", "needs_action": False}, False),
        ({"needs_action": False}, {"score": 5}, False),
        ({"needs_action": False, "last_contact": timezone.now()}, {"last_contact": None}, True),
    ],
)
def test_whether_action_is_needed_follows_as_it_does_for_one_lead(api, member, before, fields, needs_action):
    one, many = (make_lead(member.workspace, **before) for _ in range(2))

    api.patch(f"/api/v1/leads/{one.pk}", fields)
    act(api, ids=[many.pk], set=fields)

    assert [lead["needs_action"] for lead in read(one, many)] == [needs_action, needs_action]


def test_a_task_that_is_due_still_needs_action(api, member):
    lead = make_lead(member.workspace, needs_action=True)
    Activity.objects.create(
        workspace=member.workspace, lead=lead, type="task", text="Call", due_at=timezone.now() - timedelta(days=1)
    )

    act(api, ids=[lead.pk], set={"status": "WON", "last_contact": "2999-01-01"})

    assert read(lead)[0]["needs_action"] is True


def test_changes_of_status_are_written_down_as_activities(api, leads):
    act(api, ids=[lead.pk for lead in leads], set={"status": "CONTACTED"})
    act(api, ids=[leads[0].pk], set={"status": "CONTACTED", "score": 1})

    assert list(Activity.objects.values_list("type", "text")) == [("status_change", "NEW → CONTACTED")] * 4


@pytest.mark.parametrize(
    "fields",
    [{"country": "DE"}, {"state": "MA"}, {"state": "MA", "country": ""}, {"zip_code": "1803"}, {"zip_code": "018030000", "state": "MA"}],
)  # fmt: skip
@pytest.mark.parametrize(
    "before",
    [
        {"phone": "030 901820", "zip_code": "1803", "state": "", "country": "US"},
        {"phone": "(330) 779-3389", "zip_code": "018030000", "state": "", "country": ""},
        {"phone": "", "zip_code": "", "state": "OH", "country": ""},
    ],
)  # fmt: skip
def test_the_forms_of_phone_and_zip_code_follow_as_they_do_for_one_lead(api, member, before, fields):
    normalized = normalized_phone(before["phone"], before["country"])
    one, many = (make_lead(member.workspace, **before, phone_normalized=normalized) for _ in range(2))

    api.patch(f"/api/v1/leads/{one.pk}", fields)
    act(api, ids=[many.pk], set=fields)

    alone, along = read(one, many)
    names = ("phone", "phone_normalized", "zip_code", "state", "country")
    assert {name: along[name] for name in names} == {name: alone[name] for name in names}


# What is told of it


def test_one_event_tells_of_all(api, member, leads, agents):
    ids = [lead.pk for lead in leads]

    done = [
        act(api, ids=ids, set={"score": 5, "city": "Akron"}, add_tags=["x"]),
        act(api, ids=ids, assign=[agents[0].user_id, agents[1].user_id]),
        act(api, ids=ids, set={"score": 5}),
        act(api, ids=ids[:2], delete=True),
    ]

    set_id, assign_id, _unchanged, delete_id = [answer["bulk_id"] for answer in done]
    owners = [agents[0].user_id, agents[1].user_id]
    assert list(Event.objects.order_by("pk").values_list("type", "data")) == [
        ("lead.updated", {"count": 4, "fields": ["city", "score", "tags"], "bulk_id": set_id}),
        ("lead.updated", {"count": 4, "fields": ["assigned_user_id"], "bulk_id": assign_id}),
        ("lead.assigned", {"count": 4, "assigned_user_ids": owners, "bulk_id": assign_id}),
        ("lead.deleted", {"count": 2, "bulk_id": delete_id}),
    ]


def test_the_history_tells_who_did_it_and_all_of_it_is_taken_back(api, member, leads):
    before = [{**lead, "version": 0, "updated_at": 0} for lead in read(*leads)]
    ids = [lead.pk for lead in leads]
    changed = act(api, ids=ids, set={"status": "WON", "country": "DE", "extra": {"a": 1}}, add_tags=["x"])
    deleted = act(api, ids=ids[:2], delete=True)

    contexts = LeadVersion.objects.values_list("pgh_context__act", "pgh_context__user", "pgh_context__source")
    acts = [f"bulk:{changed['bulk_id']}"] * 4 + [f"bulk:{deleted['bulk_id']}"] * 2
    assert sorted(contexts) == sorted((name, member.user_id, "human") for name in acts)
    for answer in (deleted, changed):
        assert api.post(f"{BULK}/{answer['bulk_id']}/undo").status_code == 200
    assert [{**lead, "version": 0, "updated_at": 0} for lead in read(*leads)] == before


def test_a_repeated_request_acts_once(api, leads):
    body, key = {"ids": [leads[0].pk], "delete": True}, {"Idempotency-Key": "k"}

    first, second = (api.post(BULK, body, headers=key) for _ in range(2))

    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")
    assert BulkChange.objects.count() == 1


# Trying it


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"set": {"status": "WON"}}, (3, 2, 0, 1, 1)),
        ({"add_tags": ["b"]}, (3, 3, 0, 0, 1)),
        ({"assign": None}, (3, 0, 0, 3, 1)),
        ({"delete": True}, (3, 0, 3, 0, 1)),
    ],
)
def test_a_dry_run_counts_what_would_happen_and_does_nothing(api, member, leads, body, expected):
    editing.update(leads[0].pk, {"status": "WON"}, workspace=member.workspace, by=Author.of(member))
    before = (list(Lead.objects.order_by("pk").values()), LeadVersion.objects.count(), Event.objects.count())
    ids = [*(lead.pk for lead in leads[:3]), 10**15]

    dry = act(api, ids=ids, dry_run=True, **body)

    assert (dry["bulk_id"], dry["status"], counts(dry)) == (None, "completed", expected)
    assert (list(Lead.objects.order_by("pk").values()), LeadVersion.objects.count(), Event.objects.count()) == before
    assert not BulkChange.objects.exists()
    assert counts(act(api, ids=ids, **body)) == expected


def test_a_dry_run_by_a_filter_knows_no_unknown_leads(api, leads):
    assert counts(act(api, filter={"tag": "a"}, set={"status": "WON"}, dry_run=True)) == (4, 4, 0, 0, 0)


# Many of them


def test_more_than_so_many_are_changed_in_the_background(api, member, leads, settings):
    settings.BULK_INLINE_LEADS = 3
    body = {"filter": {"assigned_to": "none", "tag": "a"}, "assign": member.user_id}

    answer = api.post(BULK, body)

    queued = answer.json()
    assert (answer.status_code, queued["status"], queued["progress"], counts(queued)) == (
        202,
        "queued",
        0,
        (4, 0, 0, 0, 0),
    )
    assert {lead["assigned_user_id"] for lead in read(*leads)} == {None}
    make_lead(member.workspace, tags=["a"])  # which nobody meant
    job = ProcrastinateJob.objects.get(task_name__endswith="change_in_bulk")
    jobs.change_in_bulk(**job.args)
    jobs.change_in_bulk(**job.args)
    done = api.get(f"{BULK}/{queued['bulk_id']}").json()
    assert (done["status"], done["progress"], counts(done)) == ("completed", 100, (4, 4, 0, 0, 0))
    assert [lead["assigned_user_id"] for lead in read(*leads)] == [member.user_id] * 4
    assert Lead.objects.filter(assigned_user=None).count() == 1


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_it_goes_in_chunks_and_tells_how_far_it_is(member, leads, settings, size):
    settings.BULK_INLINE_LEADS = 0
    started = bulk.start(
        Selection(filter={"status": "NEW"}), Change({"status": "WON"}), workspace=member.workspace, by=Author.of(member)
    )

    progress = []
    while started.status != BulkChange.Status.COMPLETED:
        again = BulkChange.objects.get(pk=started.pk)
        bulk.advance(again, limit=size)
        started = again
        progress.append(started.progress)

    assert (started.matched_count, started.changed_count, progress) == (4, 4, sorted(progress))
    assert Event.objects.filter(type="lead.updated").count() == 1


def test_an_act_that_is_refused_in_its_midst_says_why(member, leads, agents, settings):
    settings.BULK_INLINE_LEADS = 0
    change = Change(users=[agents[0].user_id])
    started = bulk.start(Selection(filter={}), change, workspace=member.workspace, by=Author.of(member))
    bulk.advance(started, limit=1)
    agents[0].delete()

    jobs.change_in_bulk(bulk_id=started.pk)

    started.refresh_from_db()
    assert (started.status, started.changed_count) == ("failed", 1)
    assert started.failure == "None of them is a member of this workspace any more."
    assert [event.data["count"] for event in Event.objects.filter(type="lead.assigned", data__has_key="bulk_id")] == [1]


def test_of_several_those_who_have_left_are_passed_over(member, leads, agents, settings):
    settings.BULK_INLINE_LEADS = 0
    change = Change(users=[agent.user_id for agent in agents])
    started = bulk.start(Selection(filter={}), change, workspace=member.workspace, by=Author.of(member))
    agents[0].delete()

    jobs.change_in_bulk(bulk_id=started.pk)

    users = [agents[1].user_id, agents[2].user_id]
    assert [lead["assigned_user_id"] for lead in read(*leads)] == users * 2


@pytest.mark.parametrize("rows", [1, 3])
def test_it_costs_the_same_however_many_leads_there_are(api, member, agents, django_assert_num_queries, rows):
    ids = [make_lead(member.workspace, country="US", phone="330 1234").pk for _ in range(rows)]

    with django_assert_num_queries(19):
        act(api, ids=ids, set={"status": "WON", "country": "DE", "extra": {"a": 1}}, add_tags=["x"])
