"""What came from Pipedrive, runs, and what waits, in the admin."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member, make_workspace
from crm.models import ChangedLead, InboxEvent, SyncRun
from crm.tests.events import drains, make_quiet_connection
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

LISTS = [f"admin:crm_{name}_changelist" for name in ("inboxevent", "syncrun", "changedlead")]


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def connection(manager):
    return make_quiet_connection(manager.workspace)


def make_rows(connection, count, name="Acme"):
    for number in range(count):
        InboxEvent.objects.create(
            workspace=connection.workspace, connection=connection, event_id=f"{name}-{number}", entity="person",
            entity_id=number + 1, action="change", body={"data": {"name": name}}, problem=name,
        )  # fmt: skip
        lead = make_lead(connection.workspace, company=name)
        SyncRun.objects.create(
            workspace=connection.workspace, connection=connection, kind="plan", failure=name,
            result={"problems": [{"lead_id": lead.pk, "message": f"{name} has no name."}]},
        )  # fmt: skip


@pytest.mark.parametrize("page", LISTS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_list_costs_the_same_queries(page, count, connection, operator, in_admin, django_assert_num_queries):
    make_rows(connection, count)
    browser = in_admin(operator)
    browser.get(reverse(page))

    # session, user, count, rows
    with django_assert_num_queries(4):
        answer = browser.get(reverse(page))

    assert answer.status_code == 200


@pytest.mark.parametrize("page", LISTS)
def test_managers_see_their_own_workspace_alone(page, connection, manager, in_admin):
    make_rows(connection, 1, "Mine")
    make_rows(make_quiet_connection(make_workspace()), 1, "Secret")

    shown = in_admin(manager.user).get(reverse(page)).content.decode()

    assert "Secret" not in shown


@pytest.mark.parametrize("name", ["inboxevent", "syncrun", "changedlead"])
def test_rows_are_to_be_read_and_searched_and_never_written(name, connection, operator, in_admin):
    make_rows(connection, 1)
    row = {"inboxevent": InboxEvent, "syncrun": SyncRun, "changedlead": ChangedLead}[name].objects.get()
    browser = in_admin(operator)

    pages = [
        browser.get(reverse(f"admin:crm_{name}_{page}", args=args))
        for page, args in (("change", [row.pk]), ("add", []), ("delete", [row.pk]))
    ]
    found = browser.get(reverse(f"admin:crm_{name}_changelist"), {"q": "Acme"})

    assert [page.status_code for page in pages] == [200, 403, 403]
    assert found.status_code == 200


def test_an_event_shows_what_it_told(connection, operator, in_admin):
    make_rows(connection, 1)

    page = in_admin(operator).get(reverse("admin:crm_inboxevent_change", args=[InboxEvent.objects.get().pk]))

    assert "&quot;name&quot;: &quot;Acme&quot;" in page.content.decode()


def test_a_run_names_the_leads_that_failed(connection, operator, in_admin):
    make_rows(connection, 1)

    page = in_admin(operator).get(reverse("admin:crm_syncrun_change", args=[SyncRun.objects.get().pk]))

    assert "Acme has no name." in page.content.decode()


def test_events_are_worked_off_again(connection, manager, in_admin):
    make_rows(connection, 2)
    make_rows(make_quiet_connection(make_workspace()), 1, "Secret")
    InboxEvent.objects.update(outcome="done", done_at=timezone.now(), attempts=3)

    in_admin(manager.user).post(
        reverse("admin:crm_inboxevent_changelist"),
        {"action": "work_off_again", "_selected_action": list(InboxEvent.objects.values_list("pk", flat=True))},
    )

    mine = InboxEvent.objects.filter(connection=connection)
    assert list(mine.values_list("outcome", "done_at", "attempts", "problem")) == [("waiting", None, 0, "")] * 2
    assert InboxEvent.objects.exclude(connection=connection).get().outcome == "done"
    assert [job.args for job in drains()] == [{"connection_id": connection.pk}]
