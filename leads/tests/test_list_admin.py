"""Custom fields, saved views and acts upon many leads in the admin."""

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import bulk
from leads.bulk import Change
from leads.history import Author
from leads.models import BulkChange, CustomField, Lead, SavedView
from leads.selections import Selection
from leads.tests.factories import make_lead
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db


def list_of(name):
    return reverse(f"admin:leads_{name}_changelist")


def page_of(row, view="change"):
    return reverse(f"admin:leads_{row._meta.model_name}_{view}", args=[row.pk])


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def define(workspace, key="size", kind="text", **more):
    return CustomField.objects.create(workspace=workspace, key=key, label=key.capitalize(), kind=kind, **more)


def save_view(member, name="v", **more):
    return SavedView.objects.create(workspace=member.workspace, user=member.user, name=name, **more)


def act(member):
    lead = make_lead(member.workspace)
    return bulk.start(
        Selection(ids=[lead.pk]), Change({"city": "Akron"}), workspace=member.workspace, by=Author.of(member)
    )


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


# Custom fields


def test_a_field_is_defined_and_rewrites_what_leads_hold(browser, manager):
    lead = make_lead(manager.workspace, extra={"size": "1.234,5"})
    page = reverse("admin:leads_customfield_add")

    browser.post(
        page, filled(browser.get(page), workspace=manager.workspace_id, key="size", label="Size", kind="number")
    )

    field = CustomField.objects.get()
    assert (field.workspace, field.key, field.label, field.kind) == (manager.workspace, "size", "Size", "number")
    assert Lead.objects.get(pk=lead.pk).extra == {"size": 1234.5}


def test_a_kind_that_does_not_fit_is_refused_with_the_reason(browser, manager):
    field = define(manager.workspace)
    make_lead(manager.workspace, extra={"size": "many"})

    answer = browser.post(page_of(field), filled(browser.get(page_of(field)), kind="number"), follow=True)

    field.refresh_from_db()
    assert (field.kind, said(answer)) == (
        "text",
        ["Leads that hold a value which is none of this kind: 1. Change these first."],
    )


def test_choices_are_written_one_a_line(browser, manager):
    field = define(manager.workspace)

    without = browser.post(page_of(field), filled(browser.get(page_of(field)), kind="choice"))
    browser.post(
        page_of(field), filled(browser.get(page_of(field)), kind="choice", choices="Gold\nSilver, or so\nGOLD\n")
    )

    field.refresh_from_db()
    assert without.context["adminform"].form.errors["choices"] == ["Give at least one choice."]
    assert (field.kind, field.choices) == ("choice", ["Gold", "Silver, or so"])


@pytest.mark.parametrize("key", ["Size", "1", "a-b", "", "x" * 61])
def test_a_key_that_can_not_be_is_refused(browser, manager, key):
    page = reverse("admin:leads_customfield_add")

    answer = browser.post(
        page, filled(browser.get(page), workspace=manager.workspace_id, key=key, label="Size", kind="text")
    )

    assert "key" in answer.context["adminform"].form.errors


def test_a_key_is_defined_once_and_stays(browser, manager):
    field, page = define(manager.workspace), reverse("admin:leads_customfield_add")

    answer = browser.post(
        page, filled(browser.get(page), workspace=manager.workspace_id, key="size", label="Size", kind="text")
    )
    browser.post(page_of(field), filled(browser.get(page_of(field)), key="other", label="Größe"))

    assert answer.status_code == 200
    assert list(CustomField.objects.values_list("key", "label")) == [("size", "Größe")]


def test_a_definition_is_deleted_and_the_values_stay(browser, manager):
    field, lead = define(manager.workspace), make_lead(manager.workspace, extra={"size": "5"})

    browser.post(page_of(field, "delete"), {"post": "yes"})

    assert not CustomField.objects.exists()
    assert Lead.objects.get(pk=lead.pk).extra == {"size": "5"}


# Saved views


def test_managers_see_their_own_and_shared_views_and_may_delete_them(browser, manager):
    colleague = make_member(Role.AGENT, manager.workspace)
    mine, shared = (
        save_view(manager, "mine"),
        save_view(colleague, "shared", is_shared=True, filters={"status": ["NEW", "WON"]}),
    )
    private = save_view(colleague, "private")

    page = browser.get(list_of("savedview")).content.decode()
    browser.post(page_of(shared, "delete"), {"post": "yes"})
    browser.post(page_of(private, "delete"), {"post": "yes"})

    assert ("mine" in page, "status=NEW, WON" in page, "private" in page) == (True, True, False)
    assert browser.get(page_of(mine)).status_code == 200
    assert set(SavedView.objects.values_list("name", flat=True)) == {"mine", "private"}


# Bulk changes


def test_what_was_done_to_many_leads_is_shown_and_not_written_by_hand(browser, manager):
    by_ids = act(manager)
    by_filter = bulk.start(
        Selection(filter={"status": ["NEW", "WON"]}), Change(users=[None]), workspace=manager.workspace, by=Author.of(manager)
    )  # fmt: skip

    assert "Akron" in browser.get(page_of(by_ids)).content.decode()
    assert "status=NEW, WON" in browser.get(page_of(by_filter)).content.decode()
    assert browser.post(page_of(by_ids), {"status": "queued"}).status_code == 403
    assert browser.get(reverse("admin:leads_bulkchange_add")).status_code == 403
    assert browser.post(page_of(by_ids, "delete"), {"post": "yes"}).status_code == 403
    assert BulkChange.objects.count() == 2


# Whose


@pytest.mark.parametrize("name", ["customfield", "savedview", "bulkchange"])
def test_other_workspaces_rows_are_not_shown(browser, name):
    stranger = make_member()
    row = {"customfield": lambda: define(stranger.workspace), "savedview": lambda: save_view(stranger, is_shared=True), "bulkchange": lambda: act(stranger)}[name]()  # fmt: skip

    shown = browser.get(list_of(name)).context["cl"].result_count
    opened = browser.get(page_of(row))

    assert (shown, opened.status_code) == (0, 302)  # back to the first page, with a message


@pytest.mark.parametrize(
    ("name", "who", "cost"),
    [
        ("customfield", "operator", 4),
        ("customfield", "manager", 6),
        ("savedview", "operator", 4),
        ("savedview", "manager", 6),
        ("bulkchange", "operator", 4),
        ("bulkchange", "manager", 6),
    ],
)
def test_a_list_costs_the_same_with_one_row_and_with_three(
    name, who, cost, operator, manager, in_admin, django_assert_num_queries
):
    browser = in_admin(operator if who == "operator" else manager.user)

    for number in (1, 2, 3):
        define(manager.workspace, f"f{number}")
        save_view(manager, f"v{number}", is_shared=True)
        act(manager)
        if number == 2:
            continue
        with django_assert_num_queries(cost):
            browser.get(list_of(name))
