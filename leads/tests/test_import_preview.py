"""The preview: what it makes of the columns, what it says of each row, and that the import does just that."""

import io
import json
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given

from accounts.tests.factories import make_member, make_workspace
from leads.history import SYSTEM
from leads.imports import importing, previewing
from leads.imports.importing import Options
from leads.imports.matching import KEYS
from leads.imports.reading import CsvSource
from leads.models import ImportBatch, Lead, LeadVersion, RejectedRow, RememberedMapping
from leads.tests.factories import make_lead
from leads.tests.test_import_properties import as_csv, columns, match_on, modes, stored, tables, thorough
from leads.tests.workbooks import workbook
from zevix.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def look(api):
    def post(body, content_type="text/csv", client=api, **options):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return client.generic("POST", "/api/v1/imports/preview", body, content_type=content_type, QUERY_STRING=query)

    return post


def fates(answer):
    return [(row["row"], row["fate"]) for row in answer.json()["rows"]]


# The file and its columns -------------------------------------------------------------------------------------------------------


def test_a_preview_tells_how_the_file_is_read_and_what_becomes_of_its_columns(look):
    text = "Firma;Wer;Raum;Rest;Telefon\nPraxis Müller;Ann;1;x;030 123456\nPraxis B;Bob;;;\n;Cid;2;;030 123456\n"

    answer = look(text.encode("windows-1252"), mapping='{"Wer":"name","Rest":""}')

    body = answer.json()
    assert answer.status_code == 200, answer.content
    assert {name: value for name, value in body.items() if name not in {"columns", "rows"}} == {
        "encoding": "windows-1252",
        "delimiter": ";",
        "sheet": None,
        "total_rows_estimated": 3,
    }
    assert body["columns"] == [
        {"heading": "Firma", "field": "company", "custom_field": None, "how": "recognised", "samples": ["Praxis Müller", "Praxis B"]},
        {"heading": "Wer", "field": "name", "custom_field": None, "how": "given", "samples": ["Ann", "Bob", "Cid"]},
        {"heading": "Raum", "field": None, "custom_field": "Raum", "how": "extra", "samples": ["1", "2"]},
        {"heading": "Rest", "field": None, "custom_field": None, "how": "left_out", "samples": ["x"]},
        {"heading": "Telefon", "field": "phone", "custom_field": None, "how": "recognised", "samples": ["030 123456"]},
    ]  # fmt: skip


def test_a_preview_of_a_workbook_names_its_sheet(look):
    body = look(workbook(Kunden=[["Firma", "PLZ"], ["Praxis", 2557]]), "application/octet-stream").json()
    assert body["error"] == "unsupported_media_type"

    body = look(
        workbook(Kunden=[["Firma", "PLZ"], ["Praxis", 2557]]),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ).json()

    assert (body["sheet"], body["encoding"], body["delimiter"]) == ("Kunden", None, None)
    assert body["columns"][1]["samples"] == ["2557"]


def test_columns_that_were_mapped_before_are_remembered(look, api):
    api.generic(
        "POST",
        "/import/leads",
        "Wer,Rest\nAnn,1\n",
        content_type="text/csv",
        QUERY_STRING='mapping={"Wer":"name","Rest":""}',
    )

    seen = look("REST,wer,name\n1,Bob,Rob\n").json()["columns"]
    again = look("rest,wer\n1,Bob\n").json()["columns"]

    assert [(column["heading"], column["field"], column["how"]) for column in again] == [
        ("rest", None, "left_out"),
        ("wer", "name", "remembered"),
    ]
    assert [column["how"] for column in seen] == ["extra", "extra", "recognised"]


# The rows -----------------------------------------------------------------------------------------------------------------------


def test_each_row_has_its_fate(look, member):
    known = make_lead(
        member.workspace, external_id="1", name="Ann", email="ann@practice.example", city="York", extra={"Room": "1"}
    )
    same = make_lead(member.workspace, external_id="2", name="Bob", email="bob@practice.example")
    text = (
        "external_id,name,email,last_contact,Room\n1,Anna,,2024-11-20,7\n2,Bob,,,\n3,Cid,cid@practice.example,,\n"
        "4,Dan,nowhere,soon,\n3,Cyd,,,\n1,,bob@practice.example,,\n"
    )

    rows = look(text).json()["rows"]

    assert rows[0] == {
        "row": 2, "fate": "error", "lead_id": None, "changes": {}, "message": "",
        "errors": [{"field": "", "message": "Its keys name more than one lead."}],
    }  # fmt: skip
    assert rows[1] == {"row": 3, "fate": "unchanged", "lead_id": same.pk, "changes": {}, "message": "", "errors": []}
    assert (rows[2]["fate"], rows[2]["lead_id"]) == ("create", None)
    assert {name: change["new"] for name, change in rows[2]["changes"].items()} == {
        "external_id": "3", "name": "Cyd", "email": "cid@practice.example", "source": "import", "needs_action": True,
    }  # fmt: skip
    assert (rows[3]["fate"], [error["field"] for error in rows[3]["errors"]]) == ("error", ["email", "last_contact"])
    assert (rows[4]["fate"], rows[4]["message"]) == ("skip", "It is the same lead as row 4.")
    assert rows[5]["fate"] == "error"
    assert known.pk


def test_an_update_shows_old_and_new_of_each_field_that_changes(look, member):
    lead = make_lead(
        member.workspace, external_id="1", name="Ann", email="ann@practice.example", city="York", status="CONTACTED",
        email_status="deliverable", needs_action=True, extra={"Room": "1", "Floor": "2"},
    )  # fmt: skip
    now = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")

    (row,) = look(f"external_id,name,email,city,last_contact,Room\n1,,new@practice.example,York,{now},7\n").json()[
        "rows"
    ]

    assert (row["fate"], row["lead_id"]) == ("update", lead.pk)
    assert row["changes"] == {
        "email": {"old": "ann@practice.example", "new": "new@practice.example"},
        "email_status": {"old": "deliverable", "new": "unknown"},
        "last_contact": {"old": None, "new": now},
        "needs_action": {"old": True, "new": False},
        "extra": {"old": {"Room": "1", "Floor": "2"}, "new": {"Room": "7", "Floor": "2"}},
    }


@pytest.mark.parametrize(
    ("mode", "expected", "message"),
    [
        ("create", [(2, "skip"), (3, "create")], "There is such a lead."),
        ("update", [(2, "update"), (3, "skip")], "There is no such lead."),
    ],
)
def test_what_the_mode_does_not_want_is_skipped(look, member, mode, expected, message):
    make_lead(member.workspace, external_id="1", name="Ann")

    answer = look("external_id,name\n1,Anna\n2,Bob\n", mode=mode)

    assert fates(answer) == expected
    assert [row["message"] for row in answer.json()["rows"] if row["fate"] == "skip"] == [message]


def test_an_agent_sees_what_they_may_not_change(look, member, client_of):
    make_lead(member.workspace, external_id="1", name="Ann")
    agent = make_member("agent", workspace=member.workspace)

    answer = look("external_id,name\n1,Anna\n2,Bob\n", client=client_of(agent))

    assert fates(answer) == [(2, "error"), (3, "create")]
    assert answer.json()["rows"][0]["errors"][0]["message"] == "Can only update your assigned leads"


def test_nothing_is_written_and_nobody_waits(look, member):
    lead = make_lead(member.workspace, external_id="1", name="Ann")
    models = (Lead, LeadVersion, ImportBatch, RejectedRow, RememberedMapping, Event)
    before = [list(model.objects.values()) for model in models]

    with CaptureQueriesContext(
        connection,
    ) as queries:
        look("external_id,Wer\n1,Anna\n2,Bob\n,\n", mapping='{"Wer":"name"}')

    assert [list(model.objects.values()) for model in models] == before
    assert [query["sql"] for query in queries if "FOR UPDATE" in query["sql"] or "advisory" in query["sql"]] == []
    assert lead.pk


def test_the_leads_of_another_workspace_are_neither_seen_nor_matched(look, stranger):
    make_lead(stranger.workspace, external_id="1", email="ann@practice.example", name="Theirs")

    answer = look("external_id,email,name\n1,ann@practice.example,Ours\n")

    assert fates(answer) == [(2, "create")]
    assert b"Theirs" not in answer.content


@pytest.mark.parametrize("rows", [1, 3])
def test_a_preview_takes_as_many_queries_for_three_rows_as_for_one(member, rows, django_assert_num_queries):
    table = CsvSource(io.BytesIO(b"external_id,name\n" + b"".join(b"%d,Ann\n" % number for number in range(rows))))
    by = SYSTEM
    previewing.preview(table, Options(), workspace=member.workspace, by=by)

    with django_assert_num_queries(21):
        previewing.preview(table, Options(), workspace=member.workspace, by=by)


def test_of_a_long_file_the_first_100_rows_are_shown_and_the_rest_is_estimated(look):
    rows = 30_000

    body = look("external_id,name\n" + "".join(f"{number:06},Ann Lee\n" for number in range(rows))).json()

    assert len(body["rows"]) == 100
    assert abs(body["total_rows_estimated"] - rows) < rows * 0.1


def test_a_problem_beyond_the_first_rows_is_left_to_the_import(look):
    answer = look("name\n" + "Ann\n" * 6_000 + '"Bob')

    assert (answer.status_code, len(answer.json()["rows"])) == (200, 100)


@pytest.mark.parametrize(
    ("body", "options", "error"),
    [
        ("colour\nred\n", {}, "validation_error"),
        ("", {}, "validation_error"),
        ("name\n\x00\n", {}, "malformed_request"),
        ("name\nAnn\n", {"mapping": '{"Firma":"company"}'}, "validation_error"),
        ("name\nAnn\n", {"mode": "replace"}, "validation_error"),
    ],
)
def test_what_can_not_be_imported_can_not_be_previewed(look, body, options, error):
    answer = look(body, **options)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_preview_is_in_the_language_of_the_client(member, client_of):
    german = client_of(member)
    german.credentials(HTTP_AUTHORIZATION=german._credentials["HTTP_AUTHORIZATION"], HTTP_ACCEPT_LANGUAGE="de")

    answer = german.generic("POST", "/api/v1/imports/preview", "name,email\nAnn,x\n", content_type="text/csv")

    assert answer.json()["rows"][0]["errors"] == [{"field": "email", "message": "Das ist keine E-Mail-Adresse."}]


# The import does what the preview says ----------------------------------------------------------------------------------------------


def written(lead):
    skipped = {
        "id",
        "workspace_id",
        "version",
        "created_at",
        "updated_at",
        "import_batch_id",
        "origin",
        "search_vector",
        "phone_normalized",
    }
    return {name: json.loads(json.dumps(value, default=str)) for name, value in lead.items() if name not in skipped}


def shown(value):
    return value.replace("T", " ").replace("Z", "+00:00") if isinstance(value, str) and value.endswith("Z") else value


@given(existing=stored, table=tables, columns=columns, keys=match_on, mode=modes)
@thorough
def test_the_import_of_the_same_rows_does_what_the_preview_says(existing, table, columns, keys, mode):
    with transaction.atomic():
        workspace = make_workspace()
        for lead in existing:
            Lead.objects.create(workspace=workspace, **lead)
        before = {lead["id"]: lead for lead in Lead.objects.for_workspace(workspace).values()}
        options = Options(match_on=[name for name in KEYS if name in keys], mode=mode)
        source = CsvSource(as_csv(table, columns), delimiter=",")

        seen = previewing.preview(source, options, workspace=workspace, by=SYSTEM)
        batch = importing.run(source, options, workspace=workspace, by=SYSTEM)

        after = {lead["id"]: lead for lead in Lead.objects.for_workspace(workspace).order_by("id").values()}
        by_fate = {
            fate: [row for row in seen.rows if row.fate == fate]
            for fate in ("create", "update", "unchanged", "skip", "error")
        }
        assert {fate: len(rows) for fate, rows in by_fate.items()} == {
            "create": batch.created_count,
            "update": batch.updated_count - batch.unchanged_count,
            "unchanged": batch.unchanged_count,
            "skip": batch.skipped_count,
            "error": batch.error_count,
        }
        assert seen.total_rows_estimated == batch.total_rows == len(seen.rows)
        errors = [(row.row, problem.field, problem.message) for row in by_fate["error"] for problem in row.errors]
        assert sorted(errors) == sorted((error.row, error.field, error.message) for error in batch.rejected)
        for row in by_fate["update"]:
            was, became = written(before[row.lead_id]), written(after[row.lead_id])
            assert {
                name: {part: shown(value) for part, value in change.items()} for name, change in row.changes.items()
            } == {name: {"old": was[name], "new": became[name]} for name in was if was[name] != became[name]}
        changed = {number for number in before if written(before[number]) != written(after[number])}
        assert {row.lead_id for row in by_fate["update"]} == changed
        new = [written(lead) for number, lead in after.items() if number not in before]
        for row, lead in zip(by_fate["create"], new, strict=True):
            assert {name: shown(change["new"]) for name, change in row.changes.items()} == {
                name: lead[name] for name in row.changes
            }
        transaction.set_rollback(True)
