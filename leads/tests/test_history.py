"""What a lead was before, who changed it, and how it comes back."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts import roles
from accounts.models import Role
from accounts.tests.factories import make_member
from leads import editing, history
from leads.history import Author
from leads.models import Activity, ExportedLead, Lead, LeadVersion
from leads.tests.factories import make_catalogue_lead, make_lead

pytestmark = pytest.mark.django_db


def entries(api, lead, query=""):
    return api.get(f"/api/v1/leads/{lead.pk if isinstance(lead, Lead) else lead}/history{query}").json()["results"]


def told(entry, *names):
    return [entry[name] for name in names]


def test_who_changed_what_and_from_where(api, member):
    added = api.post("/api/v1/leads", {"name": "Anna"}).json()
    api.patch(f"/api/v1/leads/{added['id']}", {"name": "Bea", "score": 3}, headers={"X-Request-ID": "request-7"})

    changed, created = entries(api, added["id"])

    assert told(created, "n", "action", "source", "changes") == [1, "created", "human", {}]
    assert created["user"] == changed["user"] == {"id": member.user_id, "email": member.user.email}
    assert told(changed, "n", "action", "source", "request_id") == [2, "updated", "human", "request-7"]
    assert changed["changes"] == {"name": {"old": "Anna", "new": "Bea"}, "score": {"old": None, "new": 3}}


def test_an_import_is_named_in_the_history_of_what_it_brought_and_changed(api, member):
    first = api.post("/import/leads", "external_id,name,city\nA,Ann,York\n", content_type="text/csv").json()
    second = api.post("/import/leads", "external_id,name\nA,Bob\n", content_type="text/csv").json()

    changed, created = entries(api, Lead.objects.get())

    assert told(created, "action", "source", "act") == ["created", "import", f"import:{first['import_batch_id']}"]
    assert told(changed, "action", "source", "act") == ["updated", "import", f"import:{second['import_batch_id']}"]
    assert changed["changes"] == {"name": {"old": "Ann", "new": "Bob"}}


def test_a_copy_from_the_catalogue_tells_who_exported_it(api, member):
    api.post("/zevix/export-lead", {"lead_id": make_catalogue_lead().pk})

    (created,) = entries(api, Lead.objects.for_workspace(member.workspace).get())

    assert told(created, "action", "source", "user") == [
        "created", "catalogue", {"id": member.user_id, "email": member.user.email},
    ]  # fmt: skip


def test_writes_past_the_acts_are_kept_too(api, member):
    lead = make_lead(member.workspace, name="Anna")

    with connection.cursor() as cursor:
        cursor.execute("UPDATE leads_lead SET name = 'Bea' WHERE id = %s", [lead.pk])

    assert told(entries(api, lead)[0], "n", "source", "changes") == [
        2, "system", {"name": {"old": "Anna", "new": "Bea"}},
    ]  # fmt: skip
    assert Lead.objects.get().version == 2


def test_what_was_said_of_the_writer_ends_with_the_act(member):
    lead = make_lead(member.workspace)
    editing.update(lead.pk, {"name": "Anna"}, workspace=member.workspace, by=Author("crm"))

    Lead.objects.filter(pk=lead.pk).update(name="Bea")

    first, second = LeadVersion.objects.order_by("pgh_id")
    assert (first.pgh_context["source"], second.pgh_context) == ("crm", None)


def test_the_history_is_read_in_pages_that_fit_together(api, member, django_assert_num_queries):
    lead = make_lead(member.workspace, name="0")
    for number in range(1, 6):
        api.patch(f"/api/v1/leads/{lead.pk}", {"name": str(number)})

    whole = entries(api, lead)
    first = api.get(f"/api/v1/leads/{lead.pk}/history?limit=2").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()

    assert [entry["n"] for entry in whole] == [6, 5, 4, 3, 2, 1]
    assert first["results"] + second["results"] + third["results"] == whole
    assert api.get(third["previous"]).json()["results"] == second["results"]
    assert third["next"] is None
    for query in ("?limit=1", "?limit=3"):
        with django_assert_num_queries(5):
            entries(api, lead, query)


def test_a_version_comes_back(api, member):
    lead = make_lead(member.workspace, name="Anna", tags=["a"], extra={"x": 1}, score=5)
    api.patch(f"/api/v1/leads/{lead.pk}", {"name": "Bea", "tags": [], "extra": {"x": None}, "score": None})

    answer = api.post(f"/api/v1/leads/{lead.pk}/history/1/restore")

    assert answer.status_code == 200
    assert told(answer.json(), "name", "tags", "extra", "score", "version") == ["Anna", ["a"], {"x": 1}, 5, 3]
    assert told(entries(api, lead)[0], "n", "act") == [3, "restore:1"]


@pytest.mark.parametrize("number", [0, 9, 10**30])
def test_a_version_that_there_is_not_is_not_found(api, member, number):
    lead = make_lead(member.workspace)

    assert api.post(f"/api/v1/leads/{lead.pk}/history/{number}/restore").status_code == 404


def test_whoever_left_gets_no_lead_back(api, member):
    former = make_member(Role.AGENT, member.workspace)
    lead = make_lead(member.workspace, assigned_user=former.user)
    api.patch(f"/api/v1/leads/{lead.pk}", {"assigned_user_id": None})
    roles.remove([former])

    answer = api.post(f"/api/v1/leads/{lead.pk}/history/1/restore")

    assert (answer.status_code, answer.json()["assigned_user_id"]) == (200, None)


def test_restoring_an_external_id_that_another_lead_has_by_now_is_a_conflict(api, member):
    lead = make_lead(member.workspace, external_id="A")
    api.patch(f"/api/v1/leads/{lead.pk}", {"external_id": "B"})
    make_lead(member.workspace, external_id="A")

    assert api.post(f"/api/v1/leads/{lead.pk}/history/1/restore").status_code == 409


def test_an_agent_restores_only_what_is_theirs(client_of, member):
    agent = make_member(Role.AGENT, member.workspace)
    lead = make_lead(member.workspace)

    answer = client_of(agent).post(f"/api/v1/leads/{lead.pk}/history/1/restore")

    assert (answer.status_code, answer.json()["message"]) == (403, "Can only update your assigned leads")


def test_another_workspaces_history_is_not_there(api, stranger):
    lead = make_lead(stranger.workspace)
    editing.update(lead.pk, {"name": "Bea"}, workspace=stranger.workspace, by=history.SYSTEM)

    assert [
        api.get(f"/api/v1/leads/{lead.pk}/history").status_code,
        api.get(f"/api/v1/leads/{lead.pk}/provenance").status_code,
        api.post(f"/api/v1/leads/{lead.pk}/history/1/restore").status_code,
    ] == [404, 404, 404]


def test_each_field_tells_who_wrote_it(api, member):
    api.post("/import/leads", "external_id,name,city\nA,Ann,York\n", content_type="text/csv")
    lead = Lead.objects.get()
    editing.update(lead.pk, {"score": 7}, workspace=member.workspace, by=Author("ai"))
    api.patch(f"/api/v1/leads/{lead.pk}", {"name": "Bea"})
    api.patch(f"/api/v1/leads/{lead.pk}", {"city": "Leeds"})
    api.patch(f"/api/v1/leads/{lead.pk}", {"name": "Cleo"})

    found = api.get(f"/api/v1/leads/{lead.pk}/provenance").json()

    assert {field: found[field]["source"] for field in ("name", "city", "score", "email")} == {
        "name": "human", "city": "human", "score": "ai", "email": "import",
    }  # fmt: skip
    assert found["name"]["at"] > found["city"]["at"] > found["score"]["at"] >= found["email"]["at"]
    assert found["name"]["user_id"] == member.user_id


def test_provenance_of_many_leads_costs_two_queries(member, django_assert_num_queries):
    leads = [make_lead(member.workspace) for _ in range(3)]
    editing.update_all(Lead.objects.filter(pk__in=[lead.pk for lead in leads]), {"status": "WON"}, by=Author("crm"))

    for some in (leads[:1], leads):
        with django_assert_num_queries(2):
            found = history.provenance(Lead.objects.filter(pk__in=[lead.pk for lead in some]))
        assert [fields["status"].source for fields in found.values()] == ["crm"] * len(some)


# The bin ------------------------------------------------------------------------------------------------------------------------


def test_a_deleted_lead_waits_in_the_bin_and_comes_back_whole(api, member):
    added = api.post("/api/v1/leads", {"name": "Anna", "external_id": "A", "tags": ["x"], "extra": {"k": 1}}).json()
    api.post("/zevix/export-lead", {"lead_id": added["id"]})
    api.delete(f"/api/v1/leads/{added['id']}")

    (binned,) = api.get("/api/v1/bin").json()["results"]
    answer = api.post("/api/v1/bin/restore", {"ids": [added["id"], 999]})

    assert {name: binned[name] for name in added} == added
    assert binned["deleted_by"] == member.user_id
    assert answer.json() == {"restored_ids": [added["id"]], "not_restored_ids": [999]}
    back = api.get(f"/api/v1/leads/{added['id']}").json()
    assert back == added | {"version": 2, "updated_at": back["updated_at"]}
    assert api.get("/api/v1/bin").json()["results"] == []
    assert [told(entry, "n", "action") for entry in entries(api, added["id"])] == [
        [2, "restored"], [None, "deleted"], [1, "created"],
    ]  # fmt: skip
    assert ExportedLead.objects.filter(lead=added["id"]).count() == 1


def test_a_deleted_lead_is_nowhere_else(api, member):
    lead = make_lead(member.workspace, name="Anna", external_id="A", email="anna@x.example")
    api.delete(f"/api/v1/leads/{lead.pk}")

    again = api.post("/import/leads", "external_id,email\nA,anna@x.example\n", content_type="text/csv").json()

    assert api.get(f"/api/v1/leads/{lead.pk}").status_code == 404
    assert again["created_count"] == 1
    assert api.get("/api/v1/leads?search=Anna").json()["results"][0]["id"] != lead.pk
    assert api.post("/zevix/export-lead", {"lead_id": lead.pk}).status_code == 404
    assert entries(api, lead)[0]["action"] == "deleted"


def test_a_lead_whose_external_id_is_taken_stays_in_the_bin(api, member):
    lead = make_lead(member.workspace, external_id="A")
    api.delete(f"/api/v1/leads/{lead.pk}")
    make_lead(member.workspace, external_id="A")

    answer = api.post("/api/v1/bin/restore", {"ids": [lead.pk]})

    assert answer.json() == {"restored_ids": [], "not_restored_ids": [lead.pk]}
    assert [row["id"] for row in api.get("/api/v1/bin").json()["results"]] == [lead.pk]


def test_nobody_takes_from_another_workspaces_bin(api, client_of, stranger, member):
    lead = make_lead(stranger.workspace)
    client_of(stranger).delete(f"/api/v1/leads/{lead.pk}")

    answer = api.post("/api/v1/bin/restore", {"ids": [lead.pk]})

    assert api.get("/api/v1/bin").json()["results"] == []
    assert answer.json()["restored_ids"] == []
    assert not Lead.objects.filter(pk=lead.pk).exists()


def test_agents_bring_nothing_back(client_of, member):
    agent = make_member(Role.AGENT, member.workspace)

    assert client_of(agent).post("/api/v1/bin/restore", {"ids": [1]}).status_code == 403


@pytest.mark.parametrize("ids", [None, [], "1", [0], [-1], ["x"], [2**63], {}, [[1]], [True, None]])
def test_ids_that_are_none_are_errors(api, ids):
    answer = api.post("/api/v1/bin/restore", {"ids": ids})

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


def age(lead_id, days):
    LeadVersion.objects.filter(pgh_obj=lead_id).update(pgh_created_at=timezone.now() - timedelta(days=days))


def test_after_30_days_a_lead_is_forgotten_with_all_that_names_it(api, member):
    old, recent = (make_lead(member.workspace) for _ in range(2))
    for lead in (old, recent):
        Activity.objects.create(workspace=member.workspace, lead=lead, type="note", text="x")
        api.post("/zevix/export-lead", {"lead_id": lead.pk})
        api.delete(f"/api/v1/leads/{lead.pk}")
    age(old.pk, 31)
    age(recent.pk, 29)

    shown = [row["id"] for row in api.get("/api/v1/bin").json()["results"]]
    count = history.empty_bins()

    assert (shown, count) == ([recent.pk], 1)
    assert [row.pgh_obj_id for row in LeadVersion.objects.all()] == [recent.pk]
    assert [row.lead_id for row in Activity.objects.all()] == [recent.pk]
    assert ExportedLead.objects.count() == 2


def test_the_history_of_leads_that_live_is_kept(member):
    lead = make_lead(member.workspace)
    editing.update(lead.pk, {"name": "Bea"}, workspace=member.workspace, by=history.SYSTEM)
    editing.delete(Lead.objects.filter(pk=lead.pk), by=history.SYSTEM)
    editing.restore_deleted([lead.pk], workspace=member.workspace, by=history.SYSTEM)
    age(lead.pk, 400)

    assert history.empty_bins() == 0
    assert LeadVersion.objects.filter(pgh_obj=lead.pk).count() == 3


def test_with_a_workspace_its_history_goes(member):
    lead = make_lead(member.workspace)
    Lead.objects.filter(pk=lead.pk).update(name="Bea")
    member.workspace.delete()

    history.empty_bins()

    assert not LeadVersion.objects.exists()
