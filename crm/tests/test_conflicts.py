"""What was changed on both sides, and taking one side's value: by API, and in the admin."""

import pytest
from django.urls import reverse

from accounts.tests.factories import make_member
from crm.models import ChangedLead, Conflict, Connection
from crm.pipedrive.syncing import conflicts, syncing
from crm.tests.engine import edit, in_step, link_of, opened, sync
from crm.tests.factories import make_connection
from leads.history import Author
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

LIST, RESOLVE_ALL = "/api/v1/crm/conflicts", "/api/v1/crm/conflicts/resolve"


def resolve_path(conflict):
    return f"/api/v1/crm/conflicts/{conflict.pk}/resolve"


@pytest.fixture
def server(pipedrive_server):
    return pipedrive_server


@pytest.fixture
def connection(member, server):
    return make_connection(member.workspace, server, by=member.user)


@pytest.fixture
def clash(connection, server):
    """A lead whose name was changed on both sides, and the conflict."""
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    server.people.edit(link.person_id, name="Anna There")
    sync(lead, connection)
    return lead, Conflict.objects.get()


def names(lead, server):
    lead.refresh_from_db()
    return lead.name, server.people.get(link_of(lead).person_id)["name"]


def make_conflict(connection, **fields):
    lead = make_lead(connection.workspace)
    known = {"field": "name", "ours": "Here", "theirs": "There", **fields}
    return Conflict.objects.create(workspace=connection.workspace, connection=connection, lead=lead, **known)


@pytest.mark.parametrize(("choice", "name"), [("zevix", "Anna Here"), ("pipedrive", "Anna There")])
def test_taking_a_side_puts_its_value_in_both_places_at_once(api, clash, server, member, choice, name):
    lead, conflict = clash

    answer = api.post(resolve_path(conflict), {"choice": choice}, format="json")

    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["choice"], answer.json()["by_rule"]) == ("resolved", choice, False)
    assert answer.json()["resolved_by_id"] == member.user_id
    assert names(lead, server) == (name, name)


def test_the_same_choice_again_is_no_other_and_another_one_is_refused(api, clash):
    _lead, conflict = clash
    api.post(resolve_path(conflict), {"choice": "zevix"}, format="json")

    same = api.post(resolve_path(conflict), {"choice": "zevix"}, format="json")
    other = api.post(resolve_path(conflict), {"choice": "pipedrive"}, format="json")

    assert same.status_code == 200
    assert (other.status_code, other.json()["error"]) == (409, "conflict")


def test_without_an_answer_from_pipedrive_it_is_carried_out_later(api, clash, server, connection):
    lead, conflict = clash
    ChangedLead.objects.all().delete()
    server.fail(on="GET /api/v2/persons/*", how="503", times=9)

    answer = api.post(resolve_path(conflict), {"choice": "pipedrive"}, format="json")
    server.heal()
    sync(lead, connection)

    assert (answer.status_code, answer.json()["state"]) == (200, "chosen")
    assert ChangedLead.objects.get().lead_id == lead.pk
    assert names(lead, server) == ("Anna There", "Anna There")


@pytest.mark.parametrize("choice", ["zevix", "pipedrive"])
def test_a_choice_is_not_carried_out_over_a_value_that_nobody_saw(clash, server, connection, choice):
    lead, conflict = clash
    conflicts.resolve(conflict, choice, by=None)
    if choice == "zevix":
        server.people.edit(link_of(lead).person_id, name="Anna Later")
    else:
        edit(lead, name="Anna Later")
    before = names(lead, server)

    sync(lead, connection)

    conflict.refresh_from_db()
    assert (conflict.choice, conflict.resolved_at) == ("", None)
    assert names(lead, server) == before
    assert "Anna Later" in (conflict.ours, conflict.theirs)


def test_of_what_was_overwritten_on_its_way_the_former_value_can_be_brought_back(api, connection, server):
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    sync(lead, connection)
    conflicts.list_overwritten(link, "name", ours="Anna Here", theirs="Anna There", at=link.created_at)
    unmoved = sync(lead, connection, must_read=True)
    conflict = Conflict.objects.get()

    answer = api.post(resolve_path(conflict), {"choice": "pipedrive"}, format="json")

    assert unmoved.conflicts == ["name"]
    assert answer.json()["state"] == "resolved"
    assert names(lead, server) == ("Anna There", "Anna There")


def test_many_are_resolved_together(api, connection):
    name, other = make_conflict(connection), make_conflict(connection, field="phone")
    third = make_conflict(connection)

    by_field = api.post(RESOLVE_ALL, {"choice": "zevix", "field": "phone"}, format="json")
    by_ids = api.post(RESOLVE_ALL, {"choice": "pipedrive", "ids": [name.pk]}, format="json")
    all_of_them = api.post(RESOLVE_ALL, {"choice": "zevix"}, format="json")

    assert [answer.json() for answer in (by_field, by_ids, all_of_them)] == [
        {"chosen": 1},
        {"chosen": 1},
        {"chosen": 3},
    ]
    assert ChangedLead.objects.filter(lead_id__in=[name.lead_id, other.lead_id, third.lead_id]).count() == 3


@pytest.mark.parametrize("size", [1, 3])
def test_the_list_shows_both_values_and_takes_the_same_queries_for_any_number(
    api, connection, stranger, server, django_assert_num_queries, size
):
    for _ in range(size):
        newest = make_conflict(connection)
    Conflict.objects.create(
        workspace=stranger.workspace,
        connection=Connection.objects.create(workspace=stranger.workspace),
        lead=make_lead(stranger.workspace),
        field="name",
    )

    with django_assert_num_queries(2):
        answer = api.get(LIST)

    rows = answer.json()["results"]
    assert len(rows) == size
    assert {name: rows[0][name] for name in ("id", "lead_id", "field", "ours", "theirs", "state", "choice")} == {
        "id": newest.pk,
        "lead_id": newest.lead_id,
        "field": "name",
        "ours": "Here",
        "theirs": "There",
        "state": "open",
        "choice": "",
    }


def test_the_list_is_narrowed_by_state_and_lead(api, clash, connection):
    lead, conflict = clash
    other = make_conflict(connection)
    api.post(resolve_path(conflict), {"choice": "zevix"}, format="json")

    def ids(query):
        return [row["id"] for row in api.get(f"{LIST}{query}").json()["results"]]

    assert ids("") == ids("?state=open") == [other.pk]
    assert ids("?state=resolved") == [conflict.pk]
    assert ids("?state=all") == [other.pk, conflict.pk]
    assert ids(f"?state=all&lead_id={lead.pk}") == [conflict.pk]


@pytest.mark.parametrize("query", ["?state=what", "?lead_id=x", f"?lead_id={2**70}", "?lead_id=1%00"])
def test_what_can_not_be_asked_for_is_refused(api, connection, query):
    assert api.get(LIST + query).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choice": "agreed"},
        {"choice": None},
        {"choice": "zevix", "other": 1},
        [],
        "zevix",
        {"choice": ["zevix"]},
        {"choice": "\x00"},
    ],
)
def test_a_choice_that_is_none_is_refused(api, connection, body):
    conflict = make_conflict(connection)

    one = api.post(resolve_path(conflict), body, format="json")
    many = api.post(RESOLVE_ALL, body, format="json")

    assert (one.status_code, many.status_code) == (400, 400)


@pytest.mark.parametrize(
    "more", [{"ids": []}, {"ids": [0]}, {"ids": [2**70]}, {"ids": 1}, {"field": "\x00"}, {"field": {}}]
)
def test_a_selection_that_is_none_is_refused(api, connection, more):
    assert api.post(RESOLVE_ALL, {"choice": "zevix", **more}, format="json").status_code == 400


def test_agents_resolve_those_of_their_own_leads_only(client_of, member, connection):
    agent = make_member("agent", workspace=member.workspace)
    mine, others = make_conflict(connection), make_conflict(connection)
    edit(mine.lead, assigned_user_id=agent.user_id)
    theirs = client_of(agent)

    answers = [theirs.post(resolve_path(one), {"choice": "zevix"}, format="json") for one in (mine, others)]
    many = theirs.post(RESOLVE_ALL, {"choice": "zevix"}, format="json")

    assert [answer.status_code for answer in answers] == [200, 403]
    assert many.status_code == 403
    assert theirs.get(LIST).status_code == 200


def test_another_workspaces_conflict_is_none(client_of, stranger, connection):
    conflict = make_conflict(connection)
    theirs = client_of(stranger)

    one = theirs.post(resolve_path(conflict), {"choice": "zevix"}, format="json")
    many = theirs.post(RESOLVE_ALL, {"choice": "zevix", "ids": [conflict.pk]}, format="json")

    conflict.refresh_from_db()
    assert one.status_code == 404
    assert many.json() == {"chosen": 0}
    assert conflict.choice == ""


def test_a_rule_that_is_set_later_decides_what_was_open(member, server):
    connection = make_connection(member.workspace, server, by=member.user)
    lead, link = in_step(connection)
    edit(lead, name="Anna Here")
    server.people.edit(link.person_id, name="Anna There")
    sync(lead, connection)
    fields = [("name", "name"), ("email", "email")]
    mapping = [{"lead": lead, "entity": "person", "field": there, "owner": "pipedrive"} for lead, there in fields]
    make_connection(member.workspace, server, by=member.user, mapping=mapping)

    sync(lead, connection)

    conflict = Conflict.objects.get()
    assert (conflict.choice, conflict.by_rule) == ("pipedrive", True)
    assert names(lead, server) == ("Anna There", "Anna There")


def test_a_conflict_of_a_lead_in_the_bin_waits_with_it(clash, connection):
    from leads import editing

    lead, conflict = clash
    editing.delete_one(lead.pk, workspace=connection.workspace_id, by=Author("human"))

    conflicts.resolve(conflict, "zevix", by=None)
    outcome = syncing.sync_lead(lead.pk, account=opened(connection))

    conflict.refresh_from_db()
    assert outcome.changes == []
    assert (conflict.choice, conflict.resolved_at) == ("zevix", None)


# Admin ----------------------------------------------------------------------------------------------------------------------


def act(browser, model, action, *rows):
    page = reverse(f"admin:crm_{model}_changelist")
    return browser.post(page, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


@pytest.mark.parametrize(("action", "choice"), [("take_ours", "zevix"), ("take_theirs", "pipedrive")])
def test_in_the_admin_a_side_is_taken_for_many(in_admin, operator, connection, action, choice):
    rows = [make_conflict(connection) for _ in range(2)]

    answer = act(in_admin(operator), "conflict", action, *rows)

    assert "2 conflicts are being resolved." in answer.content.decode()
    assert set(Conflict.objects.values_list("choice", "resolved_by")) == {(choice, operator.pk)}


def test_the_admin_shows_both_values_and_only_the_open_ones_at_first(in_admin, operator, clash, connection, api):
    _lead, conflict = clash
    page = reverse("admin:crm_conflict_changelist")
    browser = in_admin(operator)

    before = browser.get(page).content.decode()
    api.post(resolve_path(conflict), {"choice": "zevix"}, format="json")
    after = browser.get(page).content.decode()

    assert "Anna Here" in before and "Anna There" in before
    assert "Anna There" not in after
    assert "Anna There" in browser.get(page, {"state": "resolved"}).content.decode()
    assert browser.get(reverse("admin:crm_conflict_change", args=[conflict.pk])).status_code == 200


def test_in_the_admin_a_link_is_found_by_lead_or_person_and_synced_now(in_admin, operator, connection, server):
    lead, link = in_step(connection)
    ChangedLead.objects.all().delete()
    browser = in_admin(operator)
    page = reverse("admin:crm_link_changelist")

    answer = act(browser, "link", "sync_now", link)

    assert "1 lead is synced soon." in answer.content.decode()
    assert ChangedLead.objects.get().lead_id == lead.pk
    assert link_of(lead).woken_at is not None
    for term in (lead.pk, link.person_id):
        assert f"#{lead.pk} Anna Adams" in browser.get(page, {"q": term}).content.decode()
    assert "Anna Adams" not in browser.get(page, {"q": 2**62}).content.decode()


def test_in_the_admin_a_deleted_person_is_sent_again(in_admin, operator, connection, server):
    lead, link = in_step(connection)
    server.people.delete(link.person_id)
    sync(lead, connection, must_read=True)

    act(in_admin(operator), "link", "send_again", link)
    outcome = sync(lead, connection)

    assert outcome.created
    assert len(server.people.all()) == 1


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("model", ["link", "conflict"])
def test_a_list_in_the_admin_takes_the_same_queries_for_any_number(
    in_admin, operator, connection, django_assert_num_queries, size, model
):
    from crm.models import Link

    for number in range(size):
        conflict = make_conflict(connection)
        Link.objects.create(
            workspace=connection.workspace, connection=connection, lead=conflict.lead, person_id=number + 1
        )
    browser = in_admin(operator)
    page = reverse(f"admin:crm_{model}_changelist")
    browser.get(page)

    with django_assert_num_queries(4):
        answer = browser.get(page)

    assert answer.status_code == 200
