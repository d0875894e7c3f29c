"""The import over the API: what it answers, what it writes, and what it leaves alone."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.tests.factories import make_member
from leads.models import ImportBatch, Lead, RejectedRow
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db

FEW = "external_id,name,email,status,last_contact\n1,Ann,ann@practice.example,NEW,\n2,Bob,bob@practice.example,,2020-01-31\n"


@pytest.fixture
def send(api):
    """Import CSV text; options as keywords."""

    def post(text, client=api, path="/import/leads", content_type="text/csv", headers=None, **options):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return client.generic("POST", path, text, content_type=content_type, QUERY_STRING=query, headers=headers or {})

    return post


def leads(*fields):
    return list(Lead.objects.order_by("id").values_list(*fields))


def ago(**time):
    return (timezone.now() - timedelta(**time)).isoformat()


# The answer -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/import/leads", "/api/v1/imports"])
def test_an_import_answers_what_became_of_the_rows(send, path):
    answer = send(FEW + "3,Cid,no address,,\n2,Bob,,WON,\n", path=path)

    batch = ImportBatch.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "total_rows": 4,
        "imported_count": 2,
        "created_count": 2,
        "updated_count": 0,
        "unchanged_count": 0,
        "skipped_count": 1,
        "error_count": 1,
        "needs_action_count": 1,
        "without_last_contact_count": 1,
        "errors": [{"row": 4, "field": "email", "message": "This is no e-mail address."}],
        "import_batch_id": batch.pk,
        "ai_analysis": "not_configured",
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "name,tags,Room\nAnn,a;b,7\n"),
        ("text/csv; charset=utf-8", "name,tags,Room\nAnn,a;b,7\n"),
        ("application/json", json.dumps({"csv": "name,tags,Room\nAnn,a;b,7\n"})),
        ("application/json", json.dumps([{"name": "Ann", "tags": ["a", "b"], "Room": "7"}])),
    ],
)
def test_csv_csv_in_json_and_objects_are_the_same_import(send, content_type, body):
    answer = send(body, content_type=content_type)

    assert answer.json()["created_count"] == 1
    assert leads("name", "tags", "extra") == [("Ann", ["a", "b"], {"Room": "7"})]


def test_objects_need_not_have_the_same_keys_and_keep_their_custom_values_as_they_are(send):
    send(
        json.dumps([{"name": "Ann", "Room": 7}, {"company": "B", "Open": {"mon": [8, 12]}}]),
        content_type="application/json",
    )

    assert leads("name", "company", "extra") == [("Ann", "", {"Room": 7}), ("", "B", {"Open": {"mon": [8, 12]}})]


def test_errors_name_the_line_of_a_spreadsheet_the_header_being_1(send):
    text = 'name,email,score\nAnn,a,\n\n"Bob\nthe second",b,\n,,\nCid,c@practice.example,101\n"D"d,,\nEve\nFay,,,x\n'

    answer = send(text)

    assert [(error["row"], error["field"]) for error in answer.json()["errors"]] == [
        (2, "email"),
        (4, "email"),
        (6, "score"),
        (7, ""),
        (9, ""),
    ]
    assert leads("name") == [("Eve",)]


def test_a_row_with_several_bad_cells_is_one_rejected_row_with_an_error_for_each(send):
    answer = send("name,email,score\nAnn,a,200\n")

    body = answer.json()
    assert [(error["row"], error["field"]) for error in body["errors"]] == [(2, "email"), (2, "score")]
    assert (body["total_rows"], body["error_count"]) == (1, 1)


def test_rejected_rows_are_kept_as_they_stood(send):
    send("name,email\nAnn,a b\n")

    assert list(RejectedRow.objects.values_list("row", "field", "cells")) == [(2, "email", ["Ann", "a b"])]


def test_the_first_thousand_errors_are_shown_and_all_are_counted_and_kept(send):
    answer = send("name,email\n" + "Ann,x\n" * 1_001)

    assert (answer.json()["error_count"], len(answer.json()["errors"])) == (1_001, 1_000)
    assert RejectedRow.objects.count() == 1_001


def test_errors_are_told_in_the_language_of_the_client(send):
    answer = send("name,email\nAnn,x\n", headers={"Accept-Language": "de"})

    assert answer.json()["errors"] == [{"row": 2, "field": "email", "message": "Das ist keine E-Mail-Adresse."}]


def test_a_row_that_does_not_tell_who_the_lead_is_is_rejected(send):
    answer = send("city,name\nYork,\n")

    assert answer.json()["errors"] == [{"row": 2, "field": "", "message": "It does not tell who the lead is."}]


def test_a_header_alone_is_an_import_of_nothing(send):
    answer = send("name,email\n")

    assert (answer.status_code, answer.json()["total_rows"]) == (200, 0)


def test_one_event_tells_of_the_import(send, member):
    send(FEW + ",,x,,\n")

    events = list(Event.objects.values_list("workspace", "type", "data"))
    assert events == [
        (
            member.workspace_id,
            "import.progress",
            {
                "import_batch_id": ImportBatch.objects.get().pk,
                "status": "completed",
                "progress": 100,
                "errors": 1,
                "created": 2,
                "updated": 0,
                "unchanged": 0,
                "skipped": 0,
                "needs_action": 2,
                "without_last_contact": 1,
            },
        )
    ]


def test_leads_are_found_by_the_import_that_brought_them(send, api):
    first = send("external_id,name\n1,Ann\n").json()["import_batch_id"]
    second = send("external_id,name\n1,Anna\n2,Bob\n").json()["import_batch_id"]

    found = [
        [lead["external_id"] for lead in api.get(f"/api/v1/leads?import_batch={batch}").json()["results"]]
        for batch in (first, second)
    ]

    assert found == [["1"], ["2"]]


# Options --------------------------------------------------------------------------------------------------------------------


def test_a_mapping_names_columns_renames_them_and_leaves_them_out(send):
    mapping = json.dumps({"Firma": "", "Wer": "name", "Praxis": "practice_name", "Zimmer": ""})

    send("Firma;Wer;Praxis;Zimmer;Etage\nF;Ann;P;7;1\n", mapping=mapping)

    assert leads("name", "company", "extra") == [("Ann", "P", {"Etage": "1"})]
    assert ImportBatch.objects.get().mapping == {"Wer": "name", "Praxis": "company"}


def test_two_columns_given_for_one_field_are_joined(send):
    send("Vor,Nach\nAnn,Lee\nBob,\n", mapping='{"Vor":"name","Nach":"name"}')

    assert leads("name") == [("Ann Lee",), ("Bob",)]


@pytest.mark.parametrize(
    ("mode", "counts", "names"),
    [
        ("create", (1, 0, 1), ["Ann", "Bob"]),
        ("update", (0, 1, 1), ["Anna"]),
        ("upsert", (1, 1, 0), ["Anna", "Bob"]),
    ],
)
def test_a_mode_takes_new_leads_or_known_ones_or_both(send, member, mode, counts, names):
    make_lead(member.workspace, external_id="1", name="Ann")

    answer = send("external_id,name\n1,Anna\n2,Bob\n", mode=mode)

    body = answer.json()
    assert (body["created_count"], body["updated_count"], body["skipped_count"]) == counts
    assert [name for (name,) in leads("name")] == names


def test_match_on_chooses_the_keys(send, member):
    make_lead(member.workspace, external_id="1", email="ann@practice.example", name="Ann")

    by_email = send("external_id,email,name\n9,ANN@practice.example,Anna\n", match_on="email,npi")

    assert by_email.json()["updated_count"] == 1
    assert leads("external_id", "name") == [("9", "Anna")]


def test_a_dry_run_answers_the_same_and_writes_nothing(send, member):
    make_lead(member.workspace, external_id="1", name="Ann")
    text = FEW + ",,x,,\n"
    before = list(Lead.objects.values())

    tried = send(text, dry_run="true").json()
    after = list(Lead.objects.values())
    traces = [model.objects.count() for model in (ImportBatch, RejectedRow, Event)]
    done = send(text).json()

    assert tried == done | {"import_batch_id": None}
    assert (after, traces) == (before, [0, 0, 0])
    assert (tried["created_count"], tried["updated_count"], tried["error_count"]) == (1, 1, 1)


def test_the_delimiter_and_the_encoding_may_be_given(send):
    send("name|city\nMüller|Köln\n".encode("iso-8859-15"), delimiter="|", encoding="iso-8859-15")
    send("name\tcity\nTab,Comma\tYork\n", delimiter="tab")

    assert leads("name", "city") == [("Müller", "Köln"), ("Tab,Comma", "York")]


# What is written --------------------------------------------------------------------------------------------------------------


def test_a_blank_cell_never_erases(send, member):
    full = {"phone": "(330) 797-0070", "city": "York", "tags": ["a"], "score": 5, "extra": {"Room": "7"}, "notes": "n"}
    make_lead(member.workspace, external_id="1", name="Ann", **full)

    answer = send("external_id,name,phone,city,tags,score,Room,notes\n1,,-, ,;,N/A,,null\n")

    assert (answer.json()["updated_count"], answer.json()["unchanged_count"]) == (1, 1)
    assert leads("name", *full) == [("Ann", *full.values())]


def test_only_leads_that_change_get_a_new_version_and_time(send, member):
    same = make_lead(member.workspace, external_id="1", name="Ann")
    other = make_lead(member.workspace, external_id="2", name="Bob")

    send("external_id,name\n1,Ann\n2,Bo\n")

    assert list(Lead.objects.order_by("id").values_list("version", flat=True)) == [1, 2]
    assert Lead.objects.get(pk=same.pk).updated_at == same.updated_at
    assert Lead.objects.get(pk=other.pk).updated_at > other.updated_at


def test_columns_that_are_no_fields_join_the_custom_ones(send, member):
    make_lead(member.workspace, external_id="1", extra={"Room": "1", "Floor": "2"})

    send("external_id,Room,Room,,\n1,7,8,x,\n")

    assert leads("extra") == [({"Room": "7", "Floor": "2", "Room (2)": "8", "column 4": "x"},)]


def test_an_address_that_changes_is_unverified_and_one_written_otherwise_stays_verified(send, member):
    for number in (1, 2):
        make_lead(member.workspace, external_id=str(number), email=f"a{number}@x.example", email_status="deliverable")

    send("external_id,email\n1,A1@X.example\n2,new@x.example\n")

    assert leads("email", "email_status") == [("A1@X.example", "deliverable"), ("new@x.example", "unknown")]


def test_phones_stay_as_they_are_written_and_get_a_form_for_matching(send):
    send("name,phone,country\nA,(330) 797-0070,\nB,030 123456,DE\nC,+1 330-797-0070 ext. 5,\n")

    assert leads("phone", "phone_normalized") == [
        ("(330) 797-0070", "+13307970070"),
        ("030 123456", "+4930123456"),
        ("+1 330-797-0070 ext. 5", "+13307970070"),
    ]


@pytest.mark.parametrize(
    ("status", "days_ago", "needs_action"),
    [
        ("", 1, True),
        ("CONTACTED", None, True),
        ("CONTACTED", 29, False),
        ("CONTACTED", 31, True),
        ("NEW", 1, False),
        ("WON", 400, False),
        ("LOST", 400, False),
        ("LOST", None, True),
    ],
)
def test_a_new_lead_needs_action_without_status_or_contact_or_when_open_and_silent_for_30_days(
    send, status, days_ago, needs_action
):
    last_contact = "" if days_ago is None else ago(days=days_ago)

    answer = send(f"name,status,last_contact\nAnn,{status},{last_contact}\n")

    assert leads("needs_action") == [(needs_action,)]
    assert answer.json()["needs_action_count"] == needs_action


@pytest.mark.parametrize(
    ("stored", "row", "needs_action"),
    [
        ({"status": "CONTACTED", "needs_action": True}, {"last_contact": ago(days=1)}, False),
        ({"status": "CONTACTED", "needs_action": False}, {"last_contact": ago(days=31)}, True),
        ({"status": "NEW", "needs_action": True}, {"last_contact": ago(days=1)}, True),
        ({"status": "NEW", "needs_action": True}, {"last_contact": ago(days=1), "status": "WON"}, False),
        ({"status": "WON", "needs_action": False}, {"status": "CONTACTED"}, True),
        ({"status": "CONTACTED", "needs_action": False}, {"status": "CONTACTED", "notes": "nothing new"}, False),
        ({"status": "CONTACTED", "needs_action": True}, {"status": "WON", "needs_action": "yes"}, True),
        ({"status": "CONTACTED", "needs_action": True}, {"needs_action": "no"}, False),
    ],
)
def test_a_known_lead_is_judged_anew_when_its_status_or_contact_changes(send, member, stored, row, needs_action):
    make_lead(member.workspace, external_id="1", **stored)

    send(json.dumps([{"external_id": "1", **row}]), content_type="application/json")

    assert leads("needs_action") == [(needs_action,)]


def test_an_export_of_ours_comes_back_to_the_leads_that_it_came_from(send, member):
    lead = make_lead(member.workspace, external_id="A7", name="Ann")

    answer = send(f"id,external_id,name\n{lead.pk},A7,Anna\n")

    assert answer.json()["updated_count"] == 1
    assert leads("external_id", "name") == [("A7", "Anna")]


# Others, and again ----------------------------------------------------------------------------------------------------------------


def test_another_workspaces_leads_are_neither_matched_nor_touched(send, stranger):
    make_lead(
        stranger.workspace, external_id="1", email="ann@x.example", npi="1000000001", address="1 Main St", name="Theirs"
    )
    before = list(Lead.objects.for_workspace(stranger.workspace).values())

    answer = send("external_id,email,npi,address,name\n1,ann@x.example,1000000001,1 Main St,Ours\n")

    assert (answer.json()["created_count"], answer.json()["updated_count"]) == (1, 0)
    assert list(Lead.objects.for_workspace(stranger.workspace).values()) == before


def test_an_agent_may_import(send, member, client_of):
    agent = make_member("agent", workspace=member.workspace)

    answer = send(FEW, client=client_of(agent))

    assert answer.json()["created_count"] == 2
    assert ImportBatch.objects.get().user == agent.user


@pytest.mark.parametrize(
    ("content_type", "body"), [("text/csv", "name\nAnn\n"), ("application/json", '[{"name": "Ann"}]')]
)
def test_the_same_idempotency_key_imports_once(send, content_type, body):
    key = {"Idempotency-Key": "monday"}

    first = send(body, content_type=content_type, headers=key)
    again = send(body, content_type=content_type, headers=key)
    other = send(body.replace("Ann", "Bob"), content_type=content_type, headers=key)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json() == first.json()
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_key_reused")
    assert leads("name") == [("Ann",)]


def test_other_options_are_another_request_under_an_idempotency_key(send):
    key = {"Idempotency-Key": "monday"}
    send("name\nAnn\n", headers=key, dry_run="true")

    answer = send("name\nAnn\n", headers=key)

    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_reused")


def test_a_refused_import_leaves_nothing(send):
    answer = send('name,email\nAnn,ann@practice.example\n"Bob,\n')

    assert answer.status_code == 400
    assert [model.objects.count() for model in (Lead, ImportBatch, RejectedRow, Event)] == [0, 0, 0, 0]
