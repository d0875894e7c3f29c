"""Whatever is sent to be imported ends in an answer of the one shape, or in errors of single rows; never halfway."""

import io
import json
import zipfile

import orjson
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_workspace
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource, ObjectSource
from leads.models import ImportBatch, Lead, RejectedRow
from leads.values import CLEANERS
from zevix.errors import Refusal
from zevix.models import Event

pytestmark = pytest.mark.django_db

ROW = "external_id,name,email\n1,Ann,ann@practice.example\n"


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("leads.csv", ROW * 50)
    return file.getvalue()


def send(api, body, content_type="text/csv", **options):
    return api.generic(
        "POST", "/import/leads", body, content_type=content_type, QUERY_STRING="&".join(f"{n}={v}" for n, v in options.items())
    )  # fmt: skip


def nothing_stored():
    return not any(model.objects.exists() for model in (Lead, ImportBatch, RejectedRow, Event))


def shape(answer):
    """An answer's status and code, once it is known to be of the one shape."""
    body = answer.json()
    assert {"success", "error", "message", "request_id"} <= body.keys()
    assert body["success"] is False
    assert (body["error"] == "validation_error") == ("fields" in body)
    return answer.status_code, body["error"]


BODIES = {
    "a PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00" + bytes(range(256)) * 20,
    "a program": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00>\x00" * 400,
    "an archive": archive(),
    "NULs alone": bytes(4000),
    "a NUL in a cell": b"name,email\nAnn\x00,ann@practice.example\n",
    "a NUL far down": b"name,email\n" + b"Ann,ann@practice.example\n" * 60_000 + b"A\x00,\n",
    "control characters": b"name,email\n\x01\x02\x03,\n",
    "a BOM alone": b"\xef\xbb\xbf",
    "blank lines": b"\n\n\n",
    "a blank header": b",,\n1,2,3\n",
    "UTF-16 cut short": "name\nAnn".encode("utf-16") + b"\x00",
    "UTF-16 with half a pair": b"\xff\xfe" + "name\n".encode("utf-16-le") + b"\x00\xd8a\x00",
    "UTF-32": "name\nAnn\n".encode("utf-32"),
    "no encoding at all": b"name\n\x81\x8d\x8f\x90\x9d\n",
    "a cell of a megabyte": b'name,email\n"' + b"x" * 1_000_000 + b'",\n',
    "a cell of a megabyte on many lines": b'name,email\n"' + b"x\n" * 500_000 + b'",\n',
    "a line of ten megabytes": b"name," + b"x" * 10_000_000,
    "a row of ten megabytes": b"name,email\n" + b"x," * 5_000_000,
    "a million columns": b",".join(b"c%d" % number for number in range(1_000_000)) + b"\n1\n",
    "2,001 columns": b"name," + b",".join(b"c%d" % number for number in range(2_000)) + b"\n1\n",
    "a quotation mark that is never closed": b'name,email\n"Ann,ann@practice.example\nBob,\n',
    "one in a long file": b'name,email\n"Ann,\n' + b"Bob,bob@practice.example\n" * 20_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_no_csv_is_refused_as_a_whole(api, body):
    answer = send(api, body)

    assert shape(answer) == (400, "malformed_request")
    assert nothing_stored()


@pytest.mark.parametrize(
    "body", [b"", b'name,"email\nAnn,ann@practice.example\n'], ids=["no body", "a header that never ends"]
)
def test_what_has_no_heading_that_is_known_is_refused(api, body):
    answer = send(api, body)

    assert shape(answer) == (400, "validation_error")
    assert nothing_stored()


QUERIES = {
    "encoding zip": {"encoding": "zip"},
    "encoding rot13": {"encoding": "rot13"},
    "encoding idna": {"encoding": "idna"},
    "encoding punycode": {"encoding": "punycode"},
    "encoding utf-7": {"encoding": "utf-7"},
    "encoding unicode_escape": {"encoding": "unicode_escape"},
    "encoding raw-unicode-escape": {"encoding": "raw-unicode-escape"},
    "encoding undefined": {"encoding": "undefined"},
    "encoding charmap": {"encoding": "charmap"},
    "encoding that there is not": {"encoding": "klingon"},
    "encoding that is a path": {"encoding": "../../etc/passwd"},
    "encoding that is no ASCII": {"encoding": "%C3%BC"},
    "encoding of great length": {"encoding": "x" * 5_000},
    "blank encoding": {"encoding": ""},
    "delimiter x": {"delimiter": "x"},
    "delimiter of two": {"delimiter": ",,"},
    "delimiter quotation mark": {"delimiter": "%22"},
    "delimiter newline": {"delimiter": "%0A"},
    "blank delimiter": {"delimiter": ""},
    "mapping that is no JSON": {"mapping": "{name"},
    "mapping that is a list": {"mapping": '["name"]'},
    "mapping that is a number": {"mapping": "1"},
    "mapping to null": {"mapping": '{"name":null}'},
    "mapping to an object": {"mapping": '{"name":{"a":1}}'},
    "mapping nested deeply": {"mapping": '{"name":' * 2_000},
    "mapping of a column that there is not": {"mapping": '{"Firma":"company"}'},
    "mapping to a field that there is not": {"mapping": '{"name":"nickname"}'},
    "mapping to a field that is ours": {"mapping": '{"name":"version"}'},
    "mapping that leaves nothing": {"mapping": '{"external_id":"","name":"","email":""}'},
    "match_on junk": {"match_on": "name"},
    "match_on nothing": {"match_on": ","},
    "mode junk": {"mode": "replace"},
    "dry_run junk": {"dry_run": "perhaps"},
    "an option that there is not": {"dryrun": "true"},
}


@pytest.mark.parametrize("options", QUERIES.values(), ids=QUERIES)
def test_options_that_mean_nothing_are_named(api, options):
    answer = send(api, ROW, **options)

    assert shape(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == (["mapping"] if "mapping" in options else list(options))
    assert nothing_stored()


def test_a_file_that_is_not_in_the_encoding_given_is_refused(api):
    answer = send(api, "name\nMüller\n".encode("windows-1252"), encoding="utf-8")

    assert shape(answer) == (400, "malformed_request")
    assert nothing_stored()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32-be", "cp037"])
def test_a_file_read_in_a_wrong_encoding_is_refused_or_has_no_known_column(api, encoding):
    answer = send(api, ROW, encoding=encoding)

    assert shape(answer) in {(400, "malformed_request"), (400, "validation_error")}
    assert nothing_stored()


@pytest.mark.parametrize("content_type", ["text/csv", "application/json"])
@pytest.mark.parametrize("path", ["/import/leads", "/api/v1/imports"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(api, settings, content_type, path):
    settings.IMPORT_MAX_BYTES = 1_000

    fits = api.generic("POST", path, ROW.ljust(1_000, "\n"), content_type="text/csv", QUERY_STRING="dry_run=true")
    answer = api.generic("POST", path, b" " * 1_001, content_type=content_type)

    assert fits.status_code == 200
    assert shape(answer) == (413, "payload_too_large")
    assert nothing_stored()


JSON = {
    "nothing": b"",
    "null": b"null",
    "a number": b"1",
    "a text": b'"name,email"',
    "an object of another kind": b'{"leads":[{"name":"Ann"}]}',
    "an object with more than csv": b'{"csv":"name\\nAnn","mode":"create"}',
    "csv that is no text": b'{"csv":["name"]}',
    "an empty list": b"[]",
    "no object in the list": b'[1,"a",null,[],true]',
    "objects without keys": b"[{},{}]",
    "no known key": b'[{"nickname":"Ann"}]',
    "a NUL in a key": b'[{"name":"Ann","\\u0000":1}]',
    "2,001 keys": json.dumps([{f"c{number}": 1 for number in range(2_001)}]).encode(),
}


@pytest.mark.parametrize("body", JSON.values(), ids=JSON)
def test_json_without_leads_is_refused(api, body):
    answer = send(api, body, "application/json")

    status, code = shape(answer)
    assert (status, code in {"validation_error", "malformed_request"}) == (400, True)
    assert nothing_stored()


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        b'[{"name":"Ann"}',
        b'[{"name":NaN}]',
        b'[{"score":1e400}]',
        b'[{"name":"\\ud800"}]',
        b'[{"name":"\xff"}]',
        b"[" * 100_000,
        b'[{"name":' + b"[" * 2_000 + b"]" * 2_000 + b"}]",
        '[{"name":"Ann"}]'.encode("utf-16"),
    ],
    ids=repr,
)
def test_what_is_no_json_is_refused(api, body):
    answer = send(api, body, "application/json")

    assert shape(answer) == (400, "malformed_request")
    assert nothing_stored()


deep = b"[" * 900 + b"]" * 900


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b'{"name":{"first":"Ann"}}', "name"),
        (b'{"name":["Ann"]}', "name"),
        (b'{"name":true}', "name"),
        (b'{"name":"A\\u0000"}', "name"),
        (b'{"name":' + deep + b"}", "name"),
        (b'{"name":"Ann","tags":[["a"]]}', "tags"),
        (b'{"name":"Ann","tags":[{"a":1}]}', "tags"),
        (b'{"name":"Ann","tags":[null]}', "tags"),
        (b'{"name":"Ann","tags":["a\\u0000"]}', "tags"),
        (b'{"name":"Ann","tags":' + json.dumps([str(n) for n in range(101)]).encode() + b"}", "tags"),
        (b'{"name":"Ann","score":1e300}', "score"),
        (b'{"name":"Ann","score":-1}', "score"),
        (b'{"name":"Ann","score":true}', "score"),
        (b'{"name":"Ann","score":123456789012345678901234567890}', "score"),
        (b'{"name":"Ann","npi":123456789012345678901234567890}', "npi"),
        (b'{"name":"Ann","status":["WON"]}', "status"),
        (b'{"name":"Ann","last_contact":20241120}', "last_contact"),
        (b'{"name":"Ann","needs_action":2}', "needs_action"),
        (b'{"name":"Ann","Room":' + deep + b"}", "extra"),
        (b'{"name":"Ann","Room":"\\u0000"}', "extra"),
        (b'{"name":"Ann","Room":"' + b"x" * 70_000 + b'"}', "extra"),
        (b"7", ""),
        (b'"Ann"', ""),
        (b"null", ""),
        (b'{"city":"York"}', ""),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_object_is_an_error_of_its_own(api, value, field):
    answer = send(api, b'[{"name":"First","Room":1},' + value + b',{"name":"Last"}]', "application/json")

    assert answer.status_code == 200, answer.content
    assert [(error["row"], error["field"]) for error in answer.json()["errors"]] == [(2, field)]
    assert sorted(Lead.objects.values_list("name", flat=True)) == ["First", "Last"]


@pytest.mark.parametrize(
    "date",
    ["9999-99-99", "0000-01-01", "99999-01-01", "31.02.2024", "13/13/2024", "03/04/2024", "soon", "45616", "1e9"],
)
def test_a_date_that_is_none_or_two_is_an_error_of_its_row(api, date):
    answer = send(api, f"name,last_contact\nAnn,{date}\nBob,2024-11-20\n")

    assert [(error["row"], error["field"]) for error in answer.json()["errors"]] == [(2, "last_contact")]
    assert list(Lead.objects.values_list("name", flat=True)) == ["Bob"]


def test_formulas_are_kept_as_they_are(api):
    send(api, 'name,company,Room\n"=HYPERLINK(""http://x"",""y"")",+1-1,@SUM(A1)\n')

    assert list(Lead.objects.values_list("name", "company", "extra")) == [
        ('=HYPERLINK("http://x","y")', "+1-1", {"Room": "@SUM(A1)"})
    ]


def test_deep_json_under_an_idempotency_key_is_an_error_of_its_row_too(api):
    body = b'[{"name":"Ann","Room":' + deep + b"}]"

    answers = [
        api.generic("POST", "/import/leads", body, content_type="application/json", HTTP_IDEMPOTENCY_KEY="once")
        for _ in range(2)
    ]

    assert [(error["row"], error["field"]) for error in answers[0].json()["errors"]] == [(1, "extra")]
    assert (answers[1].json(), Lead.objects.count()) == (answers[0].json(), 0)


def test_an_unknown_kind_of_body_is_refused(api):
    answer = send(api, ROW, "application/xml")

    assert shape(answer) == (415, "unsupported_media_type")


def test_nobody_imports_without_signing_in(anonymous):
    answer = send(anonymous, ROW)

    assert shape(answer) == (401, "authentication_required")
    assert nothing_stored()


# Anything at all ----------------------------------------------------------------------------------------------------------------

anything = settings(
    deadline=None, database=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts
    | st.sampled_from(["2024-11-20", "9999-12-31T23:59-12:00", "a@b.example", "ja", "WON", "-", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def import_in_a_transaction(source):
    with transaction.atomic():
        try:
            batch = importing.run(source(), Options(), workspace=make_workspace())
        except Refusal:
            assert nothing_stored()
        else:
            assert batch.total_rows == batch.imported_count + batch.skipped_count + batch.error_count
            assert Lead.objects.count() == batch.created_count
        transaction.set_rollback(True)


@given(
    start=st.sampled_from([b"", b"name,email\n", b"name;tags;Room\nAnn;", b"\xff\xfen\x00\n\x00"]),
    body=st.binary(max_size=60) | st.text('",;\t|\r\n a\u00e9\u20ac\x00\x1a', max_size=60).map(str.encode),
)
@anything
def test_any_bytes_are_imported_or_refused(start, body):
    import_in_a_transaction(lambda: CsvSource(io.BytesIO(start + body)))


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*CLEANERS, "Room", ""]), values, min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    )
)
@anything
def test_any_objects_are_imported_or_refused(objects):
    import_in_a_transaction(lambda: ObjectSource(orjson.loads(orjson.dumps(objects))))
