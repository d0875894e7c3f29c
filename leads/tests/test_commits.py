"""Exporting what was quoted, and the receipts."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.tests.mailbox import run_jobs
from leads import exports
from leads.exports import background
from leads.models import Export, ExportedLead, ExportQuote, Lead, Suppression, Usage, UsageEntry
from leads.tests.factories import give_plan, make_catalogue, make_lead, use
from zevix.models import Event

pytestmark = pytest.mark.django_db


def quoted(api, *ids):
    return api.post("/api/v1/exports/quote", {"lead_ids": list(ids)}).json()["quote"]


def commit(api, quote, **headers):
    return api.post("/api/v1/exports", {"quote": quote}, headers=headers)


def counts(export):
    return (export.new_count, export.duplicate_count, export.not_exported_count, export.unknown_count)


def spent(member):
    return sum(Usage.objects.for_workspace(member.workspace).values_list("used", flat=True))


def test_a_quote_is_exported_for_what_it_said(api, member):
    first, second, third = make_catalogue(3)
    exports.export(["id2"], by=member.user, workspace=member.workspace)
    quote = quoted(api, "id3", "id2", "id1", "nobody")

    answer = commit(api, quote)

    body = answer.json()
    row = Export.objects.latest("pk")
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/exports/{row.pk}"
    assert body.pop("created_at") and body.pop("finished_at")
    assert body == {
        "success": True,
        "id": row.pk,
        "export_id": row.pk,
        "status": "completed",
        "progress": 100,
        "failure": "",
        "month": row.month,
        "used": 3,
        "remaining": 47,
        "limit": 50,
        "new_count": 2,
        "duplicate_count": 1,
        "not_exported_count": 0,
        "unknown_count": 0,
        "new_ids": [str(third.pk), str(first.pk)],
        "duplicate_ids": [str(second.pk)],
        "not_exported": [],
        "unknown_ids": [],
        "user_id": member.user_id,
        "download": f"/api/v1/exports/{row.pk}/download",
        "message": "Successfully exported 2 lead(s). 47 leads remaining",
    }
    assert row.leads == [third.pk, second.pk, first.pk]
    assert ExportQuote.objects.get().export == row
    assert Lead.objects.for_workspace(member.workspace).count() == 3
    assert [event.type for event in Event.objects.order_by("pk")][-2:] == ["export.created", "usage.changed"]


def test_leads_that_are_named_are_exported_as_a_batch(api, member):
    make_catalogue(2)

    answer = api.post("/api/v1/exports", {"lead_ids": ["id2", "id1", "nobody"]})

    assert answer.status_code == 201
    assert (answer.json()["new_ids"], answer.json()["unknown_ids"]) == (["id2", "id1"], ["nobody"])
    assert answer.json()["message"] == "Successfully exported 2 lead(s). 48 leads remaining"


@pytest.mark.parametrize(
    ("limit", "ids", "status", "error"),
    [
        (1, ["id2"], 403, "monthly_limit_exceeded"),
        (5, ["id1"], 409, "all_leads_already_used"),
        (5, ["nobody"], 404, "leads_not_found"),
    ],
)
def test_a_batch_is_refused_as_on_the_older_routes(api, member, limit, ids, status, error):
    make_catalogue(2)
    give_plan(member.workspace, limit)
    exports.export(["id1"], by=member.user, workspace=member.workspace)

    answer = api.post("/api/v1/exports", {"lead_ids": ids})

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert (answer.json()["used"], answer.json()["new_ids"]) == (1, [])


def test_suppressed_and_undeliverable_leads_are_not_handed_over_also_if_that_came_after_the_quote(api, member):
    for number, email in enumerate(["a@never.example", "b@later.example", "c@fine.example", "d@fine.example"]):
        make_lead(member.workspace, external_id=f"m{number}", email=email)
    Suppression.objects.create(workspace=member.workspace, value="never.example", kind="domain")
    quote = quoted(api, "m0", "m1", "m2", "m3")
    Suppression.objects.create(workspace=member.workspace, value="later.example", kind="domain")
    Lead.objects.filter(external_id="m3").update(email_status="undeliverable")

    answer = commit(api, quote)

    named = {lead.external_id: str(lead.pk) for lead in Lead.objects.all()}
    assert answer.json()["new_ids"] == [named["m2"]]
    assert answer.json()["not_exported"] == [named["m1"], named["m3"]]
    assert spent(member) == 1


def test_what_somebody_exported_meanwhile_is_free(api, member):
    make_catalogue(3)
    quote = quoted(api, "id1", "id2", "id3")
    exports.export(["id2"], by=member.user, workspace=member.workspace)

    answer = commit(api, quote)

    assert (answer.json()["new_count"], answer.json()["duplicate_count"]) == (2, 1)
    assert spent(member) == 3


def test_when_the_quota_shrank_meanwhile_the_first_in_order_are_exported(api, member):
    leads = {lead.external_id: str(lead.pk) for lead in make_catalogue(4)}
    give_plan(member.workspace, 10)
    quote = quoted(api, "id3", "id1", "id4", "id2")
    use(member.workspace, 8)

    answer = commit(api, quote)

    assert answer.json()["new_ids"] == [leads["id3"], leads["id1"]]
    assert answer.json()["not_exported"] == [leads["id4"], leads["id2"]]
    assert answer.json()["remaining"] == 0


def test_when_the_quota_grew_meanwhile_it_costs_no_more_than_was_quoted(api, member):
    make_catalogue(4)
    give_plan(member.workspace, 1)
    quote = quoted(api, "id1", "id2", "id3")
    give_plan(member.workspace, 100)

    answer = commit(api, quote)

    assert (answer.json()["new_count"], answer.json()["not_exported_count"]) == (1, 2)


def test_a_quote_of_owned_leads_gives_a_receipt_and_costs_nothing(api, member):
    make_catalogue(2)
    give_plan(member.workspace, 2)
    exports.export(["id1", "id2"], by=member.user, workspace=member.workspace)
    quote = quoted(api, "id2", "id1")

    answer = commit(api, quote)

    assert (answer.status_code, answer.json()["new_count"], answer.json()["duplicate_count"]) == (201, 0, 2)
    assert len(Export.objects.latest("pk").leads) == 2
    assert UsageEntry.objects.count() == 1


def test_a_lead_that_is_gone_is_not_charged(api, member):
    lead = make_lead(member.workspace)
    make_lead(member.workspace, external_id="m2")
    quote = quoted(api, lead.pk, "m2")
    Lead.objects.filter(pk=lead.pk).delete()

    answer = commit(api, quote)

    assert answer.json()["unknown_ids"] == [str(lead.pk)]
    assert answer.json()["new_count"] == 1


# Refusals


def test_without_quota_a_quote_of_new_leads_is_refused_and_can_be_used_later(api, member):
    make_catalogue(2)
    give_plan(member.workspace, 2)
    quote = quoted(api, "id1", "id2")
    use(member.workspace, 2)

    refused = commit(api, quote)
    give_plan(member.workspace, 4)
    answer = commit(api, quote)

    assert (refused.status_code, refused.json()["error"]) == (403, "monthly_limit_exceeded")
    assert refused.json()["message"] == "You have 0 leads remaining (2/2)"
    assert len(refused.json()["not_exported"]) == 2
    assert (answer.status_code, answer.json()["new_count"]) == (201, 2)


@pytest.mark.parametrize("ids", [["nobody"], ["dead"]])
def test_a_quote_with_nothing_to_hand_over_is_refused(api, member, ids):
    make_lead(member.workspace, external_id="dead", email_status="undeliverable")

    answer = commit(api, quoted(api, *ids))

    assert (answer.status_code, answer.json()["error"]) == (409, "nothing_to_export")
    assert Export.objects.count() == 0


def test_a_quote_is_used_once_and_then_names_its_export(api, member):
    make_catalogue(1)
    quote = quoted(api, "id1")
    export_id = commit(api, quote).json()["id"]

    answer = commit(api, quote)

    assert (answer.status_code, answer.json()["error"], answer.json()["export_id"]) == (409, "quote_used", export_id)
    assert answer.json()["message"] == f"This quote was used: export {export_id} is what became of it."
    assert Export.objects.count() == 1


def test_a_quote_expires(api):
    make_catalogue(1)
    quote = quoted(api, "id1")
    ExportQuote.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    answer = commit(api, quote)

    assert (answer.status_code, answer.json()["error"]) == (410, "quote_expired")
    assert Export.objects.count() == 0


def test_another_workspaces_quote_and_a_forged_one_are_not_found(api, stranger, client_of):
    make_catalogue(1)
    theirs = quoted(client_of(stranger), "id1")
    mine = quoted(api, "id1")
    number, _colon, signature = mine.partition(":")
    forged = [theirs, f"{int(number) - 1}:{signature}", f"{number}:x", number, "x", "9" * 30 + ":x", "é:è"]

    answers = [commit(api, text) for text in forged]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(404, "not_found")] * len(forged)
    assert Export.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        {}, {"quote": ""}, {"quote": None}, {"quote": ["x"]}, {"quote": {"a": 1}}, {"quote": "\x00"}, {"quote": "x" * 201},
        {"quote": "x", "lead_ids": ["id1"]}, {"lead_ids": []}, {"lead_ids": [None]}, {"quote": "x", "surplus": 1}, [], "x",
    ],
)  # fmt: skip
def test_what_names_neither_a_quote_nor_leads_is_a_validation_error(api, body):
    answer = api.post("/api/v1/exports", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


def test_the_same_key_gives_the_first_receipt_again(api, member):
    make_catalogue(1)
    quote = quoted(api, "id1")

    first, again = (commit(api, quote, **{"Idempotency-Key": "order-1"}) for _ in range(2))

    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert Export.objects.count() == 1


def test_the_number_of_queries_of_a_commit_follows_nothing(api, member, django_assert_num_queries):
    make_catalogue(40)
    give_plan(member.workspace, 1_000)
    exports.export(["id40"], by=member.user, workspace=member.workspace)
    one, many = quoted(api, "id1"), quoted(api, *(f"id{number}" for number in range(2, 41)))

    # member, savepoint, quote, usage, plan, what they are, the charge, the events, are there rules, the quote's export, release, receipt
    with django_assert_num_queries(12):
        commit(api, one)
    with django_assert_num_queries(12):
        commit(api, many)


# In the background


@pytest.fixture
def few_at_once(settings, monkeypatch):
    settings.EXPORT_BATCH_MAX = 4
    monkeypatch.setattr(background, "CHUNK", 2)


def all_quoted(api):
    return api.post("/api/v1/exports/quote", {"filter": {}}).json()["quote"]


@pytest.mark.django_db(transaction=True)
def test_a_large_export_goes_on_in_the_background(api, member, few_at_once, monkeypatch):
    leads = [lead.pk for lead in make_catalogue(5)]
    exports.export(["id2"], by=member.user, workspace=member.workspace)

    answer = commit(api, all_quoted(api))
    queued = api.get(answer["Location"]).json()
    run_jobs(monkeypatch, queue="exports")
    done = api.get(answer["Location"]).json()

    assert (answer.status_code, answer.json()["status"], answer.json()["progress"]) == (201, "queued", 0)
    assert answer.json()["message"] == "The leads are being exported in the background."
    assert (queued["new_ids"], queued["new_count"], queued["finished_at"]) == (None, 0, None)
    assert (done["status"], done["progress"], done["new_count"], done["duplicate_count"]) == ("completed", 100, 4, 1)
    assert (done["used"], done["new_ids"]) == (5, None)
    assert Export.objects.latest("pk").leads == leads[::-1]
    assert [entry.leads for entry in UsageEntry.objects.order_by("pk")] == [1, 2, 1, 1]
    told = Event.objects.filter(type="export.created").latest("pk").data
    assert (told["export_id"], told["count"], told["status"]) == (done["id"], 4, "completed")
    assert Event.objects.filter(type="usage.changed").latest("pk").data["used"] == 5


def test_a_large_export_that_was_killed_goes_on_where_it_was_and_doubles_nothing(api, member, few_at_once):
    make_catalogue(5)
    export_id = commit(api, all_quoted(api)).json()["id"]

    background.advance(export_id, 2)
    half = api.get(f"/api/v1/exports/{export_id}").json()
    background.finish(export_id, "en")
    background.finish(export_id, "en")

    done = Export.objects.get()
    assert (half["status"], half["progress"], half["new_count"]) == ("running", 40, 2)
    assert (done.status, counts(done), len(set(done.leads))) == ("completed", (5, 0, 0, 0), 5)
    assert ExportedLead.objects.count() == spent(member) == 5
    assert Event.objects.filter(type="export.created").count() == 1


def test_a_large_export_takes_what_the_quota_has_room_for_when_each_chunk_comes(api, member, few_at_once):
    make_catalogue(6)
    give_plan(member.workspace, 5)
    export_id = commit(api, all_quoted(api)).json()["id"]

    background.advance(export_id, 2)
    use(member.workspace, 2)
    background.finish(export_id, "en")

    assert counts(Export.objects.get()) == (3, 0, 3, 0)
    assert spent(member) == 5


def test_a_large_export_costs_no_more_than_was_quoted(api, member, few_at_once):
    make_catalogue(6)
    give_plan(member.workspace, 3)
    export_id = commit(api, all_quoted(api)).json()["id"]
    give_plan(member.workspace, 100)

    background.finish(export_id, "en")

    assert counts(Export.objects.get()) == (3, 0, 3, 0)


def test_a_large_export_without_quota_is_refused_at_once(api, member, few_at_once):
    make_catalogue(5)
    quote = all_quoted(api)
    use(member.workspace, 50)

    answer = commit(api, quote)

    assert (answer.status_code, answer.json()["error"]) == (403, "monthly_limit_exceeded")
    assert Export.objects.count() == 0


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "You have 0 leads remaining (50/50)"), ("de", "Sie haben noch 0 Leads übrig (50/50)")],
)
def test_a_large_export_that_gets_nothing_fails_with_a_sentence(api, member, few_at_once, language, sentence):
    make_catalogue(5)
    export_id = commit(api, all_quoted(api)).json()["id"]
    use(member.workspace, 50)

    background.finish(export_id, language)

    failed = api.get(f"/api/v1/exports/{export_id}").json()
    assert (failed["status"], failed["failure"], failed["not_exported_count"]) == ("failed", sentence, 5)
    assert failed["finished_at"]


def test_a_large_export_that_fails_in_its_midst_keeps_what_was_handed_over(api, member, few_at_once):
    make_catalogue(5)
    export_id = commit(api, all_quoted(api)).json()["id"]
    background.advance(export_id, 2)
    ExportQuote.objects.all().delete()

    with pytest.raises(ExportQuote.DoesNotExist):
        background.finish(export_id, "en")

    failed = api.get(f"/api/v1/exports/{export_id}").json()
    file = api.get(f"/api/v1/exports/{export_id}/download?format=json")
    assert (failed["status"], failed["new_count"]) == ("failed", 2)
    assert failed["failure"] == "Something went wrong on our side. It has been noted."
    assert [lead["external_id"] for lead in json.loads(b"".join(file))] == ["id5", "id4"]
    assert Event.objects.get(type="export.created").data["count"] == spent(member) == 2


def test_an_export_whose_workspace_is_gone_is_no_error(few_at_once):
    background.finish(4711, "en")

    assert Export.objects.count() == 0


# Receipts


def test_exports_are_listed_the_latest_first(api, member, stranger, client_of, django_assert_num_queries):
    make_catalogue(4)
    exports.export(["id4"], by=stranger.user, workspace=stranger.workspace)
    exports.export(["id1"], by=member.user, workspace=member.workspace)

    with django_assert_num_queries(2):
        (only,) = api.get("/api/v1/exports").json()["results"]
    for number in (2, 3):
        exports.export([f"id{number}"], by=member.user, workspace=member.workspace)
    with django_assert_num_queries(2):
        three = api.get("/api/v1/exports?limit=2").json()

    assert (only["new_count"], only["used"], only["status"]) == (1, 1, "completed")
    assert "new_ids" not in only
    assert [row["used"] for row in three["results"]] == [3, 2]
    assert [row["used"] for row in api.get(three["next"]).json()["results"]] == [1]


def test_another_workspaces_export_is_not_found(api, stranger):
    make_catalogue(1)
    receipt = exports.export(["id1"], by=stranger.user, workspace=stranger.workspace)

    assert api.get(f"/api/v1/exports/{receipt.export_id}").status_code == 404
    assert api.get(f"/api/v1/exports/{2**70}").status_code == 404
