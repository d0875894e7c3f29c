"""Exports as files: what is in them, that no spreadsheet runs it, and that an import reads it back."""

import csv
import io
import json
import threading
from datetime import UTC, datetime

import openpyxl
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_member
from leads import formulas
from leads.downloads import rows
from leads.models import CustomField, Export, ExportedLead, Lead
from leads.tests.factories import make_catalogue_lead, make_lead

pytestmark = pytest.mark.django_db

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMULAS = [
    "=1+1",
    "@SUM(A1)",
    "+A1",
    "-A1",
    "\t=1",
    "\r=1",
    "  =1",
    "\u3000=1",
    "＝1",
    "'=1",
    "-",
    "=cmd|' /C calc'!A0",
]
HARMLESS = ["Ann", "+49 30 1234567", "-5", "-1,234.50", "+1 (330) 779-3389", "'Ann", "O'Neill", "Ümit", "5 > 4", ""]


def make_export(workspace, *leads, **fields):
    """An export of these leads, all charged."""
    export = Export.objects.create(
        workspace=workspace, month="2026-01", leads=[lead.pk for lead in leads], new_count=len(leads), duplicate_count=0,
        not_exported_count=0, unknown_count=0, used=len(leads), limit=50, **fields,
    )  # fmt: skip
    ExportedLead.objects.bulk_create(ExportedLead(workspace=workspace, lead=lead, export=export) for lead in leads)
    return export


@pytest.fixture
def download(api):
    """The file of an export, as bytes."""

    def get(export, format="csv", client=api):
        answer = client.get(f"/api/v1/exports/{export.pk}/download?format={format}")
        assert answer.status_code == 200, answer.content
        return b"".join(answer.streaming_content)

    return get


def table(content):
    """A CSV file or a workbook as objects, blank cells left out."""
    if content.startswith(b"PK"):
        sheet = openpyxl.load_workbook(io.BytesIO(content)).active
        lines = [[cell.value for cell in line] for line in sheet.iter_rows()]
    else:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    header, *records = lines
    return [{name: cell for name, cell in zip(header, line, strict=True) if cell not in ("", None)} for line in records]


# What is in it ------------------------------------------------------------------------------------------------------------------


def test_csv_has_the_apis_fields_a_mark_for_excel_and_lines_as_rfc_4180_wants_them(member, download):
    lead = make_lead(
        member.workspace, external_id="A1", name="Ann, PhD", notes="two\nlines", tags=["a", "b"], is_sole_proprietor=False,
        last_contact=datetime(2026, 1, 2, 3, 4, 5, 678, UTC), assigned_user=member.user, score=85, extra={"budget": 7, "x": None},
    )  # fmt: skip

    content = download(make_export(member.workspace, lead))

    header, first = content.decode().removeprefix("\ufeff").split("\r\n")[:2]
    columns = [column for column in Lead.COLUMNS if column != "extra"]
    columns.insert(columns.index("assigned_user_id") + 1, "assigned_user")
    assert content.startswith(b"\xef\xbb\xbfid,external_id,")
    assert header.split(",") == [*columns, "extra.budget", "extra.x"]
    assert '"Ann, PhD"' in first and '"two\nlines"' in first
    [row] = table(content)
    assert (row["tags"], row["is_sole_proprietor"], row["needs_action"]) == ("a;b", "false", "true")
    assert (row["last_contact"], row["score"], row["extra.budget"]) == ("2026-01-02T03:04:05.000678Z", "85", "7")
    assert (row["id"], row["assigned_user"]) == (str(lead.pk), member.user.email)
    assert "extra.x" not in row and "phone" not in row


def test_json_has_the_leads_as_the_api_answers_them(member, api, download):
    leads = [make_lead(member.workspace, extra={"room": [1]}), make_lead(member.workspace, tags=['a"b'])]

    content = download(make_export(member.workspace, *leads), "json")

    assert json.loads(content) == [api.get(f"/api/v1/leads/{lead.pk}").json() for lead in leads]


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_an_export_without_leads_is_a_file_with_headings_alone(member, download, format):
    assert table(download(make_export(member.workspace), format)) == []


def test_an_export_without_leads_is_an_empty_array(member, download):
    assert json.loads(download(make_export(member.workspace), "json")) == []


def test_numbers_are_numbers_in_a_workbook_and_what_looks_like_one_stays_a_text(member, download):
    CustomField.objects.create(workspace=member.workspace, key="budget", label="Budget", kind="number")
    leads = [
        make_lead(member.workspace, score=85, zip_code="01067", npi="1234567893", extra={"budget": number, "note": "7"})
        for number in (12.5, 12345678901234567, "seven")
    ]

    first, second, third = table(download(make_export(member.workspace, *leads), "xlsx"))

    assert (first["score"], first["zip_code"], first["npi"], first["extra.note"]) == (85, "01067", "1234567893", "7")
    assert [row["extra.budget"] for row in (first, second, third)] == [12.5, "12345678901234567", "seven"]


def test_a_workbook_holds_any_text_but_what_xml_can_not(member, download):
    texts = [
        "a & b < c > ]]>",
        "tab\tline\nreturn\r.",
        "back\\slash \\n \\N",
        "_x000D_ _x0041",
        "bell\x07 \ufffe\uffff.",
        " edge ",
    ]
    leads = [make_lead(member.workspace, notes=text) for text in texts]

    content = download(make_export(member.workspace, *leads), "xlsx")

    expected = [
        "a & b < c > ]]>",
        "tab\tline\nreturn\r.",
        "back\\slash \\n \\N",
        "_x005F_x000D_ _x0041",
        "bell .",
        " edge ",
    ]
    assert [row["notes"] for row in table(content)] == expected


def test_a_cell_of_a_workbook_is_no_longer_than_excel_bears(member, download):
    lead = make_lead(member.workspace, extra={"long": "ä" * 40_000})

    [row] = table(download(make_export(member.workspace, lead), "xlsx"))

    assert row["extra.long"] == "ä" * 32_767


def test_more_leads_than_a_slice_come_in_the_order_asked_for(member, download, monkeypatch):
    monkeypatch.setattr(rows, "SLICE", 2)
    leads = [make_lead(member.workspace, extra={f"key{number}": number}) for number in range(5)][::-1]
    export = make_export(member.workspace, *leads)

    files = {format: download(export, format) for format in ("csv", "xlsx", "json")}

    assert [row["id"] for row in table(files["csv"])] == [str(lead.pk) for lead in leads]
    assert [row["id"] for row in table(files["xlsx"])] == [lead.pk for lead in leads]
    assert [row["id"] for row in json.loads(files["json"])] == [lead.pk for lead in leads]
    assert [row[f"extra.key{4 - place}"] for place, row in enumerate(table(files["csv"]))] == list("43210")


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize(("format", "queries"), [("csv", 7), ("xlsx", 7), ("json", 5)])
def test_a_download_takes_as_many_queries_whatever_the_number_of_leads(
    member, download, django_assert_num_queries, format, queries, number
):
    export = make_export(member.workspace, *[make_lead(member.workspace) for _ in range(number)])

    with django_assert_num_queries(queries):
        download(export, format)


# Whose leads --------------------------------------------------------------------------------------------------------------------


def test_of_the_catalogues_lead_it_is_the_copy_as_the_workspace_has_it_now(member, download):
    original = make_catalogue_lead(company="Original", notes="the operator's")
    make_lead(member.workspace, catalogue_lead=original, company="Copy")

    [row] = table(download(make_export(member.workspace, original)))

    assert row["company"] == "Copy"


def test_where_the_copy_is_gone_it_is_the_catalogues_lead_without_what_the_operator_keeps_about_it(
    member, stranger, download
):
    original = make_catalogue_lead(company="Original", assigned_user=stranger.user)
    make_lead(stranger.workspace, catalogue_lead=original, company="Somebody else's copy")
    export = make_export(member.workspace, original)

    [row] = table(download(export))
    [as_json] = json.loads(download(export, "json"))

    assert (row["company"], as_json["company"], as_json["assigned_user_id"]) == ("Original", "Original", None)
    assert "assigned_user" not in row and "assigned_user_id" not in row


@pytest.mark.parametrize("format", ["csv", "xlsx", "json"])
def test_what_was_not_paid_for_and_what_is_gone_is_left_out(member, stranger, download, format):
    own, gone = make_lead(member.workspace, company="Own"), make_lead(member.workspace)
    unpaid, theirs, hidden = make_lead(member.workspace), make_lead(stranger.workspace), make_catalogue_lead()
    export = make_export(member.workspace, gone, own)
    Export.objects.filter(pk=export.pk).update(leads=[gone.pk, unpaid.pk, theirs.pk, hidden.pk, own.pk, 2**62])
    ExportedLead.objects.create(workspace=member.workspace, lead=theirs, export=export)
    gone.delete()

    content = download(export, format)

    found = json.loads(content) if format == "json" else table(content)
    assert [row["company"] for row in found] == ["Own"]


def test_another_workspaces_export_is_not_there(api, stranger):
    export = make_export(stranger.workspace, make_lead(stranger.workspace))

    answers = [api.get(f"/api/v1/exports/{key}/download") for key in (export.pk, 0, 2**70)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


# The answer ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        ("", "text/csv; charset=utf-8", "csv"),
        ("?format=xlsx", XLSX, "xlsx"),
        ("?format=json", "application/json", "json"),
    ],
)
def test_it_is_a_file_that_no_cache_keeps(member, api, query, kind, name):
    export = make_export(member.workspace)

    answer = api.get(f"/api/v1/exports/{export.pk}/download{query}", headers={"Accept": "text/csv"})
    answer.close()

    assert answer["Content-Type"] == kind
    assert answer["Content-Disposition"] == f'attachment; filename="zevix-export-{export.pk}.{name}"'
    assert (answer["Cache-Control"], answer["X-Content-Type-Options"]) == ("private, no-store", "nosniff")


@pytest.mark.parametrize("query", ["format=pdf", "format=", "format=csv&color=red", "fromat=csv"])
def test_an_unknown_format_or_option_is_refused(member, api, query):
    answer = api.get(f"/api/v1/exports/{make_export(member.workspace).pk}/download?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("queued", "It is still running; wait until it is over."),
        ("running", "It is still running; wait until it is over."),
        ("failed", "This export failed: nothing was exported, so there is nothing to download."),
    ],
)
def test_an_export_that_is_not_there_yet_has_no_file(member, api, status, sentence):
    answer = api.get(f"/api/v1/exports/{make_export(member.workspace, status=status).pk}/download")

    assert (answer.status_code, answer.json()["error"], answer.json()["message"]) == (409, "conflict", sentence)


def test_of_an_export_that_failed_in_its_midst_there_is_what_was_handed_over(member, download):
    export = make_export(member.workspace, make_lead(member.workspace, company="Handed over"), status="failed")

    assert [row["company"] for row in table(download(export))] == ["Handed over"]


def test_more_custom_fields_than_columns_are_to_be_had_as_json_alone(member, api, download, monkeypatch):
    monkeypatch.setattr(rows, "MAX_CUSTOM", 2)
    export = make_export(member.workspace, make_lead(member.workspace, extra={"a": 1, "b": 2, "c": 3}))

    refused = api.get(f"/api/v1/exports/{export.pk}/download")

    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert len(json.loads(download(export, "json"))) == 1
    assert _locks() == 0


@pytest.mark.django_db(transaction=True)
def test_a_workspace_has_two_downloads_at_a_time_and_another_workspace_its_own(client_of):
    member, stranger = make_member(), make_member()
    exports = {person: make_export(person.workspace, make_lead(person.workspace)) for person in (member, stranger)}
    everybody_began, enough = threading.Barrier(4), threading.Event()
    statuses = []

    def begin(person):
        answer = client_of(person).get(f"/api/v1/exports/{exports[person].pk}/download")
        statuses.append((person.pk, answer.status_code))
        everybody_began.wait(20)
        enough.wait(20)
        answer.close()
        connection.close()

    threads = [threading.Thread(target=begin, args=(person,)) for person in (member, member, stranger)]
    for thread in threads:
        thread.start()
    everybody_began.wait(20)
    third = client_of(member).get(f"/api/v1/exports/{exports[member].pk}/download")
    enough.set()
    for thread in threads:
        thread.join()
    afterwards = client_of(member).get(f"/api/v1/exports/{exports[member].pk}/download")
    afterwards.close()

    assert sorted(statuses) == [(member.pk, 200), (member.pk, 200), (stranger.pk, 200)]
    assert (third.status_code, third.json()["error"], third["Retry-After"]) == (429, "rate_limited", "10")
    assert afterwards.status_code == 200
    assert _locks() == 0


def _locks():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return cursor.fetchone()[0]


# No formulas --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert formulas.harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_calls_nothing_stays_as_it_is(text):
    assert formulas.harmless(text) == text


_TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("'=+-@＝＋－＠ \t\r\n\u3000\xa005.,()/;[\"&<|%aÄ"),
        st.characters(codec="utf-8", exclude_characters="\x00"),
    )
)


@given(text=_TEXT)
def test_what_is_made_harmless_is_no_formula_and_is_read_back_as_it_was(text):
    written = formulas.harmless(text)

    assert written.lstrip()[:1] not in set("=@＝＋－＠") or not written
    assert formulas.restored(written) == text


@given(texts=st.lists(_TEXT, min_size=1, max_size=20))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_database_makes_harmless_what_the_definition_does(db, texts):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {formulas.harmless_sql('t')} FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n",
            formulas.PARAMETERS | {"texts": texts},
        )
        found = [text for (text,) in cursor.fetchall()]

    assert found == [formulas.harmless(text) or None for text in texts]


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_no_cell_is_a_formula_not_even_a_heading_or_an_entry_of_a_list(member, download, format):
    leads = [
        make_lead(
            member.workspace,
            name=text,
            notes=text,
            tags=["a", text or "b"],
            providers=[text or "b"],
            extra={text: text},
        )
        for text in FORMULAS
    ]

    content = download(make_export(member.workspace, *leads), format)

    if format == "xlsx":
        cells = [cell for line in openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows() for cell in line]
        assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
        texts = [str(cell.value) for cell in cells if cell.value is not None]
    else:
        texts = [cell for line in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) for cell in line]
    parts = [(text, part) for text in texts for part in text.split(";")]
    assert [text for text, part in parts if part.lstrip()[:1] in set("=+-@＝＋－＠") and part] == []


# There and back -----------------------------------------------------------------------------------------------------------------

_SAME = [column for column in Lead.COLUMNS if column not in ("id", "email_status", "assigned_user_id", "import_batch_id", "created_at", "updated_at", "version")]  # fmt: skip


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_a_download_is_imported_again_without_a_mapping_and_nothing_is_lost(
    member, stranger, client_of, download, format
):
    for workspace in (member.workspace, stranger.workspace):
        CustomField.objects.create(workspace=workspace, key="budget", label="Budget", kind="number")
        CustomField.objects.create(workspace=workspace, key="since", label="Since", kind="date")
        CustomField.objects.create(workspace=workspace, key="vip", label="VIP", kind="boolean")
    leads = [
        make_lead(
            member.workspace, external_id="A1", name="=Ann", phone="+49 30 1234567", owner_phone="+A 330", zip_code="01067",
            company="'=x", address="Main St; Suite 5", city="Köln, Süd", country="DE", ein="12-3456789", npi="1234567893",
            entity_type="Organization", providers=["Dr. A", "Dr. B, PhD"], specialties=["a|b, c"], tags=["x;y", "-z", "=w"],
            is_sole_proprietor=False, status="WON", score=0, needs_action=False, disg_type="S", website="https://x.example/?a=b&c",
            next_action_at=datetime(2026, 3, 4, 5, 6, 7, 89, UTC), next_action_description="-call", notes='a "b"\r\nc\td\\n _x000D_',
            last_contact=datetime(2020, 1, 2, tzinfo=UTC), channel="web", state="NRW", source="@fair",
            extra={"budget": -1234.5, "since": "2026-01-02", "vip": False, "region": "=north", "=sum": "a;b", "id": "own"},
        ),
        make_lead(member.workspace, tags=["only, one"], providers=["[x]"], extra={}),
        make_lead(member.workspace, specialties=["+1 5"]),
    ]  # fmt: skip
    content = download(make_export(member.workspace, *leads), format)

    kind = XLSX if format == "xlsx" else "text/csv"
    answer = client_of(stranger).generic("POST", "/api/v1/imports", content, content_type=kind)

    assert (answer.status_code, answer.json()["errors"]) == (200, [])
    imported = list(Lead.objects.for_workspace(stranger.workspace).order_by("pk").values(*_SAME))
    expected = list(Lead.objects.filter(pk__in=[lead.pk for lead in leads]).order_by("pk").values(*_SAME))
    assert imported == expected


def test_imported_into_its_own_workspace_a_download_changes_nothing(member, api, download):
    leads = [
        make_lead(member.workspace, external_id=f"A{number}", tags=["a"], extra={"room": "7"}) for number in range(3)
    ]

    content = download(make_export(member.workspace, *leads))
    answer = api.generic("POST", "/api/v1/imports", content, content_type="text/csv").json()

    assert (answer["created_count"], answer["updated_count"], answer["unchanged_count"]) == (0, 3, 3)


def test_a_file_of_somebody_elses_keeps_its_columns_and_apostrophes(api):
    api.generic("POST", "/api/v1/imports", "id,name,version\nA1,'=Ann,3\n", content_type="text/csv")

    lead = Lead.objects.get()
    assert (lead.external_id, lead.name, lead.extra) == ("A1", "'=Ann", {"version": "3"})
