"""History, the bin and undo in the admin."""

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import editing
from leads.history import Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import ObjectSource
from leads.models import Lead, LeadVersion, Undo
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

HISTORY = reverse("admin:leads_leadversion_changelist")
IMPORTS = reverse("admin:leads_importbatch_changelist")


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


def change(lead, by=None, **changes):
    editing.update(lead.pk, changes, workspace=lead.workspace_id, by=by or Author("crm"))


def delete(lead):
    editing.delete(Lead.objects.filter(pk=lead.pk), by=Author("human"))


def listed(browser, **query):
    return list(browser.get(HISTORY, query).context["cl"].result_list)


def choose(browser, page, action, *rows):
    return browser.post(page, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def test_a_change_is_shown_with_its_writer_and_what_it_changed(browser, manager):
    lead = make_lead(manager.workspace, name="Ann", company="Keller")
    change(lead, by=Author.of(manager), name="Bob")

    page = browser.get(HISTORY).content.decode()
    one = browser.get(reverse("admin:leads_leadversion_change", args=[LeadVersion.objects.get().pk])).content.decode()

    for shown in (f"#{lead.pk} Keller", "<b>name</b>: Ann → Bob", manager.user.email, "human"):
        assert shown in page and shown in one


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_costs_the_same_whatever_it_shows(browser, manager, django_assert_num_queries, number):
    for _ in range(number):
        change(make_lead(manager.workspace), by=Author.of(manager), name="Bob")
    browser.get(HISTORY)

    with django_assert_num_queries(6):
        assert len(listed(browser)) == number


def test_a_manager_sees_only_what_happened_in_their_workspaces(browser, stranger, operator, in_admin):
    lead = make_lead(stranger.workspace)
    change(lead, name="Bob")

    version = LeadVersion.objects.get()
    assert listed(browser) == []
    assert browser.get(reverse("admin:leads_leadversion_change", args=[version.pk])).status_code == 302
    choose(browser, HISTORY, "restore", version)
    assert Lead.objects.get(pk=lead.pk).name == "Bob"
    assert listed(in_admin(operator)) == [version]


def test_it_is_searched_by_lead_and_by_act(browser, manager):
    batch = importing.run(
        ObjectSource([{"external_id": "A", "name": "Ann"}]), Options(), workspace=manager.workspace
    )  # fmt: skip
    other = make_lead(manager.workspace)
    change(other, name="Bob")
    again = importing.run(ObjectSource([{"external_id": "A", "name": "Cleo"}]), Options(), workspace=manager.workspace)

    assert [row.pgh_obj_id for row in listed(browser, q=str(other.pk))] == [other.pk]
    assert [row.version for row in listed(browser, q=f"import:{again.pk}")] == [1]
    assert listed(browser, q=f"import:{batch.pk}") == []


def test_leads_come_back_from_the_bin(browser, manager):
    lead, taken, alive = (make_lead(manager.workspace, external_id=name) for name in "ABC")
    change(alive, name="Bob")
    for one in (lead, taken):
        delete(one)
    make_lead(manager.workspace, external_id="B")

    binned = listed(browser, bin="yes")
    answer = choose(browser, HISTORY, "bring_back", *binned)

    assert [row.pgh_obj_id for row in binned] == [taken.pk, lead.pk]
    assert said(answer) == [
        "1 leads are back.", "1 stay: they are not in the bin, or another lead has their external id.",
    ]  # fmt: skip
    assert Lead.objects.filter(pk=lead.pk).exists()


def test_a_lead_is_given_back_what_it_held(browser, manager):
    lead = make_lead(manager.workspace, name="Ann")
    change(lead, name="Bob")

    answer = choose(browser, HISTORY, "restore", LeadVersion.objects.get())

    assert said(answer) == [f"Lead #{lead.pk} holds again what it held as version 1."]
    assert Lead.objects.get(pk=lead.pk).name == "Ann"


def test_imports_are_undone_and_what_was_kept_is_told(browser, manager):
    batch = importing.run(ObjectSource([{"name": "Ann"}, {"name": "Bob"}]), Options(), workspace=manager.workspace)
    kept = Lead.objects.order_by("id").first()
    change(kept, by=Author.of(manager), name="Anna")

    first = choose(browser, IMPORTS, "undo", batch)
    second = choose(browser, IMPORTS, "undo", batch)

    assert said(first) == [f"import:{batch.pk}: 1 removed, 0 changed back, 0 brought back, 1 kept."]
    assert said(second) == [f"import:{batch.pk}: This was undone already."]
    page = browser.get(reverse("admin:leads_undo_change", args=[Undo.objects.get().pk])).content.decode()
    assert str(kept.pk) in page and "changed" in page


def test_a_long_undo_goes_on_in_the_background(browser, manager, settings):
    settings.UNDO_INLINE_LEADS = 1
    batch = importing.run(ObjectSource([{"name": "Ann"}, {"name": "Bob"}]), Options(), workspace=manager.workspace)

    answer = choose(browser, IMPORTS, "undo", batch)

    assert said(answer) == [f"import:{batch.pk}: is being undone in the background."]


def test_another_workspaces_import_is_not_undone(browser, stranger):
    batch = importing.run(ObjectSource([{"name": "Ann"}]), Options(), workspace=stranger.workspace)

    choose(browser, IMPORTS, "undo", batch)

    assert Lead.objects.count() == 1
