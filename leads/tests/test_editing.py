"""Changing and deleting one lead: any subset, roles, and changes that others made meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.models import ExportedLead, Lead
from leads.tests.factories import make_catalogue_lead, make_lead
from leads.tests.test_leads import EVERY_FIELD
from zevix.models import Event

pytestmark = pytest.mark.django_db

METHODS = pytest.mark.parametrize("method", ["put", "patch"])


@pytest.fixture
def agent(member):
    return make_member(Role.AGENT, member.workspace)


@pytest.fixture
def manager(member):
    return make_member(Role.MANAGER, member.workspace)


def url(lead):
    return f"/api/v1/leads/{lead.pk}"


@METHODS
def test_any_subset_is_changed_and_the_rest_stays(api, member, method):
    lead = make_lead(member.workspace, name="Anna", city="Akron")

    answer = getattr(api, method)(url(lead), {"city": "Canton", "score": 7})

    assert answer.status_code == 200
    assert answer.json() == api.get(url(lead)).json()
    assert {name: answer.json()[name] for name in ("name", "city", "score", "version")} == {
        "name": "Anna", "city": "Canton", "score": 7, "version": 2,
    }  # fmt: skip


@METHODS
def test_every_field_can_be_changed(api, member, method):
    lead = make_lead(member.workspace)

    answer = getattr(api, method)(url(lead), EVERY_FIELD | {"assigned_user_id": member.user_id}).json()

    assert {name: answer[name] for name in EVERY_FIELD} == EVERY_FIELD
    assert answer["assigned_user_id"] == member.user_id


def test_the_whole_lead_as_it_was_read_can_be_sent_back(api, member):
    lead = make_lead(member.workspace, phone="(330) 779-3389", tags=["hot"])
    read = api.get(url(lead)).json()

    answer = api.put(url(lead), read)

    assert (answer.status_code, answer.json()) == (200, read)


def test_aliases_are_written_and_read(api, member):
    lead = make_lead(member.workspace)

    answer = api.patch(url(lead), {"practice_name": "Keller", "owner_name": "Anna", "practice_phone": "330 779 3389"})

    assert [answer.json()[name] for name in ("company", "name", "phone", "practice_name")] == [
        "Keller", "Anna", "330 779 3389", "Keller",
    ]  # fmt: skip


def test_each_wrong_field_is_named_and_nothing_is_changed(api, member):
    lead = make_lead(member.workspace, name="Anna")

    answer = api.patch(url(lead), {"name": "Bea", "email": "nowhere", "score": 101, "color": "red", "tags": {"a": 1}})

    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"email", "score", "color", "tags"}
    assert Lead.objects.get(pk=lead.pk).name == "Anna"


@pytest.mark.parametrize("body", [[], "text", 1, [{"name": "x"}]])
def test_a_body_that_is_no_object_is_an_error(api, member, body):
    lead = make_lead(member.workspace)

    assert api.patch(url(lead), body, format="json").status_code == 400


def test_custom_fields_are_changed_by_their_keys_and_null_removes_one(api, member):
    lead = make_lead(member.workspace, extra={"a": 1, "b": 2})

    answer = api.patch(url(lead), {"extra": {"b": None, "c": 3}})

    assert answer.json()["extra"] == {"a": 1, "c": 3}


def test_what_follows_from_a_change_changes_along(api, member):
    lead = make_lead(member.workspace, phone="0301234567", country="", zip_code="1803", email_status="deliverable")

    answer = api.patch(
        url(lead), {"country": "US", "status": "WON", "last_contact": "2020-01-01", "email": "new@x.example"}
    )

    answered = answer.json()
    assert [answered[name] for name in ("zip_code", "needs_action", "email_status")] == ["01803", False, "unknown"]


def test_nothing_happens_where_nothing_differs(api, member):
    lead = make_lead(member.workspace, name="Anna")

    api.patch(url(lead), {"name": "Anna"})

    assert Lead.objects.get(pk=lead.pk).version == 1
    assert not Event.objects.filter(type="lead.updated").exists()


def test_a_change_tells_of_itself(api, member):
    lead = make_lead(member.workspace)

    api.patch(url(lead), {"status": "WON", "assigned_user_id": member.user_id})

    assert list(Event.objects.filter(workspace=member.workspace).order_by("id").values_list("type", "data")) == [
        ("lead.updated", {"id": lead.pk, "fields": ["assigned_user_id", "status"]}),
        ("lead.assigned", {"id": lead.pk, "assigned_user_id": member.user_id}),
    ]


def test_an_external_id_that_another_lead_has_is_a_conflict(api, member):
    make_lead(member.workspace, external_id="A")
    lead = make_lead(member.workspace)

    answer = api.patch(url(lead), {"external_id": "A"})

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


def test_a_change_costs_the_same_queries_whatever_it_changes(api, member, django_assert_num_queries):
    lead = make_lead(member.workspace)
    api.patch(url(lead), {"city": "Akron"})

    with django_assert_num_queries(9):
        api.patch(url(lead), {"city": "Canton"})
    with django_assert_num_queries(9):
        api.patch(url(lead), {"name": "Anna", "company": "Keller", "score": 3})


# Roles ----------------------------------------------------------------------------------------------------------------------


@METHODS
def test_an_agent_changes_only_their_own_leads(client_of, member, agent, method):
    theirs = make_lead(member.workspace, assigned_user=agent.user)
    others = [make_lead(member.workspace), make_lead(member.workspace, assigned_user=member.user)]
    ask = getattr(client_of(agent), method)

    answers = [ask(url(lead), {"name": "Mine"}) for lead in (theirs, *others)]

    assert [answer.status_code for answer in answers] == [200, 403, 403]
    assert [(answer.json()["error"], answer.json()["message"]) for answer in answers[1:]] == [
        ("permission_denied", "Can only update your assigned leads")
    ] * 2
    assert not Lead.objects.filter(pk__in=[lead.pk for lead in others], name="Mine").exists()


def test_a_manager_changes_any(client_of, member, manager):
    lead = make_lead(member.workspace, assigned_user=member.user)

    assert client_of(manager).patch(url(lead), {"name": "Anna"}).status_code == 200


def test_what_an_agent_adds_is_theirs(client_of, agent):
    answer = client_of(agent).post("/api/v1/leads", {"name": "Anna"})

    assert answer.json()["assigned_user_id"] == agent.user_id


@pytest.mark.parametrize(("role", "status"), [(Role.ADMIN, 204), (Role.MANAGER, 204), (Role.AGENT, 403)])
def test_only_managers_delete(client_of, member, role, status):
    asking = make_member(role, member.workspace)
    lead = make_lead(member.workspace, assigned_user=asking.user)

    answer = client_of(asking).delete(url(lead))

    assert answer.status_code == status
    assert Lead.objects.filter(pk=lead.pk).exists() == (status == 403)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_another_workspaces_lead_is_not_there(api, client_of, member, stranger, agent, method):
    lead = make_lead(stranger.workspace)

    answers = [getattr(client, method)(url(lead), {"name": 7}) for client in (api, client_of(agent))]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(404, "not_found")] * 2


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_a_number_beyond_all_leads_is_not_there(api, method):
    assert getattr(api, method)(f"/api/v1/leads/{10**30}", {}).status_code == 404


def test_a_lead_of_the_catalogue_is_nobodys_to_change(api):
    lead = make_catalogue_lead()

    assert [api.patch(url(lead), {"name": "x"}).status_code, api.delete(url(lead)).status_code] == [404, 404]


def test_a_deleted_lead_that_was_paid_for_stays_paid(api, member):
    lead = make_lead(member.workspace)
    api.post("/zevix/export-lead", {"lead_id": lead.pk})

    api.delete(url(lead))

    assert ExportedLead.objects.filter(lead=lead.pk).count() == 1


# Changes of others ------------------------------------------------------------------------------------------------------------


def test_the_etag_names_the_version(api, member):
    lead = make_lead(member.workspace)

    read = api.get(url(lead))
    changed = api.patch(url(lead), {"name": "Anna"}, headers={"If-Match": read["ETag"]})

    assert (read["ETag"], changed["ETag"], changed.status_code) == ('"1"', '"2"', 200)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', '"7", "1"', "nonsense", '"99999999999999999999999"', '"x"'])
def test_a_stale_tag_is_a_conflict_with_the_lead_as_it_is_now(api, member, method, tag):
    lead = make_lead(member.workspace)
    api.patch(url(lead), {"name": "Anna"})

    answer = getattr(api, method)(url(lead), {"name": "Bea"}, headers={"If-Match": tag})

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert answer.json()["lead"] == api.get(url(lead)).json()


@pytest.mark.parametrize("tag", ['"2"', 'W/"2"', '"1", "2"', "*"])
def test_a_tag_of_the_present_version_lets_pass(api, member, tag):
    lead = make_lead(member.workspace)
    api.patch(url(lead), {"name": "Anna"})

    assert api.patch(url(lead), {"name": "Bea"}, headers={"If-Match": tag}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_of_the_same_version_one_wins(member, client_of):
    lead = make_lead(member.workspace)
    start = Barrier(4)

    def change(number):
        client = client_of(member)
        start.wait(10)
        try:
            return client.patch(url(lead), {"name": f"n{number}"}, headers={"If-Match": '"1"'}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(change, range(4)))

    assert codes == [200, 409, 409, 409]
    assert Lead.objects.get(pk=lead.pk).version == 2
