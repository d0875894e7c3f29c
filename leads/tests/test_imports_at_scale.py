"""Large files: memory, time, and what is left of an import that is killed."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from openpyxl import Workbook

from accounts.tests.factories import make_workspace
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource
from leads.models import ImportBatch, Lead
from zevix.models import Event

ROOT = Path(__file__).resolve().parent.parent.parent

MEASURED = """
import sys, django
django.setup()
from django.core.management import call_command
try:
    call_command("import_leads", sys.argv[1], "--workspace", sys.argv[2])
finally:
    print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def start(path, workspace, program=("manage.py", "import_leads")):
    """The command in a process of its own, on the database of the tests."""
    url = f"{settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    return subprocess.Popen(
        [sys.executable, *program, str(path), *(["--workspace"] if "manage.py" in program else []), str(workspace.pk)],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def staging():
    """The connections on which an import is under way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query LIKE 'COPY leads_stage%%'"
        )
        return [pid for (pid,) in cursor.fetchall()]


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_an_import_that_is_killed_leaves_nothing_behind(tmp_path):
    workspace = make_workspace()
    path = tmp_path / "leads.csv"
    path.write_text("external_id,name\n" + "".join(f"{number},Ann\n" for number in range(300_000)))

    process = start(path, workspace)
    until(staging)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not staging())

    assert process.returncode == -signal.SIGKILL
    assert [model.objects.count() for model in (Lead, ImportBatch, Event)] == [0, 0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["leads.csv"]


@pytest.mark.django_db(transaction=True)
def test_the_process_exits_with_1_when_rows_were_rejected(tmp_path):
    workspace = make_workspace()
    path = tmp_path / "leads.csv"
    path.write_text("name,email,Room\nAnn,ann@practice.example,1\nBob,nowhere,2\n,,3\n")

    process = start(path, workspace)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out.count("imported 1 of 3 rows")) == (1, 1)
    assert err == (
        f"{path}:3: email: This is no e-mail address.\n{path}:4: It does not tell who the lead is.\n"
        f"All 2 rejected rows: {path}.errors.csv\n"
    )


HEADER = ["external_id", "name", "email", "phone", "address", "city", "notes", "Room"]


def rows_of(count):
    """One in ten is to be rejected."""
    for number in range(count):
        email = "nowhere" if number % 10 == 0 else f"ann{number}@practice.example"
        yield [number, f"Ann {number}", email, "(330) 797-0070", f"{number} Main St", "York", "note " * 20, number]


def write_csv(path, count):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows_of(count)])


def write_workbook(path, count):
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in (HEADER, *rows_of(count)):
        sheet.append(row)
    book.save(path)


def peak(path, rows, workspace):
    """The most memory that the import of so many rows holds, in KiB."""
    out, _err = start(path, workspace, ["-c", MEASURED]).communicate(timeout=120)
    assert f"imported {rows - rows // 10} of {rows} rows" in out
    return int(out.split()[-1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("write", "name"), [(write_csv, "leads.csv"), (write_workbook, "leads.xlsx")])
def test_ten_times_the_rows_take_no_more_memory(tmp_path, write, name):
    workspace = make_workspace()
    peaks = []

    for rows in (3_000, 30_000):
        write(tmp_path / name, rows)
        peaks.append(peak(tmp_path / name, rows, workspace))

    assert peaks[1] < peaks[0] * 1.15


@pytest.mark.django_db
@pytest.mark.parametrize(
    "line",
    [
        "{number},none@practice.example,,",
        ",a{number}@practice.example,1000000001,1 Main St",
        ",,1000000001,{number} Main St",
        "1,a{number}@practice.example,,",
    ],
)
def test_a_key_that_a_whole_file_shares_costs_no_more_than_many(member, line):
    def seconds(line):
        text = "external_id,email,npi,address\n" + "\n".join(line.format(number=number) for number in range(6_000))
        begun = time.perf_counter()
        importing.run(CsvSource(io.BytesIO(text.encode())), Options(), workspace=member.workspace)
        return time.perf_counter() - begun

    shared = [seconds(line) for _ in range(2)]  # the second finds what the first brought

    assert max(shared) < 5 * max(seconds("x{number},x{number}@practice.example,,") for _ in range(2))
