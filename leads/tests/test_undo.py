"""Taking imports back: created leads go, changed fields return, and what somebody worked on since is kept."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Role
from accounts.tests.factories import make_member, make_workspace
from leads import editing, history, jobs, undoing
from leads.history import Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import ObjectSource
from leads.models import Activity, ImportBatch, KeptLead, Lead, Undo
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parent.parent.parent


def bring(workspace, *rows, **options):
    return importing.run(ObjectSource(rows), Options(**options), workspace=workspace)


def undo_over(api, batch):
    return api.post(f"/api/v1/imports/{batch.pk}/undo")


def undone(act, workspace):
    undo = undoing.begin(act, workspace=workspace, by=Author("human"))
    undoing.finish(undo)
    return undo


def content(workspace):
    """Every lead of a workspace, besides what counts and dates it."""
    return {lead["id"]: lead for lead in Lead.objects.for_workspace(workspace).values("id", *history.CONTENT)}


def test_leads_that_an_import_brought_go_and_fields_that_it_changed_return(api, member):
    known = make_lead(member.workspace, external_id="A", name="Ann", tags=["x"], extra={"k": "1", "o": "2"})
    before = content(member.workspace)
    batch = bring(
        member.workspace, {"external_id": "A", "name": "Bob", "tags": "y", "k": "9", "new": "3"}, {"name": "Cleo"}
    )

    answer = undo_over(api, batch)

    assert answer.status_code == 200
    figures = {name: answer.json()[name] for name in ("status", "progress", "removed_count", "reverted_count", "kept")}
    assert figures == {"status": "completed", "progress": 100, "removed_count": 1, "reverted_count": 1, "kept": []}
    assert content(member.workspace) == before
    assert Lead.objects.get(pk=known.pk).version == 3


def test_what_it_brought_waits_in_the_bin(api, member):
    batch = bring(member.workspace, {"name": "Cleo"})
    undo_over(api, batch)

    (binned,) = api.get("/api/v1/bin").json()["results"]

    assert binned["name"] == "Cleo"
    assert api.post("/api/v1/bin/restore", {"ids": [binned["id"]]}).json()["restored_ids"] == [binned["id"]]


def test_a_field_that_somebody_changed_since_is_kept_and_listed(api, member):
    lead = make_lead(member.workspace, external_id="A", name="Ann", city="York", extra={"k": "1", "o": "2"})
    batch = bring(member.workspace, {"external_id": "A", "name": "Bob", "city": "Leeds", "k": "9", "o": "8"})
    api.patch(f"/api/v1/leads/{lead.pk}", {"name": "Cleo", "extra": {"k": "7"}})

    answer = undo_over(api, batch).json()

    lead.refresh_from_db()
    assert (lead.name, lead.city, lead.extra) == ("Cleo", "York", {"k": "7", "o": "2"})
    assert answer["kept"] == [{"lead_id": lead.pk, "reason": "changed", "fields": ["extra", "name"]}]
    assert (answer["reverted_count"], answer["kept_count"]) == (1, 1)


def test_a_later_import_counts_as_somebody(member):
    lead = make_lead(member.workspace, external_id="A", name="Ann", city="York")
    first = bring(member.workspace, {"external_id": "A", "name": "Bob", "city": "Leeds"})
    bring(member.workspace, {"external_id": "A", "name": "Cleo"})

    undo = undone(f"import:{first.pk}", member.workspace)

    lead.refresh_from_db()
    assert (lead.name, lead.city, undo.kept_count) == ("Cleo", "York", 1)


def test_imports_are_undone_one_after_the_other(member):
    make_lead(member.workspace, external_id="A", name="Ann")
    before = content(member.workspace)
    batches = [bring(member.workspace, {"external_id": "A", "name": name}, {"name": name}) for name in ("Bob", "Cleo")]

    for batch in reversed(batches):
        undone(f"import:{batch.pk}", member.workspace)

    assert content(member.workspace) == before


@pytest.mark.parametrize("work", ["changed", "activity", "exported"])
def test_a_lead_that_somebody_worked_on_is_kept(api, member, work):
    batch = bring(member.workspace, {"name": "Ann"}, {"name": "Bob"})
    ann, _bob = Lead.objects.order_by("id")
    if work == "changed":
        api.patch(f"/api/v1/leads/{ann.pk}", {"name": "Anna"})
    elif work == "activity":
        Activity.objects.create(workspace=member.workspace, lead=ann, type="call", text="Talked")
    else:
        api.post("/zevix/export-lead", {"lead_id": ann.pk})

    answer = undo_over(api, batch).json()

    assert answer["kept"] == [{"lead_id": ann.pk, "reason": work, "fields": []}]
    assert list(Lead.objects.values_list("pk", flat=True)) == [ann.pk]


def test_a_lead_that_was_changed_and_changed_back_goes(api, member):
    batch = bring(member.workspace, {"name": "Ann"})
    lead = Lead.objects.get()
    for name in ("Bea", "Ann"):
        api.patch(f"/api/v1/leads/{lead.pk}", {"name": name})

    assert undo_over(api, batch).json()["removed_count"] == 1


def test_what_the_system_did_since_holds_no_lead_back(api, member):
    batch = bring(member.workspace, {"name": "Ann"})
    editing.update_all(Lead.objects.all(), {"assigned_user_id": member.user_id}, by=history.SYSTEM)

    assert undo_over(api, batch).json()["removed_count"] == 1


def test_an_external_id_that_was_taken_since_is_kept(member):
    lead = make_lead(member.workspace, external_id="A", email="a@x.example")
    batch = bring(member.workspace, {"external_id": "B", "email": "a@x.example"}, match_on=["email"])
    make_lead(member.workspace, external_id="A")

    undo = undone(f"import:{batch.pk}", member.workspace)

    lead.refresh_from_db()
    assert (lead.external_id, undo.kept.get().fields) == ("B", ["external_id"])


def test_a_phone_that_stays_while_its_country_returns_is_matched_as_it_is_written_now(api, member):
    lead = make_lead(member.workspace, external_id="A", phone="030 1234567", country="DE")
    batch = bring(member.workspace, {"external_id": "A", "phone": "030 7654321", "country": "AT"})
    api.patch(f"/api/v1/leads/{lead.pk}", {"phone": "030 5555555"})

    undone(f"import:{batch.pk}", member.workspace)

    lead.refresh_from_db()
    assert (lead.phone, lead.country, lead.phone_normalized) == ("030 5555555", "DE", "+49305555555")


def test_it_tells_of_itself_once(api, member):
    make_lead(member.workspace, external_id="A", name="Ann")
    batch = bring(member.workspace, {"external_id": "A", "name": "Bob"}, {"name": "Cleo"}, {"name": "Dora"})
    Event.objects.all().delete()

    undo_over(api, batch)

    act = f"undo:import:{batch.pk}"
    assert list(Event.objects.order_by("id").values_list("type", "data")) == [
        ("lead.deleted", {"count": 2, "act": act}),
        ("lead.updated", {"count": 1, "act": act}),
        ("import.progress", {
            "import_batch_id": batch.pk, "status": "undone", "progress": 100, "removed": 2, "reverted": 1, "kept": 0,
        }),
    ]  # fmt: skip


def test_nothing_is_undone_twice(api, member):
    batch = bring(member.workspace, {"name": "Ann"})

    codes = [undo_over(api, batch).status_code for _ in range(2)]

    assert codes == [200, 409]
    assert api.get(f"/api/v1/imports/{batch.pk}/undo").json()["removed_count"] == 1


@pytest.mark.parametrize("status", [ImportBatch.Status.QUEUED, ImportBatch.Status.RUNNING])
def test_an_import_that_is_still_running_is_not_undone(api, member, status):
    batch = bring(member.workspace, {"name": "Ann"})
    ImportBatch.objects.update(status=status)

    answer = undo_over(api, batch)

    assert (answer.status_code, Lead.objects.count()) == (409, 1)


def test_only_managers_undo_and_only_their_own(api, client_of, member, stranger):
    batch = bring(member.workspace, {"name": "Ann"})
    agent = make_member(Role.AGENT, member.workspace)

    codes = [undo_over(client, batch).status_code for client in (client_of(agent), client_of(stranger))]

    assert (codes, Lead.objects.count()) == ([403, 404], 1)
    assert client_of(stranger).get(f"/api/v1/imports/{batch.pk}/undo").status_code == 404


# Long ones ----------------------------------------------------------------------------------------------------------------------


def test_a_long_one_goes_on_in_the_background(api, member, settings):
    settings.UNDO_INLINE_LEADS = 2
    batch = bring(member.workspace, *({"name": f"Ann {number}"} for number in range(3)))

    answer = undo_over(api, batch)

    assert (answer.status_code, answer.json()["status"], Lead.objects.count()) == (202, "running", 3)
    job = ProcrastinateJob.objects.get(task_name__endswith="go_on_undoing")
    jobs.go_on_undoing(**job.args)
    assert Lead.objects.count() == 0
    assert api.get(f"/api/v1/imports/{batch.pk}/undo").json()["progress"] == 100


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_it_goes_in_chunks_and_is_taken_up_where_it_was_left(member, size):
    known = [make_lead(member.workspace, external_id=f"K{number}", name="old") for number in range(3)]
    before = content(member.workspace)
    rows = [{"external_id": lead.external_id, "name": "new"} for lead in known]
    batch = bring(member.workspace, *rows, *({"name": f"Ann {number}"} for number in range(4)))

    undo = undoing.begin(f"import:{batch.pk}", workspace=member.workspace, by=Author("human"))
    progress = []
    while undo.status == Undo.Status.RUNNING:
        undo = undoing.begin(f"import:{batch.pk}", workspace=member.workspace, by=Author("human"))
        undoing.advance(undo, limit=size)
        progress.append(undo.progress)

    assert content(member.workspace) == before
    assert (undo.removed_count, undo.reverted_count, progress) == (4, 3, sorted(progress))


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one():
    workspace = make_workspace()
    batch = bring(workspace, *({"name": f"Ann {number}"} for number in range(50)))

    def take_back(_):
        try:
            undo = undoing.begin(f"import:{batch.pk}", workspace=workspace, by=Author("human"))
            while undo.status == Undo.Status.RUNNING:
                undoing.advance(undo, limit=7)
            return undo.removed_count
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(take_back, range(3)))

    assert counts == [50, 50, 50]
    assert (Lead.objects.count(), Undo.objects.count()) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_one_that_is_killed_goes_on_where_it_was(tmp_path):
    workspace = make_workspace()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["external_id", "name"])
    writer.writerows([number, f"Ann {number}"] for number in range(60_000))
    path = tmp_path / "leads.csv"
    path.write_text(out.getvalue())
    call_command("import_leads", str(path), workspace=str(workspace.pk), stdout=io.StringIO())
    batch = ImportBatch.objects.get()
    url = f"{django_settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "undo_import", str(batch.pk)], cwd=ROOT, env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while Lead.objects.count() == 60_000:
        assert time.monotonic() < end
        time.sleep(0.005)

    process.send_signal(signal.SIGKILL)
    process.wait()
    left = Lead.objects.count()
    undo = undone(f"import:{batch.pk}", workspace)

    assert 0 < left < 60_000
    assert (Lead.objects.count(), undo.removed_count, undo.kept_count) == (0, 60_000, 0)


# The command --------------------------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_did(member):
    batch = bring(member.workspace, {"name": "Ann"}, {"name": "Bob"})
    lead = Lead.objects.order_by("id").first()
    editing.update(lead.pk, {"city": "York"}, workspace=member.workspace, by=Author("human"))
    out = io.StringIO()

    call_command("undo_import", batch.pk, stdout=out)

    assert out.getvalue() == (
        f"import {batch.pk} undone: 1 removed, 0 changed back, 1 kept\nkept: lead {lead.pk}: changed\n"
    )
    with pytest.raises(CommandError, match="undone already"):
        call_command("undo_import", batch.pk)
    with pytest.raises(CommandError, match="no import 999"):
        call_command("undo_import", 999)
    assert KeptLead.objects.count() == 1
