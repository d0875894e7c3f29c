"""What people do with leads: calls, e-mails, meetings, notes, tasks, changes of status."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads import activities, editing
from leads.history import SYSTEM, Author
from leads.models import Activity, Lead, LeadVersion
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

ACTIVITIES = "/api/v1/activities"


def day(number):
    """Days in a month that is past."""
    return datetime(2024, 5, number, 9, tzinfo=UTC)


def written(moment):
    return moment.isoformat().replace("+00:00", "Z")


def of(lead):
    return f"/api/v1/leads/{lead.pk}/activities"


def add(lead, type="call", by=SYSTEM, **fields):
    return activities.add(lead.pk, {"type": type, **fields}, workspace=lead.workspace_id, by=by)


def change(lead, activity_id, **changes):
    activities.change(activity_id, changes, workspace=lead.workspace_id, by=SYSTEM)


def delete(lead, activity_id):
    activities.delete(activity_id, workspace=lead.workspace_id, by=SYSTEM)


def update(lead, **changes):
    editing.update(lead.pk, changes, workspace=lead.workspace_id, by=SYSTEM)


def last_contact(lead):
    return Lead.objects.values_list("last_contact", flat=True).get(pk=lead.pk)


def next_action(lead):
    return Lead.objects.values_list("next_action_at", "next_action_description").get(pk=lead.pk)


def needs_action(lead):
    return Lead.objects.values_list("needs_action", flat=True).get(pk=lead.pk)


def ids(answer):
    return [activity["id"] for activity in answer.json()["results"]]


# Writing and reading


def test_an_activity_comes_back_as_it_was_written(api, member):
    lead = make_lead(member.workspace)

    added = api.post(of(lead), {"type": "call", "text": " Wants an offer\nby Friday ", "done_at": written(day(1))})

    activity = added.json()
    assert added.status_code == 201
    assert activity == {
        "id": Activity.objects.get().pk,
        "lead_id": lead.pk,
        "type": "call",
        "text": "Wants an offer\nby Friday",
        "due_at": None,
        "done_at": written(day(1)),
        "user": {"id": member.user.pk, "email": member.user.email},
        "created_at": activity["created_at"],
        "updated_at": activity["updated_at"],
    }
    assert api.get(f"{ACTIVITIES}/{activity['id']}").json() == activity
    assert api.get(of(lead)).json()["results"] == [activity]
    assert api.get(ACTIVITIES).json()["results"] == [activity]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["type"]),
        ({"type": "visit"}, ["type"]),
        ({"type": None}, ["type"]),
        ({"type": ["call"]}, ["type"]),
        ({"type": "note"}, ["text"]),
        ({"type": "note", "text": "  "}, ["text"]),
        ({"type": "status_change"}, ["text"]),
        ({"type": "note", "text": {"a": 1}}, ["text"]),
        ({"type": "note", "text": True}, ["text"]),
        ({"type": "note", "text": "a\x00b"}, ["text"]),
        ({"type": "note", "text": "x" * 20_001}, ["text"]),
        ({"type": "call", "due_at": "2024-05-01"}, ["due_at"]),
        ({"type": "note", "text": "x", "due_at": "2024-05-01"}, ["due_at"]),
        ({"type": "task", "due_at": "someday"}, ["due_at"]),
        ({"type": "task", "due_at": 5}, ["due_at"]),
        ({"type": "task", "due_at": "99999-01-01"}, ["due_at"]),
        ({"type": "task", "due_at": "0001-01-01T00:00:00+14:00"}, ["due_at"]),
        ({"type": "call", "done_at": "2999-01-01"}, ["done_at"]),
        ({"type": "task", "done_at": "2999-01-01"}, ["done_at"]),
        ({"type": "call", "done_at": ["2024-05-01"]}, ["done_at"]),
        ({"type": "call", "lead_id": 1}, ["lead_id"]),
        ({"type": "call", "user": 1}, ["user"]),
        ([{"type": "call"}], ["non_field_errors"]),
        ("call", ["non_field_errors"]),
    ],
)
def test_what_makes_no_sense_is_a_validation_error_at_the_field(api, member, body, fields):
    lead = make_lead(member.workspace)

    answer = api.post(of(lead), body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == fields
    assert not Activity.objects.exists()


@pytest.mark.parametrize("type", Activity.Type.values)
def test_there_are_six_types(api, member, type):
    lead = make_lead(member.workspace)

    answer = api.post(of(lead), {"type": type, "text": "x" * 20_000})

    assert (answer.status_code, answer.json()["type"]) == (201, type)


def test_a_contact_without_a_time_is_one_of_now(api, member):
    lead = make_lead(member.workspace)
    before = timezone.now()

    api.post(of(lead), {"type": "meeting"})

    activity = Activity.objects.get()
    assert before <= activity.done_at <= timezone.now()
    assert last_contact(lead) == activity.done_at


def test_the_same_idempotency_key_writes_one_activity(api, member):
    lead = make_lead(member.workspace)

    first, second = (
        api.post(of(lead), {"type": "note", "text": "x"}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )

    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Activity.objects.count() == 1


def test_any_subset_of_the_fields_is_changed(api, member):
    lead = make_lead(member.workspace)
    added = api.post(of(lead), {"type": "note", "text": "Likes te"}).json()

    changed = api.patch(f"{ACTIVITIES}/{added['id']}", {"text": "Likes tea"})
    same = api.patch(f"{ACTIVITIES}/{added['id']}", {})
    refused = [
        api.patch(f"{ACTIVITIES}/{added['id']}", body)
        for body in ({"text": ""}, {"due_at": "2024-05-01"}, {"type": "visit"}, {"id": 7}, [])
    ]

    assert changed.json() == added | {"text": "Likes tea", "updated_at": changed.json()["updated_at"]}
    assert changed.json()["updated_at"] > added["updated_at"]
    assert same.json() == changed.json()
    assert [list(answer.json()["fields"]) for answer in refused] == [
        ["text"], ["due_at"], ["type"], ["id"], ["non_field_errors"],
    ]  # fmt: skip


def test_a_task_becomes_a_note_once_its_date_is_taken_away(api, member):
    lead = make_lead(member.workspace)
    task = add(lead, "task", text="Call", due_at=day(1))

    refused = api.patch(f"{ACTIVITIES}/{task}", {"type": "note"})
    accepted = api.patch(f"{ACTIVITIES}/{task}", {"type": "note", "due_at": None})

    assert list(refused.json()["fields"]) == ["due_at"]
    assert accepted.json()["type"] == "note"
    assert next_action(lead) == (None, "")


def test_a_deleted_activity_is_gone(api, member):
    lead = make_lead(member.workspace)
    note = add(lead, "note", text="x")

    answer = api.delete(f"{ACTIVITIES}/{note}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(f"{ACTIVITIES}/{note}").status_code == 404
    assert api.delete(f"{ACTIVITIES}/{note}").status_code == 404


def test_who_is_deleted_leaves_activities_of_nobody(api, member):
    lead = make_lead(member.workspace)
    agent = make_member(Role.AGENT, member.workspace)
    add(lead, "note", text="x", by=Author.of(member))
    Activity.objects.update(user=agent.user)

    agent.user.delete()

    assert api.get(of(lead)).json()["results"][0]["user"] is None


@pytest.mark.parametrize("number", ["0", "999999999", "9" * 40, "-1", "abc"])
def test_what_there_is_not_is_not_found(api, number):
    answers = [
        api.get(f"/api/v1/leads/{number}/activities"),
        api.post(f"/api/v1/leads/{number}/activities", {"type": "visit"}),
        api.get(f"{ACTIVITIES}/{number}"),
        api.patch(f"{ACTIVITIES}/{number}", {"type": "visit"}),
        api.delete(f"{ACTIVITIES}/{number}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5


def test_another_workspaces_activities_are_not_found(api, stranger):
    lead = make_lead(stranger.workspace)
    theirs = add(lead, "note", text="x")

    answers = [
        api.get(of(lead)),
        api.post(of(lead), {"type": "call"}),
        api.get(f"{ACTIVITIES}/{theirs}"),
        api.patch(f"{ACTIVITIES}/{theirs}", {"text": "y"}),
        api.delete(f"{ACTIVITIES}/{theirs}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert ids(api.get(ACTIVITIES)) == ids(api.get(f"{ACTIVITIES}?lead={lead.pk}")) == []
    assert Activity.objects.get().text == "x"


def test_nobody_reads_without_a_token(anonymous, member):
    lead = make_lead(member.workspace)

    assert [anonymous.get(path).status_code for path in (of(lead), ACTIVITIES, "/leads/needs-action")] == [401] * 3


def test_activities_of_a_lead_in_the_bin_return_with_it(api, member):
    lead = make_lead(member.workspace)
    note = add(lead, "note", text="x")
    paths = [of(lead), f"{ACTIVITIES}/{note}"]

    editing.delete(Lead.objects.filter(pk=lead.pk), by=SYSTEM)
    binned = [*(api.get(path).status_code for path in paths), ids(api.get(ACTIVITIES))]
    editing.restore_deleted([lead.pk], workspace=member.workspace, by=SYSTEM)
    back = [*(api.get(path).status_code for path in paths), ids(api.get(ACTIVITIES))]

    assert (binned, back) == ([404, 404, []], [200, 200, [note]])


# Roles


def test_agents_write_only_at_leads_that_are_theirs_and_read_all(client_of, member):
    agent = make_member(Role.AGENT, member.workspace)
    mine, others = make_lead(member.workspace, assigned_user=agent.user), make_lead(member.workspace)
    api = client_of(agent)

    accepted, refused = api.post(of(mine), {"type": "call"}), api.post(of(others), {"type": "call"})

    assert accepted.status_code == 201
    assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")
    assert refused.json()["message"] == "Can only update your assigned leads"
    assert api.get(of(others)).status_code == 200
    assert last_contact(others) is None


def test_agents_change_their_own_activities_of_leads_that_are_still_theirs(client_of, member):
    agent = make_member(Role.AGENT, member.workspace)
    lead = make_lead(member.workspace, assigned_user=agent.user)
    own = add(lead, "note", text="x", by=Author.of(agent))
    managers = add(lead, "note", text="x", by=Author.of(member))
    api = client_of(agent)

    changed = [api.patch(f"{ACTIVITIES}/{number}", {"text": "y"}) for number in (own, managers)]
    deleted = api.delete(f"{ACTIVITIES}/{managers}")
    update(lead, assigned_user_id=None)
    lost = api.patch(f"{ACTIVITIES}/{own}", {"text": "z"})

    assert [answer.status_code for answer in changed] == [200, 403]
    assert deleted.json()["message"] == changed[1].json()["message"] == "Can only change your own activities"
    assert lost.json()["message"] == "Can only update your assigned leads"
    assert list(Activity.objects.order_by("id").values_list("text", flat=True)) == ["y", "x"]


def test_managers_change_any(client_of, member):
    agent = make_member(Role.AGENT, member.workspace)
    lead = make_lead(member.workspace, assigned_user=agent.user)
    note = add(lead, "note", text="x", by=Author.of(agent))
    api = client_of(make_member(Role.MANAGER, member.workspace))

    answer = api.patch(f"{ACTIVITIES}/{note}", {"text": "y"})

    assert (answer.json()["text"], answer.json()["user"]["id"]) == ("y", agent.user.pk)
    assert api.delete(f"{ACTIVITIES}/{note}").status_code == 204


# Lists


def test_the_newest_come_first_by_pages(api, member):
    lead, other = make_lead(member.workspace), make_lead(member.workspace)
    added = [add(lead, "note", text="x") for _ in range(3)]
    elsewhere = add(other, "note", text="x")

    first = api.get(f"{of(lead)}?limit=2&count=true")
    second = api.get(first.json()["next"])

    assert (ids(first), first.json()["count"]) == ([added[2], added[1]], 3)
    assert (ids(second), second.json()["next"]) == ([added[0]], None)
    assert ids(api.get(second.json()["previous"])) == [added[2], added[1]]
    assert ids(api.get(ACTIVITIES)) == [elsewhere, *added[::-1]]


@pytest.mark.parametrize("rows", [1, 3])
def test_lists_cost_the_same_with_one_row_and_with_three(api, member, django_assert_num_queries, rows):
    lead = make_lead(member.workspace)
    for _ in range(rows):
        add(lead, "note", text="x", by=Author.of(member))

    with django_assert_num_queries(2):
        all_of_them = api.get(ACTIVITIES)
    with django_assert_num_queries(3):
        of_a_lead = api.get(of(lead))

    assert len(ids(all_of_them)) == len(ids(of_a_lead)) == rows


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=call", ["call"]),
        ("user=me", ["mine"]),
        ("user=999999", []),
        ("open=true", ["undated", "soon", "late"]),
        ("open=true&ordering=due_at", ["soon", "late", "undated"]),
        ("open=false", ["done"]),
        ("due_before=2024-05-10", ["done", "soon"]),
        ("due_after=2024-05-10T00:00:00Z", ["late"]),
        ("open=true&due_before=2024-05-10", ["soon"]),
        ("type=note&ordering=-id", ["mine"]),
        ("lead=999999", []),
    ],
)
def test_filters_narrow_the_list(api, member, query, found):
    lead = make_lead(member.workspace)
    add(lead, "call", text="call")
    add(lead, "task", text="late", due_at=day(20))
    add(lead, "task", text="soon", due_at=day(2))
    add(lead, "task", text="undated")
    add(lead, "task", text="done", due_at=day(1), done_at=day(2))
    add(lead, "note", text="mine", by=Author.of(member))

    answers = [api.get(f"{ACTIVITIES}?{query}"), api.get(f"{of(lead)}?{query}")]

    assert [[row["text"] for row in answer.json()["results"]] for answer in answers] == [found] * 2


def test_open_tasks_by_date_go_on_over_pages(api, member):
    lead = make_lead(member.workspace)
    tasks = [add(lead, "task", text="x", due_at=due) for due in (day(1), day(2), day(2), None)]

    pages = [api.get(f"{ACTIVITIES}?open=true&ordering=due_at&limit=1")]
    while pages[-1].json()["next"]:
        pages.append(api.get(pages[-1].json()["next"]))

    assert [number for page in pages for number in ids(page)] == tasks
    assert ids(api.get(pages[-1].json()["previous"])) == [tasks[2]]


@pytest.mark.parametrize(
    "query",
    [
        "type=visit", "user=somebody", "user=none", "user=99999999999999999999999", "open=perhaps", "due_before=soon",
        "due_after=x", "lead=x", "lead=0", "lead=99999999999999999999", "ordering=due_at", "ordering=text", "limit=0",
        "cursor=x", "nonsense=1",
    ],
)  # fmt: skip
def test_a_query_that_can_not_be_is_a_validation_error(api, query):
    answer = api.get(f"{ACTIVITIES}?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [query.split("=")[0]]


# The last contact


@pytest.mark.parametrize("type", ["call", "email", "meeting"])
def test_a_contact_moves_the_leads_last_contact_forward_only(member, type):
    lead = make_lead(member.workspace, last_contact=day(5))

    add(lead, type, done_at=day(3))
    earlier = last_contact(lead)
    activity = add(lead, type, done_at=day(8))

    assert (earlier, last_contact(lead)) == (day(5), day(8))
    assert LeadVersion.objects.get(pgh_obj=lead.pk).pgh_context["act"] == f"activity:{activity}"


@pytest.mark.parametrize("type", ["note", "task", "status_change"])
def test_what_is_no_contact_moves_nothing(member, type):
    lead = make_lead(member.workspace)

    add(lead, type, text="x", done_at=day(8))

    lead.refresh_from_db()
    assert (lead.last_contact, lead.version) == (None, 1)


def test_a_contact_of_today_settles_that_action_is_needed_and_its_deletion_unsettles_it(member):
    lead = make_lead(member.workspace, status="CONTACTED")

    call = add(lead, "call")
    contacted = needs_action(lead)
    delete(lead, call)

    assert (contacted, needs_action(lead), last_contact(lead)) == (False, True, None)


def test_a_deleted_contact_leaves_the_latest_of_the_others(member):
    lead = make_lead(member.workspace, last_contact=day(1))
    calls = [add(lead, "call", done_at=day(number)) for number in (4, 9, 6)]

    left = []
    for call in (calls[1], calls[2], calls[0]):
        delete(lead, call)
        left.append(last_contact(lead))

    assert left == [day(6), day(4), day(1)]


def test_a_contact_that_is_put_off_or_turned_into_a_note_takes_its_time_along(member):
    lead = make_lead(member.workspace, last_contact=day(1))
    call = add(lead, "call", done_at=day(9))

    left = []
    for changes in ({"done_at": day(5)}, {"done_at": day(12)}, {"type": "note", "text": "x"}, {"type": "email"}):
        change(lead, call, **changes)
        left.append(last_contact(lead))

    assert left == [day(5), day(12), day(1), day(12)]


def test_a_contact_with_another_text_moves_nothing(member):
    lead = make_lead(member.workspace)
    call = add(lead, "call", done_at=day(9))
    update(lead, last_contact=day(2))

    change(lead, call, text="Wants an offer")

    assert last_contact(lead) == day(2)


def test_what_somebody_else_wrote_since_stands(member):
    lead = make_lead(member.workspace, last_contact=day(1))
    call = add(lead, "call", done_at=day(9))
    update(lead, last_contact=day(2))

    delete(lead, call)

    assert last_contact(lead) == day(2)


def test_the_same_time_written_by_somebody_else_stands_though_the_contact_goes(member):
    lead = make_lead(member.workspace, last_contact=day(1))
    call = add(lead, "call", done_at=day(9))
    update(lead, last_contact=None)
    update(lead, last_contact=day(9))

    delete(lead, call)

    assert last_contact(lead) == day(9)


@pytest.mark.django_db(transaction=True)
def test_contacts_from_before_somebodys_correction_do_not_come_back():
    lead = make_lead(make_member().workspace)
    add(lead, "call", done_at=day(9))
    update(lead, last_contact=day(2))
    later = add(lead, "call", done_at=day(12))

    delete(lead, later)

    assert last_contact(lead) == day(2)


@pytest.mark.django_db(transaction=True)
def test_of_contacts_at_once_the_latest_stays():
    lead = make_lead(make_member().workspace)

    at_once([lambda number=number: add(lead, "call", done_at=day(number)) for number in (5, 20, 3, 11)])

    assert last_contact(lead) == day(20)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_a_contact_deleted_while_another_is_written_leaves_the_other(attempt):
    lead = make_lead(make_member().workspace)
    going = add(lead, "call", done_at=day(20))

    at_once([lambda: delete(lead, going), lambda: add(lead, "call", done_at=day(7))])

    assert last_contact(lead) == day(7)


# Tasks


def test_a_task_with_a_date_is_the_leads_next_action(member):
    lead = make_lead(member.workspace)

    add(lead, "task", text=" \n" + "Call about the offer\nand the invoice", due_at=day(9))

    assert next_action(lead) == (day(9), "Call about the offer")


def test_a_long_line_is_cut_to_what_the_field_holds(member):
    lead = make_lead(member.workspace)

    add(lead, "task", text="x" * 5000, due_at=day(9))

    assert next_action(lead) == (day(9), "x" * 2000)


def test_the_task_that_is_due_first_is_the_next_action_and_the_next_one_takes_its_place(member):
    lead = make_lead(member.workspace)
    late, first, middle = (add(lead, "task", text=str(number), due_at=day(number)) for number in (20, 5, 10))
    add(lead, "task", text="undated")
    seen = [next_action(lead)]

    change(lead, first, done_at=day(5))
    seen.append(next_action(lead))
    change(lead, middle, due_at=day(25))
    seen.append(next_action(lead))
    delete(lead, late)
    seen.append(next_action(lead))
    delete(lead, middle)
    seen.append(next_action(lead))

    assert seen == [(day(5), "5"), (day(10), "10"), (day(20), "20"), (day(25), "10"), (None, "")]


def test_a_task_that_is_done_already_or_has_no_date_plans_nothing(member):
    lead = make_lead(member.workspace)

    add(lead, "task", text="x", due_at=day(1), done_at=day(1))
    add(lead, "task", text="x")

    lead.refresh_from_db()
    assert (next_action(lead), lead.version) == ((None, ""), 1)


def test_another_text_of_the_task_is_the_next_actions_too(member):
    lead = make_lead(member.workspace)
    task = add(lead, "task", text="Call", due_at=day(9))

    change(lead, task, text="Write")

    assert next_action(lead) == (day(9), "Write")


def test_a_task_opened_anew_is_the_next_action_again(member):
    lead = make_lead(member.workspace)
    task = add(lead, "task", text="Call", due_at=day(9), done_at=day(9))

    change(lead, task, done_at=None)

    assert next_action(lead) == (day(9), "Call")


def test_a_next_action_that_somebody_set_gives_way_to_sooner_tasks_only(member):
    lead = make_lead(member.workspace, next_action_at=day(10), next_action_description="Visit")

    later = add(lead, "task", text="Later", due_at=day(15))
    seen = [next_action(lead)]
    delete(lead, later)
    seen.append(next_action(lead))
    add(lead, "task", text="Sooner", due_at=day(5))
    seen.append(next_action(lead))

    assert seen == [(day(10), "Visit"), (day(10), "Visit"), (day(5), "Sooner")]


def test_a_next_action_that_somebody_wrote_over_the_tasks_stays_when_the_task_is_done(member):
    lead = make_lead(member.workspace)
    task = add(lead, "task", text="Call", due_at=day(5))
    update(lead, next_action_at=day(8), next_action_description="Visit")

    change(lead, task, text="Call them")
    change(lead, task, done_at=day(6))

    assert next_action(lead) == (day(8), "Visit")


def test_a_lead_with_a_task_that_is_due_needs_action_until_it_is_done(api, member):
    lead = make_lead(member.workspace, last_contact=timezone.now(), needs_action=False)
    task = api.post(of(lead), {"type": "task", "text": "Call", "due_at": written(day(1))}).json()["id"]
    seen = [needs_action(lead)]

    add(lead, "call")
    update(lead, status="WON")
    editing.update_all(Lead.objects.filter(pk=lead.pk), {"status": "QUALIFIED"}, by=SYSTEM)
    seen.append(needs_action(lead))
    api.patch(f"{ACTIVITIES}/{task}", {"done_at": written(timezone.now())})
    seen.append(needs_action(lead))

    assert seen == [True, True, False]


def test_a_task_for_later_changes_nothing_about_today(member):
    lead = make_lead(member.workspace, last_contact=timezone.now(), needs_action=False)
    marked = make_lead(member.workspace, last_contact=timezone.now(), needs_action=True)
    tomorrow = timezone.now() + timedelta(days=1)

    tasks = [add(row, "task", text="x", due_at=tomorrow) for row in (lead, marked)]
    change(marked, tasks[1], done_at=timezone.now())

    assert (needs_action(lead), needs_action(marked)) == (False, True)


def test_of_two_tasks_that_are_due_both_have_to_be_done(member):
    lead = make_lead(member.workspace, last_contact=timezone.now(), needs_action=False)
    tasks = [add(lead, "task", text="x", due_at=day(number)) for number in (1, 2)]

    seen = []
    change(lead, tasks[1], done_at=day(3))
    seen.append(needs_action(lead))
    change(lead, tasks[0], due_at=timezone.now() + timedelta(days=3))
    seen.append(needs_action(lead))

    assert seen == [True, False]


def test_a_task_that_is_done_does_not_mark_what_somebody_has_cleared(member):
    lead = make_lead(member.workspace)  # never contacted
    task = add(lead, "task", text="x", due_at=day(1))
    update(lead, needs_action=False)

    change(lead, task, done_at=day(3))

    assert needs_action(lead) is False


@pytest.mark.django_db(transaction=True)
def test_of_tasks_at_once_the_first_one_due_is_the_next_action():
    lead = make_lead(make_member().workspace)

    at_once([lambda number=number: add(lead, "task", text="x", due_at=day(number)) for number in (9, 4, 12)])

    assert next_action(lead) == (day(4), "x")


# Changes of status


def test_a_change_of_status_is_written_down_with_who_made_it(api, member):
    lead = make_lead(member.workspace)

    api.patch(f"/api/v1/leads/{lead.pk}", {"status": "CONTACTED", "name": "Anna"})
    api.patch(f"/api/v1/leads/{lead.pk}", {"status": "CONTACTED", "name": "Ada"})

    activity = Activity.objects.get()
    assert (activity.lead_id, activity.workspace, activity.user) == (lead.pk, member.workspace, member.user)
    assert (activity.type, activity.text) == ("status_change", "NEW → CONTACTED")


def test_a_refused_change_of_status_is_not_written_down(api, member):
    make_lead(member.workspace, external_id="taken")
    lead = make_lead(member.workspace)

    answer = api.patch(f"/api/v1/leads/{lead.pk}", {"status": "WON", "external_id": "taken"})

    assert answer.status_code == 409
    assert not Activity.objects.exists()


@pytest.mark.parametrize("rows", [1, 3])
def test_changes_of_status_of_many_are_written_down_at_one_cost(member, django_assert_num_queries, rows):
    leads = [make_lead(member.workspace) for _ in range(rows)]
    make_lead(member.workspace, status="WON")

    with django_assert_num_queries(8):
        editing.update_all(Lead.objects.all(), {"status": "WON", "needs_action": True}, by=Author.of(member))

    told = Activity.objects.order_by("lead").values_list("lead", "text", "user")
    assert list(told) == [(lead.pk, "NEW → WON", member.user.pk) for lead in leads]


def test_a_restored_status_is_written_down(member):
    lead = make_lead(member.workspace)
    update(lead, status="LOST")

    editing.restore(lead.pk, 1, workspace=member.workspace, by=Author.of(member))

    assert list(Activity.objects.order_by("id").values_list("text", flat=True)) == ["NEW → LOST", "LOST → NEW"]
