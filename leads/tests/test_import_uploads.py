"""Files sent to be imported: in forms and bare, of every kind, whole or cut short."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from leads.models import ImportBatch, Lead
from leads.tests.workbooks import workbook

pytestmark = pytest.mark.django_db

CSV = "external_id,name,last_contact\n1,Ann,03/04/2024\n"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
B = "boundary7"


def form(*parts, end=f"--{B}--\r\n"):
    """A form's body: fields as (name, text), files as (name, file name, bytes)."""
    body = b""
    for name, *rest in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{rest[0]}"' if len(rest) == 2 else "")
        body += f"--{B}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        body += (rest[-1].encode() if isinstance(rest[-1], str) else rest[-1]) + b"\r\n"
    return body + end.encode()


def send(api, body, content_type=f"multipart/form-data; boundary={B}", path="/api/v1/imports", query="", **headers):
    return api.generic("POST", path, body, content_type=content_type, QUERY_STRING=query, headers=headers)


def code(answer):
    return answer.status_code, answer.json().get("error")


def names():
    return list(Lead.objects.order_by("id").values_list("name", flat=True))


# Kinds ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("leads.csv", b"external_id,name\n1,Ann\n"),
        ("leads.tsv", b"external_id\tname\n1\tAnn\n"),
        ("leads.xlsx", workbook(["external_id", "name"], [1, "Ann"])),
        ("leads", workbook(["external_id", "name"], [1, "Ann"])),
        ("leads.json", b'[{"external_id": 1, "name": "Ann"}]'),
    ],
)
@pytest.mark.parametrize("path", ["/import/leads", "/api/v1/imports"])
def test_a_form_brings_a_file_of_any_kind_under_any_name(api, name, content, path):
    answer = api.post(path, {"upload": SimpleUploadedFile(name, content)}, format="multipart")

    assert (answer.status_code, answer.json()["created_count"]) == (200, 1)
    assert list(Lead.objects.values_list("external_id", "name")) == [("1", "Ann")]
    assert ImportBatch.objects.get().file_name == name


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/tab-separated-values", b"a;b;name\tname\nx\tAnn\n"),
        (XLSX, workbook(["name"], ["Ann"])),
        ("text/csv", workbook(["name"], ["Ann"])),
    ],
)
def test_a_bare_body_is_a_file_of_any_kind(api, content_type, body):
    answer = send(api, body, content_type)

    assert answer.status_code == 200, answer.content
    assert names() == ["Ann"]


def test_options_are_fields_of_the_form_and_of_the_query(api):
    fields = [("locale", "de"), ("mapping", '{"Wer": "name"}'), ("dry_run", "false")]
    content = "Wer,last_contact\nAnn,03/04/2024\n"

    answer = send(api, form(*fields, ("file", "a.csv", content)), query="mode=create")

    assert answer.json()["created_count"] == 1
    assert list(Lead.objects.values_list("name", "last_contact__month")) == [("Ann", 4)]
    assert ImportBatch.objects.get().mode == "create"


@pytest.mark.parametrize(("locale", "month"), [("de", 4), ("en-GB", 4), ("en-US", 3)])
def test_a_locale_decides_what_would_be_ambiguous(api, locale, month):
    without = send(api, CSV, "text/csv", query="dry_run=true")
    with_it = send(api, CSV, "text/csv", query=f"locale={locale}")

    assert [(error["row"], error["field"]) for error in without.json()["errors"]] == [(2, "last_contact")]
    assert with_it.json()["errors"] == []
    assert Lead.objects.get().last_contact.month == month


def test_a_sheet_is_an_option(api):
    content = workbook(One=[["name"], ["Ann"]], Two=[["name"], ["Bob"]])

    answers = [send(api, content, XLSX, query=f"sheet={sheet}") for sheet in ("Two", "Three")]

    assert names() == ["Bob"]
    assert code(answers[1]) == (400, "validation_error")
    assert answers[1].json()["fields"] == {"sheet": ["There is no sheet “Three”, but: One, Two."]}


# What is refused ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(("mode", "create")), "file"),
        (form(("file", CSV)), "file"),
        (form(("file", "", CSV)), "file"),
        (form(("a", "a.csv", CSV), ("b", "b.csv", CSV)), "b"),
        (form(("mode", "create"), ("mode", "update"), ("file", "a.csv", CSV)), "mode"),
        (form(("dryrun", "true"), ("file", "a.csv", CSV)), "dryrun"),
        (form(("locale", "fr"), ("file", "a.csv", CSV)), "locale"),
        (form(("mapping", "\x00"), ("file", "a.csv", CSV)), "mapping"),
        (form(("sheet", "\x00"), ("file", "a.xlsx", workbook(["name"]))), "sheet"),
    ],
)
def test_a_form_without_one_file_or_with_options_that_mean_nothing_is_refused(api, body, field):
    answer = send(api, body)

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [field]
    assert names() == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(("file", "a.csv", CSV), end=""), f"multipart/form-data; boundary={B}"),
        (form(("file", "a.csv", CSV))[:60], f"multipart/form-data; boundary={B}"),
        (form(("file", "a.csv", CSV)), "multipart/form-data"),
        (form(("file", "a.csv", CSV)), "multipart/form-data; boundary=other"),
        (b"\x00\xff" * 100, f"multipart/form-data; boundary={B}"),
        (b"name\nAnn\n", "multipart/form-data; boundary=" + B),
    ],
)
def test_a_form_that_is_cut_short_or_none_is_refused(api, body, content_type):
    answer = send(api, body, content_type)

    assert code(answer) == (400, "malformed_request")
    assert names() == []


def test_no_body_at_all_is_refused(api):
    for content_type in (f"multipart/form-data; boundary={B}", "text/csv", "application/json", XLSX):
        assert code(send(api, b"", content_type)) == (400, "validation_error")


@pytest.mark.parametrize(
    "body",
    [
        form(("file", "a.csv", b" " * 2_001)),
        form(("file", "a.csv", CSV), ("notes", "x" * 3_000_000)),
    ],
    ids=["the file", "a field"],
)
def test_a_form_beyond_the_limit_is_refused(api, settings, body):
    settings.IMPORT_MAX_BYTES = 2_000

    assert code(send(api, body)) == (413, "payload_too_large")
    assert send(api, form(("file", "a.csv", CSV.ljust(2_000)))).status_code == 200


def test_a_file_of_many_pieces_arrives_as_it_was(api):
    content = "name\n" + "".join(f"Ann {number}\n" for number in range(15_000))

    answer = send(api, form(("file", "a.csv", content), ("match_on", "email")), query="dry_run=true")

    assert (answer.json()["total_rows"], answer.json()["created_count"]) == (15_000, 15_000)


def test_a_long_name_of_a_file_is_cut_and_its_path_dropped(api):
    send(api, form(("file", "../../etc/" + "x" * 400 + ".csv", "name\nAnn\n")))
    send(api, form(("file", "C:\\\\leads\\\\a.csv", "name\nBob\n")))

    assert list(ImportBatch.objects.order_by("id").values_list("file_name", flat=True)) == ["x" * 255, "a.csv"]


# Once ---------------------------------------------------------------------------------------------------------------------------


def test_the_same_form_under_an_idempotency_key_is_imported_once_whatever_its_boundary(api):
    body = form(("file", "a.csv", "name\nAnn\n"), ("mode", "create"))
    other = body.replace(B.encode(), b"another")

    first = send(api, body, **{"Idempotency-Key": "monday"})
    again = send(api, other, "multipart/form-data; boundary=another", **{"Idempotency-Key": "monday"})

    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (200, "true")
    assert again.json() == first.json()
    assert names() == ["Ann"]


@pytest.mark.parametrize(
    "parts",
    [
        [("file", "a.csv", "name\nBob\n"), ("mode", "create")],
        [("file", "a.csv", "name\nAnn\n"), ("mode", "update")],
        [("file", "a.csv", "name\nAnn\n")],
        [("file", "b.csv", "name\nAnn\n"), ("mode", "create")],
    ],
)
def test_another_file_or_option_is_another_request(api, parts):
    send(api, form(("file", "a.csv", "name\nAnn\n"), ("mode", "create")), **{"Idempotency-Key": "monday"})

    answer = send(api, form(*parts), **{"Idempotency-Key": "monday"})

    assert code(answer) == (422, "idempotency_key_reused")


def test_what_was_taken_in_is_closed_after_the_answer(api, monkeypatch):
    import tempfile

    made = []
    real = tempfile.SpooledTemporaryFile

    def remembered(*args, **kwargs):
        made.append(real(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", remembered)
    send(api, form(("file", "a.csv", "name\nAnn\n")))
    send(api, form(("file", "a.csv", "name\nAnn\n"), ("file", "b.csv", "")))

    assert [file.closed for file in made] == [True, True]


def test_the_older_path_lists_nothing(api):
    assert code(api.get("/import/leads")) == (405, "method_not_allowed")
