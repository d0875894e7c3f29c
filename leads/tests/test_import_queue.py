"""Long files: taken in at once, imported by a worker, with their progress for all to see; and all imports as they are listed."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Membership
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads import formulas
from leads import jobs as leads_jobs
from leads.imports import queueing
from leads.models import ImportBatch, ImportPiece, Lead, RejectedRow, RememberedMapping
from leads.tests.factories import make_lead
from leads.tests.workbooks import workbook
from zevix import jobs
from zevix.models import Event

ROOT = Path(__file__).resolve().parent.parent.parent
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS = 30
LONG = "external_id;name;email\n" + "".join(f"{number};Ann {number};\n" for number in range(ROWS))

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few_rows_are_many(settings):
    settings.IMPORT_INLINE_ROWS = ROWS - 1


@pytest.fixture
def send(api):
    def post(body=LONG, content_type="text/csv", client=api, headers=None, **options):
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return client.generic(
            "POST", "/api/v1/imports", body, content_type=content_type, QUERY_STRING=query, headers=headers or {}
        )

    return post


def work():
    """What the worker does with the jobs that wait."""
    waiting = ProcrastinateJob.objects.filter(task_name="leads.jobs.run_import", status="todo").order_by("id")
    for job in waiting:
        leads_jobs.run_import(**job.args)
    return len(waiting)


def one(api, batch_id):
    return api.get(f"/api/v1/imports/{batch_id}").json()


def errors_of(api, batch_id):
    answer = api.get(f"/api/v1/imports/{batch_id}/errors.csv")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode("utf-8")


# Taking in, and working ---------------------------------------------------------------------------------------------------------


def test_a_long_file_is_taken_in_and_imported_by_a_worker(send, api, member):
    answer = send()

    batch_id = answer.json()["import_batch_id"]
    assert (answer.status_code, answer.json()) == (
        202,
        {"import_batch_id": batch_id, "status": "queued", "progress": 0, "dry_run": False},
    )
    assert (Lead.objects.count(), ImportPiece.objects.count()) == (0, 1)
    job = ProcrastinateJob.objects.get()
    assert (job.queue_name, job.lock, job.args) == ("imports", f"import:{member.workspace_id}", {"batch_id": batch_id})

    work()

    seen = one(api, batch_id)
    assert (seen["status"], seen["progress"], seen["created_count"], seen["total_rows"]) == (
        "completed",
        100,
        ROWS,
        ROWS,
    )
    assert seen["user"] == {"id": member.user_id, "email": member.user.email, "username": member.user.username}
    assert (Lead.objects.filter(import_batch=batch_id).count(), ImportPiece.objects.count()) == (ROWS, 0)


def test_as_many_rows_as_are_imported_at_once_are(send, settings):
    settings.IMPORT_INLINE_ROWS = ROWS

    answer = send()

    assert (answer.status_code, answer.json()["created_count"]) == (200, ROWS)


OBJECTS = [{"external_id": str(number), "name": f"Ann {number}"} for number in range(ROWS)]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/tab-separated-values", LONG.replace(";", "\t")),
        (XLSX, workbook(["external_id", "name"], *([str(n), f"Ann {n}"] for n in range(ROWS)))),
        ("application/json", json.dumps(OBJECTS)),
        ("application/json", json.dumps({"csv": LONG})),
        ("text/csv", LONG.encode("utf-16")),
    ],
)
def test_every_kind_of_file_can_wait(send, content_type, body):
    assert send(body, content_type).status_code == 202

    work()

    assert list(Lead.objects.order_by("id").values_list("external_id", "name")) == [
        (item["external_id"], item["name"]) for item in OBJECTS
    ]


def test_a_file_of_several_pieces_is_put_together_again(send, monkeypatch):
    monkeypatch.setattr(queueing, "_PIECE", 7)

    send()
    pieces = ImportPiece.objects.count()
    work()

    assert (pieces, Lead.objects.count()) == (-(-len(LONG) // 7), ROWS)


def test_its_options_are_those_that_were_given(send, member):
    make_lead(member.workspace, external_id="0", email="ann@practice.example")
    rows = "".join(f"{number};03/04/2024;{number};ann{number}@x.example\n" for number in range(ROWS))

    answer = send(
        f"Nr;last_contact;Rest;email\n{rows}", mode="create", locale="de", match_on="email",
        mapping='{"Nr":"name","Rest":""}',
    )  # fmt: skip
    work()

    new = Lead.objects.exclude(external_id="0")
    assert set(new.values_list("last_contact__month", "extra__Rest")) == {(4, None)}
    assert new.count() == ROWS
    batch = ImportBatch.objects.get(pk=answer.json()["import_batch_id"])
    assert (batch.mode, batch.mapping) == ("create", {"Nr": "name", "last_contact": "last_contact", "email": "email"})
    assert RememberedMapping.objects.get().mapping == {"Nr": "name", "Rest": ""}


def test_a_dry_run_keeps_its_counts_and_errors_and_nothing_else(send, api, member):
    make_lead(member.workspace, external_id="0", name="Before")
    answer = send(LONG + "x;Bob;nowhere\n", dry_run="true", mapping='{"email":"email"}')
    work()

    seen = one(api, answer.json()["import_batch_id"])

    assert answer.json()["dry_run"] is True
    assert (seen["status"], seen["dry_run"], seen["created_count"], seen["updated_count"], seen["error_count"]) == (
        "completed", True, ROWS - 1, 1, 1,
    )  # fmt: skip
    assert [(error["row"], error["field"]) for error in seen["errors"]] == [(ROWS + 2, "email")]
    assert list(Lead.objects.values_list("name", flat=True)) == ["Before"]
    assert (ImportPiece.objects.count(), RememberedMapping.objects.count()) == (0, 0)


def test_an_agents_file_is_imported_as_an_agents(send, member, client_of):
    agent = make_member("agent", workspace=member.workspace)
    make_lead(member.workspace, external_id="0", name="Before")

    send(client=client_of(agent))
    work()

    assert Lead.objects.filter(assigned_user=agent.user).count() == ROWS - 1
    assert RejectedRow.objects.get().message == "Can only update your assigned leads"


def test_the_same_idempotency_key_queues_once(send):
    answers = [send(headers={"Idempotency-Key": "monday"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert (ImportBatch.objects.count(), ProcrastinateJob.objects.count()) == (1, 1)


@pytest.mark.parametrize("options", [{"mapping": '{"Firma":"company"}'}, {"encoding": "klingon"}, {"mode": "x"}])
def test_what_can_be_refused_at_once_is(send, options):
    answer = send(**options)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert (ImportBatch.objects.count(), ProcrastinateJob.objects.count()) == (0, 0)


# When it fails --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The file can't be read: the quotation mark opened in row 32 is never closed."),
        (
            "de",
            "Die Datei kann nicht gelesen werden: das in Zeile 32 geöffnete Anführungszeichen wird nie geschlossen.",
        ),
    ],
)
def test_a_file_that_turns_out_to_be_unreadable_fails_with_the_sentence(send, api, language, sentence):
    answer = send(LONG + '"Bob;\n', headers={"Accept-Language": language})
    work()

    seen = one(api, answer.json()["import_batch_id"])

    assert (seen["status"], seen["finished_at"] is None, seen["total_rows"], seen["created_count"]) == (
        "failed",
        False,
        0,
        0,
    )
    assert seen["failure"] == sentence
    assert (Lead.objects.count(), ImportPiece.objects.count(), RejectedRow.objects.count()) == (0, 0, 0)
    last = Event.objects.order_by("id").last()
    assert (last.type, last.data["status"]) == ("import.progress", "failed")


def test_who_has_left_imports_nothing_any_more(send, api, member, client_of):
    agent = make_member("agent", workspace=member.workspace)
    answer = send(client=client_of(agent))
    Membership.objects.filter(pk=agent.pk).delete()

    work()

    seen = one(api, answer.json()["import_batch_id"])
    assert (seen["status"], seen["failure"]) == ("failed", "You may not do this.")
    assert Lead.objects.count() == 0


def test_a_bug_fails_the_import_and_is_not_hidden(send, api):
    answer = send()
    batch = ImportBatch.objects.get()
    batch.options["match_on"] = 7
    batch.save()

    with pytest.raises(TypeError):
        work()

    seen = one(api, answer.json()["import_batch_id"])
    assert (seen["status"], seen["failure"]) == ("failed", "Something went wrong on our side. It has been noted.")
    assert work() == 1
    assert one(api, batch.pk) == seen


def test_a_job_that_comes_again_imports_nothing_again(send):
    send("name\n" + "Ann\n" * ROWS)

    work()
    work()

    assert Lead.objects.count() == ROWS


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_the_same_job_import_once():
    member = make_member()
    batch = queued(member, "name\n" + "Ann\n" * ROWS)

    at_once([lambda: leads_jobs.run_import(batch_id=batch.pk) for _ in range(3)])

    batch.refresh_from_db()
    assert (Lead.objects.count(), batch.status, batch.created_count) == (ROWS, "completed", ROWS)


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_leaves_the_import_to_the_next_try():
    batch = queued(make_member(), LONG)
    ended = []

    def cut():
        until(importing_connections)
        with connection.cursor() as cursor:
            for pid in importing_connections():
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    def run():
        try:
            leads_jobs.run_import(batch_id=batch.pk)
        except OperationalError as error:
            ended.append(error)

    blocked = threading.Event()
    at_once([lambda: holding_the_imports_of(batch.workspace_id, blocked), lambda: (run(), blocked.set()), cut])

    batch.refresh_from_db()
    assert (len(ended), batch.status in ("queued", "running"), Lead.objects.count()) == (1, True, 0)
    connection.close()
    leads_jobs.run_import(batch_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.status, Lead.objects.count(), ImportPiece.objects.count()) == ("completed", ROWS, 0)


def holding_the_imports_of(workspace_id, until_set):
    """As another import of the workspace would."""
    from django.db import transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('leads.import:' || %s, 0))", [workspace_id])
        until_set.wait(20)


def importing_connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND query LIKE '%%leads.import:%%'"
        )
        return [pid for (pid,) in cursor.fetchall()]


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def queued(member, text):
    from leads.imports.importing import Options
    from leads.imports.reading import Incoming

    incoming = Incoming(io.BytesIO(text.encode()), "leads.csv")
    return queueing.queue(incoming, incoming.table(), Options(), by=member)


# Progress -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_progress_shows_while_the_import_is_under_way_and_waits_for_nobody(client_of, monkeypatch):
    monkeypatch.setattr(queueing, "_TOLD_EVERY", 0)
    member = make_member()
    batch = queued(member, LONG)
    seen, blocked = [], threading.Event()

    def watch():
        until(importing_connections)
        answer = one(client_of(member), batch.pk)
        seen.append((answer["status"], answer["progress"], answer["created_count"], Lead.objects.count()))
        blocked.set()

    at_once([
        lambda: holding_the_imports_of(batch.workspace_id, blocked),
        lambda: leads_jobs.run_import(batch_id=batch.pk),
        watch,
    ])  # fmt: skip

    assert seen == [("running", 40, 0, 0)]
    told = list(Event.objects.filter(type="import.progress").order_by("seq").values_list("data", flat=True))
    assert [(event["status"], event["progress"]) for event in told] == [
        ("queued", 0), ("running", 0), ("running", 40), ("running", 50), ("running", 98), ("completed", 100),
    ]  # fmt: skip
    assert {event["import_batch_id"] for event in told} == {batch.pk}


@pytest.mark.django_db(transaction=True)
def test_progress_is_told_every_two_seconds_at_most():
    batch = queued(make_member(), LONG)

    with queueing.Teller(batch) as teller:
        for percent in range(100):
            teller.tell(percent)

    batch.refresh_from_db()
    assert (batch.progress, Event.objects.count()) == (0, 2)


# The worker's process -------------------------------------------------------------------------------------------------------------


def worker(*arguments):
    url = f"{settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    return subprocess.Popen(
        [sys.executable, "manage.py", "procrastinate", "worker", "--queues", "imports", *arguments],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def staging():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query LIKE '%%leads_stage%%'"
        )
        return [pid for (pid,) in cursor.fetchall()]


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_leaves_nothing_but_the_batch_and_another_takes_it_up():
    rows = 60_000
    batch = queued(make_member(), "external_id,name\n" + "".join(f"{number},Ann\n" for number in range(rows)))

    process = worker()
    until(staging, 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not staging(), 60)
    batch.refresh_from_db()
    left = (
        batch.status in ("queued", "running"),
        Lead.objects.count(),
        RejectedRow.objects.count(),
        ImportPiece.objects.count(),
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = %s", [timezone.now() - timedelta(minutes=5)])
    async_to_sync(jobs.retry_stalled.func)(timestamp=0)
    out, _err = worker("--one-shot").communicate(timeout=120)

    batch.refresh_from_db()
    assert left == (True, 0, 0, 1)
    assert (batch.status, batch.created_count, Lead.objects.count(), ImportPiece.objects.count()) == (
        "completed", rows, rows, 0,
    ), out  # fmt: skip


# Lists ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
def test_imports_are_listed_newest_first_in_the_same_number_of_queries(
    send, api, stranger, client_of, rows, django_assert_num_queries
):
    for number in range(rows):
        send(f"external_id,name\n{number},Ann\n")
    send("name\nTheirs\n", client=client_of(stranger))

    with django_assert_num_queries(2):
        found = api.get("/api/v1/imports").json()

    mine = list(ImportBatch.objects.exclude(workspace=stranger.workspace).order_by("-id").values_list("id", flat=True))
    assert [row["id"] for row in found["results"]] == mine
    assert (found["next"], found["previous"]) == (None, None)
    assert found["results"][0].keys() == {
        "id", "status", "progress", "failure", "file_name", "mode", "user_id", "total_rows", "created_count", "updated_count",
        "unchanged_count", "skipped_count", "error_count", "needs_action_count", "without_last_contact_count", "ai_analysis",
        "created_at", "finished_at",
    }  # fmt: skip


def test_imports_come_page_by_page(send, api):
    for number in range(3):
        send(f"external_id,name\n{number},Ann\n")

    first = api.get("/api/v1/imports?limit=2&count=true").json()
    last = api.get(first["next"]).json()

    assert (len(first["results"]), first["count"], len(last["results"]), last["next"]) == (2, 3, 1, None)


@pytest.mark.parametrize("rows", [1, 3])
def test_one_import_is_told_whole(send, api, member, rows, django_assert_num_queries):
    text = "external_id;Wer;email\n" + "".join(f"{number};Ann;nowhere\n" for number in range(rows))
    batch_id = send(text, mapping='{"Wer":"name"}', locale="de").json()["import_batch_id"]

    with django_assert_num_queries(4):
        answer = api.get(f"/api/v1/imports/{batch_id}")

    body = answer.json()
    assert (answer.status_code, body["id"], body["import_batch_id"], body["status"]) == (
        200,
        batch_id,
        batch_id,
        "completed",
    )
    assert (body["header"], body["mapping"]) == (
        ["external_id", "Wer", "email"],
        {"external_id": "external_id", "Wer": "name", "email": "email"},
    )
    assert body["options"] == {
        "encoding": "utf-8", "delimiter": ";", "locale": "de", "match_on": ["external_id", "email", "npi"],
    }  # fmt: skip
    assert [(error["row"], error["field"]) for error in body["errors"]] == [(row + 2, "email") for row in range(rows)]
    assert (body["undo"], body["failure"], body["dry_run"]) == (None, "", False)


def test_the_undo_of_an_import_is_told_with_it(send, api):
    batch_id = send("name\nAnn\n").json()["import_batch_id"]

    api.post(f"/api/v1/imports/{batch_id}/undo")

    undo = one(api, batch_id)["undo"]
    assert (undo["status"], undo["removed_count"], undo["kept_count"]) == ("completed", 1, 0)


@pytest.mark.parametrize("path", ["", "/errors.csv"])
def test_another_workspaces_import_is_not_found(send, api, stranger, client_of, path):
    theirs = send("name,email\nAnn,x\n", client=client_of(stranger)).json()["import_batch_id"]

    answers = [api.get(f"/api/v1/imports/{number}{path}") for number in (theirs, 10**30, 0)]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(404, "not_found")] * 3


# Rejected rows ----------------------------------------------------------------------------------------------------------------------

HARMFUL = ["=1+1", "+49 30", "-1", "@SUM(A1)", "\tx", "'=1+1", "''@x", "'plain", "=cmd|' /C calc'!A0", "＝1+1"]


def test_the_rejected_rows_are_a_file_that_can_be_mended_and_imported_again(send, api):
    rows = [["name", "email", "=Room"]] + [[f"Ann {number}", "nowhere", cell] for number, cell in enumerate(HARMFUL)]
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(rows)
    batch_id = send(text.getvalue(), mapping='{"=Room":"notes"}').json()["import_batch_id"]

    written = errors_of(api, batch_id)
    cells = list(csv.reader(io.StringIO(written.removeprefix("\ufeff")), delimiter=";"))
    again = send(written.replace("nowhere", "").encode(), mapping='{"=Room":"notes"}')

    assert (written[0], cells[0]) == ("\ufeff", ["row", "error", "name", "email", "'=Room"])
    assert [row[:2] for row in cells[1:]] == [[str(row), "email: This is no e-mail address."] for row in range(2, 12)]
    assert [cell for row in cells for cell in row if cell[:1] in set("=+-@\t\r＝")] == ["+49 30", "-1"]
    assert (again.json()["created_count"], again.json()["errors"]) == (len(HARMFUL), [])
    assert list(Lead.objects.order_by("id").values_list("notes", flat=True)) == [cell.strip() for cell in HARMFUL]


@pytest.mark.parametrize("cell", [*HARMFUL, "", "'", "Ann", "'Ann", "1'=", "''", "\n=1", " =1"])
def test_what_is_made_harmless_is_read_back_as_it_was(cell):
    assert formulas.restored(formulas.harmless(cell)) == cell


def test_the_rejected_rows_are_told_once_each_with_the_files_delimiter(send, api):
    batch_id = send("name\temail\tnpi\nAnn\tx\t1\nBob\t\t\n").json()["import_batch_id"]

    assert errors_of(api, batch_id) == (
        "\ufeffrow\terror\tname\temail\tnpi\r\n2\temail: This is no e-mail address. npi: An NPI has ten digits.\tAnn\tx\t1\r\n"
    )


def test_an_import_without_errors_has_a_file_of_headings_alone(send, api):
    batch_id = send("name\nAnn\n").json()["import_batch_id"]

    answer = api.get(f"/api/v1/imports/{batch_id}/errors.csv")

    assert b"".join(answer.streaming_content) == b"\xef\xbb\xbfrow,error,name\r\n"
    assert (answer["Content-Type"], answer["Content-Disposition"]) == (
        "text/csv; charset=utf-8",
        f'attachment; filename="import-{batch_id}-errors.csv"',
    )


def test_lists_of_objects_come_back_as_texts(send, api):
    batch_id = send(json.dumps([{"name": "Ann", "email": "x", "tags": ["a", "b"]}]), "application/json").json()[
        "import_batch_id"
    ]

    again = send(errors_of(api, batch_id).replace(",x,", ",,").encode())

    assert again.json()["created_count"] == 1
    assert Lead.objects.get().tags == ["a", "b"]


# Remembered columns -----------------------------------------------------------------------------------------------------------------


def test_what_was_given_for_the_columns_is_used_for_the_next_file_with_them(send, stranger, client_of):
    send("Wer,Rest\nAnn,1\n", mapping='{"Wer":"name","Rest":""}')

    again = send("REST , wer\n2,Bob\n")
    theirs = send("Wer,Rest\nCid,3\n", client=client_of(stranger))
    others = send("Wer,Rest,Neu\nDan,4,\n")

    assert again.json()["created_count"] == 1
    assert Lead.objects.get(name="Bob").extra == {}
    assert [answer.json()["error"] for answer in (theirs, others)] == ["validation_error"] * 2


def test_a_mapping_that_is_given_replaces_what_was_remembered_and_an_empty_one_forgets(send):
    text = "Wer,name\nAnn,Lee\n"

    send(text, mapping='{"Wer":"company"}')
    send(text, mapping='{"Wer":"notes"}')
    send(text)
    send(text, mapping="{}")
    send(text)

    assert list(Lead.objects.order_by("id").values_list("company", "notes", "extra")) == [
        ("Ann", "", {}), ("", "Ann", {}), ("", "Ann", {}), ("", "", {"Wer": "Ann"}), ("", "", {"Wer": "Ann"}),
    ]  # fmt: skip
    assert RememberedMapping.objects.count() == 0


def test_a_refused_or_tried_mapping_is_not_remembered(send):
    send("Wer\nAnn\n", mapping='{"Wer":"name"}', dry_run="true")
    send('Wer\n"Ann\n', mapping='{"Wer":"name"}')

    assert RememberedMapping.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_mappings_given_at_the_same_moment_are_one(client_of):
    client = client_of(make_member())

    def bring(field):
        query = f'mapping={{"Wer":"{field}"}}'
        return client.generic("POST", "/import/leads", "Wer,name\nx,y\n", "text/csv", QUERY_STRING=query).status_code

    statuses = at_once([lambda field=field: bring(field) for field in ("company", "notes", "city", "source")])

    assert statuses == [200] * 4
    assert RememberedMapping.objects.count() == 1
