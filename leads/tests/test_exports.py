"""Exports: charged once per workspace, for ever, never beyond the limit."""

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Role, Workspace
from accounts.tests.factories import make_member
from leads.models import Export, ExportedLead, Lead, Usage, UsageEntry
from leads.quotas import current_month
from leads.tests.factories import a_month_passes, give_plan, make_catalogue, make_catalogue_lead, make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db


def export(api, *ids, **headers):
    return api.post("/zevix/export-leads-batch", {"lead_ids": list(ids)}, **headers)


def test_new_leads_are_charged_and_the_answer_tells_what_is_left(api, member):
    make_catalogue(3)

    answer = export(api, "id1", "id2")

    receipt = Export.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "used": 2,
        "remaining": 48,
        "limit": 50,
        "month": current_month(),
        "new_ids": ["id1", "id2"],
        "duplicate_ids": [],
        "not_exported": [],
        "unknown_ids": [],
        "export_id": receipt.pk,
        "message": "Successfully exported 2 lead(s). 48 leads remaining",
    }
    assert (receipt.user, receipt.new_count, receipt.used, receipt.limit) == (member.user, 2, 2, 50)


def test_one_lead_is_a_batch_of_one(api):
    make_catalogue(1)

    answer = api.post("/zevix/export-lead", {"lead_id": "id1"})

    assert answer.json()["new_ids"] == ["id1"]


def test_a_lead_exported_before_is_free_for_ever_also_in_another_month(api, member):
    make_catalogue(2)
    export(api, "id1")
    a_month_passes()

    answer = export(api, "id1", "id2")

    assert answer.json()["new_ids"] == ["id2"]
    assert answer.json()["duplicate_ids"] == ["id1"]
    assert answer.json()["used"] == 1


def test_a_batch_larger_than_the_quota_exports_the_first_ids_and_reports_the_rest(api, member):
    make_catalogue(5)
    give_plan(member.workspace, 3)
    export(api, "id5")

    answer = export(api, "id4", "id5", "nobody", "id3", "id2", "id1")

    assert answer.status_code == 200
    assert answer.json()["new_ids"] == ["id4", "id3"]
    assert answer.json()["not_exported"] == ["id2", "id1"]
    assert answer.json()["duplicate_ids"] == ["id5"]
    assert answer.json()["unknown_ids"] == ["nobody"]
    assert answer.json()["remaining"] == 0


def test_without_quota_new_leads_are_refused_and_nothing_is_charged(api, member):
    make_catalogue(3)
    give_plan(member.workspace, 1)
    export(api, "id1")

    answer = export(api, "id1", "id2", "nobody", "id3")

    body = answer.json()
    assert answer.status_code == 403
    assert body.pop("request_id")
    assert body == {
        "success": False,
        "error": "monthly_limit_exceeded",
        "message": "You have 0 leads remaining (1/1)",
        "used": 1,
        "remaining": 0,
        "limit": 1,
        "month": current_month(),
        "new_ids": [],
        "duplicate_ids": ["id1"],
        "not_exported": ["id2", "id3"],
        "unknown_ids": ["nobody"],
    }
    assert ExportedLead.objects.count() == 1


def test_when_every_known_lead_is_owned_the_answer_is_a_conflict_even_without_quota(api, member):
    make_catalogue(2)
    give_plan(member.workspace, 2)
    export(api, "id1", "id2")

    answer = export(api, "id2", "nobody", "id1")

    assert answer.status_code == 409
    assert answer.json()["error"] == "all_leads_already_used"
    assert answer.json()["new_ids"] == []
    assert answer.json()["duplicate_ids"] == ["id2", "id1"]
    assert answer.json()["unknown_ids"] == ["nobody"]
    assert answer.json()["used"] == 2


def test_unknown_leads_are_not_found_and_never_charged(api):
    answer = export(api, "nobody", 999_999_999, "99999999999999999999999999")

    assert answer.status_code == 404
    assert answer.json()["error"] == "leads_not_found"
    assert answer.json()["unknown_ids"] == ["nobody", "999999999", "99999999999999999999999999"]
    assert Usage.objects.filter(used__gt=0).count() == 0


def test_ids_are_turned_into_texts_blanks_dropped_and_repeats_counted_once(api):
    (lead, *_rest) = make_catalogue(3)

    answer = export(api, lead.pk, str(lead.pk), f" {lead.pk} ", "", "  ", "id2", "id2")

    assert answer.json()["new_ids"] == [str(lead.pk), "id2"]
    assert answer.json()["used"] == 2


def test_two_names_of_one_lead_charge_it_once(api):
    (lead,) = make_catalogue(1)

    answer = export(api, "id1", lead.pk)

    assert answer.json()["new_ids"] == ["id1"]
    assert answer.json()["duplicate_ids"] == [str(lead.pk)]
    assert answer.json()["used"] == 1


def test_an_exported_lead_of_the_catalogue_is_copied_into_the_workspace(api, member):
    lead = make_catalogue_lead(external_id="id1", email="a@b.example", phone="(330) 779-3389", tags=["hot"])

    export(api, "id1")

    copy = Lead.objects.for_workspace(member.workspace).get()
    assert (copy.catalogue_lead, copy.external_id, copy.email, copy.phone, copy.tags, copy.source) == (
        lead, "id1", "a@b.example", "(330) 779-3389", ["hot"], "catalogue",
    )  # fmt: skip
    assert copy.assigned_user is None


def test_the_copy_is_the_same_lead_so_exporting_it_is_free(api, member):
    make_catalogue(1)
    export(api, "id1")
    copy = Lead.objects.for_workspace(member.workspace).get()

    answer = export(api, copy.pk)

    assert answer.json()["duplicate_ids"] == [str(copy.pk)]
    assert answer.json()["used"] == 1


def test_a_workspaces_own_lead_is_charged_and_not_copied(api, member):
    make_lead(member.workspace, external_id="mine")

    answer = export(api, "mine")

    assert answer.json()["new_ids"] == ["mine"]
    assert Lead.objects.count() == 1


def test_the_workspaces_own_external_id_comes_before_the_catalogues(api, member):
    mine = make_lead(member.workspace, external_id="id1")
    make_catalogue(1)

    export(api, "id1")

    assert ExportedLead.objects.get().lead_id == mine.pk


def test_a_copy_gives_up_an_external_id_that_a_lead_of_the_workspace_has(api, member):
    make_lead(member.workspace, external_id="id1")
    (lead,) = make_catalogue(1)

    export(api, lead.pk)

    copy = Lead.objects.for_workspace(member.workspace).get(catalogue_lead=lead)
    assert copy.external_id == ""


def test_another_workspaces_lead_is_unknown_and_its_exports_do_not_count(api, stranger, client_of):
    theirs = make_lead(stranger.workspace, external_id="theirs")
    make_catalogue(1)
    export(client_of(stranger), "id1")

    answer = export(api, theirs.pk, "theirs", "id1")

    assert answer.json()["unknown_ids"] == [str(theirs.pk), "theirs"]
    assert answer.json()["new_ids"] == ["id1"]
    assert answer.json()["used"] == 1


def test_members_of_a_workspace_share_its_quota_and_its_leads(api, member, client_of):
    make_catalogue(2)
    export(api, "id1")
    colleague = client_of(make_member(Role.AGENT, member.workspace))

    answer = export(colleague, "id1", "id2")

    assert answer.json()["duplicate_ids"] == ["id1"]
    assert answer.json()["used"] == 2


def test_a_change_of_plan_takes_the_new_limit_at_once_and_what_was_used_stays_used(api, member):
    make_catalogue(4)
    give_plan(member.workspace, 2)
    export(api, "id1", "id2")

    give_plan(member.workspace, 3)
    larger = export(api, "id3")
    give_plan(member.workspace, 1)
    smaller = export(api, "id4")

    assert (larger.json()["used"], larger.json()["limit"]) == (3, 3)
    assert smaller.status_code == 403
    assert smaller.json()["message"] == "You have 0 leads remaining (3/1)"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lead_ids": None},
        {"lead_ids": "id1"},
        {"lead_ids": {"id1": 1}},
        {"lead_ids": []},
        {"lead_ids": ["", "  "]},
        {"lead_ids": [None]},
        {"lead_ids": [True]},
        {"lead_ids": [1.5]},
        {"lead_ids": [["id1"]]},
        {"lead_ids": ["id\x001"]},
        {"lead_ids": ["x" * 201]},
        {"lead_ids": [str(number) for number in range(10_001)]},
        {"lead_ids": ["id1"], "surplus": 1},
        ["id1"],
    ],
)
def test_what_is_no_list_of_ids_is_a_validation_error(api, body):
    make_catalogue(1)

    answer = api.post("/zevix/export-leads-batch", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert ExportedLead.objects.count() == 0


@pytest.mark.parametrize("body", [{}, {"lead_id": ""}, {"lead_id": None}, {"lead_id": ["id1"]}, {"lead_ids": ["id1"]}])
def test_what_is_no_id_is_a_validation_error(api, body):
    answer = api.post("/zevix/export-lead", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


def test_ten_thousand_ids_are_one_batch(api, member):
    make_catalogue(10_000)
    give_plan(member.workspace, 20_000)

    answer = export(api, *(f"id{number}" for number in range(1, 10_001)))

    assert answer.json()["used"] == 10_000


def test_the_number_of_queries_follows_neither_the_batch_nor_the_history(api, member, django_assert_num_queries):
    make_catalogue(300)
    give_plan(member.workspace, 1_000)
    export(api, *(f"id{number}" for number in range(1, 150)))

    # member, savepoint, usage, plan, what the ids name, the charge, the events, are there rules, release
    with django_assert_num_queries(9):
        export(api, "id150")
    with django_assert_num_queries(9):
        export(api, *(f"id{number}" for number in range(100, 300)))


def test_an_export_is_told_in_the_event_log(api, member):
    make_catalogue(1)

    export(api, "id1")

    events = Event.objects.filter(workspace=member.workspace).order_by("id")
    assert [event.type for event in events] == ["export.created", "usage.changed"]
    assert events[0].data["count"] == 1
    assert events[1].data == {"used": 1, "remaining": 49, "limit": 50, "month": current_month()}


def test_the_receipt_keeps_what_became_of_each_id_and_which_leads_were_handed_over(api, member):
    _first, second, third, _fourth = make_catalogue(4)
    give_plan(member.workspace, 2)
    export(api, "id3")
    copy = Lead.objects.for_workspace(member.workspace).get()

    answer = export(api, "id2", copy.pk, "nobody", second.pk, "id1", "id4")

    receipt = Export.objects.latest("pk")
    lists = ["new_ids", "duplicate_ids", "not_exported", "unknown_ids"]
    assert receipt.lists == {name: answer.json()[name] for name in lists}
    assert receipt.lists == {
        "new_ids": ["id2"],
        "duplicate_ids": [str(copy.pk), str(second.pk)],
        "not_exported": ["id1", "id4"],
        "unknown_ids": ["nobody"],
    }
    assert receipt.leads == [second.pk, third.pk]
    assert (receipt.new_count, receipt.duplicate_count, receipt.not_exported_count, receipt.unknown_count) == (
        1,
        2,
        2,
        1,
    )
    assert (receipt.status, receipt.progress) == ("completed", 100)


def test_the_database_itself_refuses_a_second_charge(member):
    lead = make_lead(member.workspace)
    receipt = _receipt(member.workspace)
    ExportedLead.objects.create(workspace=member.workspace, lead=lead, export=receipt)

    with pytest.raises(IntegrityError, match="leads_charged_once_per_workspace_for_ever"), transaction.atomic():
        ExportedLead.objects.create(workspace=member.workspace, lead=lead, export=receipt)


def test_the_database_itself_refuses_usage_beyond_the_limit(member):
    receipt = _receipt(member.workspace)
    charge = {"workspace": member.workspace, "month": receipt.month, "kind": "charge", "export": receipt, "ceiling": 5}
    UsageEntry.objects.create(**charge, leads=5)

    with pytest.raises(IntegrityError, match="leads_usage_never_passes_the_limit"), transaction.atomic():
        UsageEntry.objects.create(**charge, leads=1)


def test_a_charge_outlives_its_lead(api, member):
    lead = make_lead(member.workspace)
    export(api, lead.pk)

    Lead.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    assert ExportedLead.objects.count() == 1


def _receipt(workspace: Workspace) -> Export:
    return Export.objects.create(
        workspace=workspace, month="2026-02", new_count=1, duplicate_count=0, not_exported_count=0, unknown_count=0,
        used=1, limit=50,
    )  # fmt: skip
