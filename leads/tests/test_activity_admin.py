"""Activities in the admin."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import activities, editing
from leads.history import SYSTEM, Author
from leads.models import Activity, Lead
from leads.tests.factories import make_lead
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

LIST = reverse("admin:leads_activity_changelist")
NEW = reverse("admin:leads_activity_add")


def day(number):
    return datetime(2024, 5, number, tzinfo=UTC)


def page_of(row, view="change"):
    return reverse(f"admin:leads_{row._meta.model_name}_{view}", args=[row.pk])


def save(browser, row, **changes):
    return browser.post(page_of(row), filled(browser.get(page_of(row)), **changes))


def add(lead, type="note", text="x", by=SYSTEM, **fields):
    number = activities.add(lead.pk, {"type": type, "text": text, **fields}, workspace=lead.workspace_id, by=by)
    return Activity.objects.get(pk=number)


def listed(browser, **query):
    return [activity.text for activity in browser.get(LIST, query).context["cl"].result_list]


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


# The list


def test_a_manager_sees_the_activities_of_their_workspaces(browser, manager, stranger, operator, in_admin):
    add(make_lead(manager.workspace), text="own")
    theirs = add(make_lead(stranger.workspace), text="theirs")

    assert listed(browser) == ["own"]
    assert browser.get(page_of(theirs)).status_code == 302
    assert listed(in_admin(operator)) == ["theirs", "own"]


def test_the_list_is_narrowed_and_searched(browser, manager):
    lead = make_lead(manager.workspace)
    add(lead, "call", "call")
    add(lead, "task", "late", due_at=day(1))
    add(lead, "task", "someday")
    add(lead, "task", "done", done_at=day(1), by=Author.of(manager))

    queries = (
        {"type__exact": "call"}, {"task": "open"}, {"task": "overdue"}, {"task": "done"}, {"person": "me"},
        {"person": manager.user_id}, {"person": "none"}, {"person": "nosuch"}, {"q": "SOME"},
    )  # fmt: skip
    assert [listed(browser, **query) for query in queries] == [
        ["call"], ["someday", "late"], ["late"], ["done"], ["done"],
        ["done"], ["someday", "late", "call"], [], ["someday"],
    ]  # fmt: skip


def test_activities_of_leads_in_the_bin_are_not_listed(browser, manager):
    lead = make_lead(manager.workspace)
    note = add(lead)

    editing.delete(Lead.objects.all(), by=SYSTEM)

    assert listed(browser) == []
    assert browser.get(page_of(note)).status_code == 302


@pytest.mark.parametrize(("who", "cost"), [("operator", 4), ("manager", 7)])
def test_the_list_costs_the_same_with_one_row_and_with_three(
    who, cost, operator, manager, in_admin, django_assert_num_queries
):
    browser = in_admin(operator if who == "operator" else manager.user)

    for rows in (1, 2):
        for _ in range(rows):
            add(make_lead(manager.workspace), by=Author.of(make_member(workspace=manager.workspace)))
        with django_assert_num_queries(cost):
            browser.get(LIST)


# Writing


def test_an_activity_is_added_with_what_follows_from_it(browser, manager):
    lead = make_lead(manager.workspace)

    answer = browser.post(
        NEW, filled(browser.get(NEW), lead=lead.pk, type="call", text="Hi", done_at_0="2024-05-01", done_at_1="09:00")
    )

    activity = Activity.objects.get()
    lead.refresh_from_db()
    assert answer.status_code == 302
    assert (activity.workspace, activity.user, activity.text) == (manager.workspace, manager.user, "Hi")
    assert lead.last_contact == activity.done_at


def test_an_activity_is_not_added_to_another_workspaces_lead(browser, stranger):
    lead = make_lead(stranger.workspace)

    answer = browser.post(NEW, filled(browser.get(NEW), lead=lead.pk, type="call"))

    assert answer.context["adminform"].form.errors.keys() == {"lead"}
    assert not Activity.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": "x" * 20_001}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"type": "visit"}, "type"),
        ({"type": ""}, "type"),
        ({"due_at_0": "2024-05-01", "due_at_1": "09:00"}, "due_at"),
        ({"done_at_0": "2999-05-01", "done_at_1": "09:00"}, "done_at"),
        ({"done_at_0": "yesterday"}, "done_at"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_field(browser, manager, changes, field):
    note = add(make_lead(manager.workspace))

    answer = save(browser, note, **changes)

    assert answer.context["adminform"].form.errors.keys() == {field}
    assert Activity.objects.get() == note


def test_an_activity_is_changed_and_stays_at_its_lead(browser, manager):
    lead, other = make_lead(manager.workspace), make_lead(manager.workspace)
    task = add(lead, "task", "Call", due_at=day(1))

    save(browser, task, text="Write", lead=other.pk)

    task.refresh_from_db()
    lead.refresh_from_db()
    assert (task.lead, task.text, task.user) == (lead, "Write", None)
    assert lead.next_action_description == "Write"


def test_activities_are_deleted_one_by_one_and_together_with_what_follows(browser, manager):
    lead = make_lead(manager.workspace)
    calls = [add(lead, "call", done_at=day(number)) for number in (3, 2, 1)]

    browser.post(page_of(calls[0], "delete"), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [call.pk for call in calls[1:]], "post": "yes"}
    browser.post(LIST, chosen)

    lead.refresh_from_db()
    assert (Activity.objects.count(), lead.last_contact) == (0, None)


def test_what_is_written_is_text_and_no_markup(browser, manager):
    note = add(make_lead(manager.workspace), text="<script>alert(1)</script>")

    pages = [browser.get(LIST), browser.get(page_of(note)), browser.get(page_of(note.lead))]

    assert "<script>alert(1)" not in "".join(page.content.decode() for page in pages)


# On a lead's page


def test_a_leads_page_shows_the_latest_activities(browser, manager, django_assert_num_queries):
    lead = make_lead(manager.workspace)
    for number in range(12):
        add(lead, text=f"Note {number}.", by=Author.of(manager))
    add(make_lead(manager.workspace), text="Elsewhere.")

    text = browser.get(page_of(lead)).content.decode()

    assert [number for number in range(12) if f"Note {number}." in text] == list(range(2, 12))
    assert "Elsewhere." not in text


def test_an_activity_is_added_on_a_leads_page(browser, manager):
    lead = make_lead(manager.workspace)
    add(lead)

    answer = save(browser, lead, name="Anna", **{"activities-1-type": "note", "activities-1-text": "Likes tea"})

    lead.refresh_from_db()
    added = Activity.objects.latest("id")
    assert (answer.status_code, lead.name) == (302, "Anna")
    assert (added.lead, added.workspace, added.user, added.text) == (lead, manager.workspace, manager.user, "Likes tea")


def test_what_is_there_is_not_changed_on_a_leads_page(browser, manager):
    lead = make_lead(manager.workspace)
    note = add(lead)

    save(browser, lead, **{"activities-0-text": "y", "activities-0-type": "call", "activities-0-DELETE": "on"})

    assert list(Activity.objects.values_list("pk", "type", "text")) == [(note.pk, "note", "x")]


def test_a_page_that_was_opened_before_others_wrote_can_still_be_saved(browser, manager):
    lead = make_lead(manager.workspace)
    add(lead)
    form = filled(browser.get(page_of(lead)), **{"activities-1-type": "note", "activities-1-text": "mine"})
    for _ in range(12):
        add(lead)

    answer = browser.post(page_of(lead), form)

    assert answer.status_code == 302
    assert Activity.objects.latest("id").text == "mine"


def test_an_activity_that_makes_no_sense_keeps_the_leads_page_open(browser, manager):
    lead = make_lead(manager.workspace)

    answer = save(browser, lead, name="Anna", **{"activities-0-type": "note"})

    lead.refresh_from_db()
    assert answer.status_code == 200
    assert (Activity.objects.count(), lead.name) == (0, "")


def test_a_new_lead_has_no_activities_to_show(browser):
    assert "activities-TOTAL_FORMS" not in browser.get(reverse("admin:leads_lead_add")).content.decode()
