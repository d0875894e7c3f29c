"""The import of a file of 100,000 rows, beside ``COPY`` through staging; each in a process of its own.

Run as a module this is such a process: ``python -m script.benchmarks.imports project|floor FILE`` prints its figures as JSON.
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from script.benchmarks import installation
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import ROOT

if TYPE_CHECKING:
    from accounts.models import Workspace

_ROWS, _FEW_ROWS = 100_000, 10_000
_SAMPLE = ROOT / "leads" / "demo" / "catalogue.csv"


def measure() -> list[Row]:
    """Into a table without leads, with the memory that it takes."""
    progress(f"import: {_ROWS:,} rows into a table without leads …")
    url, many, few = installation.small_database(), _file(_ROWS), _file(_FEW_ROWS)
    peaks: dict[Path, list[float]] = {many: [], few: []}

    def project(path: Path) -> float:
        installation.empty_small_database()
        figures = _in_a_process("project", path, url)
        peaks[path].append(figures["peak"])
        return figures["seconds"]

    def floor() -> float:
        installation.empty_small_database()
        return _in_a_process("floor", many, url)["seconds"]

    rounds = take_turns({"project": lambda: project(many), "floor": floor, "few": lambda: project(few)})
    return [
        Row("import", "COPY through staging", "s", rounds["project"], rounds["floor"], at_most=3),
        Row("import memory", f"{_FEW_ROWS:,} rows", "MiB", peaks[many], peaks[few], at_most=1.1),
    ]


def measure_large() -> list[Row]:
    """Into the table of a million leads, into a workspace of its own."""
    progress(f"import-large: {_ROWS:,} rows into a table of 1,000,000 leads …")
    url, path = installation.large_database(), _file(_ROWS)

    def seconds(which: str) -> float:
        figures = _in_a_process(which, path, url)
        installation.forget_passing_workspaces()
        installation.vacuum()
        return figures["seconds"]

    rounds = take_turns({which: partial(seconds, which) for which in ("project", "floor")})
    return [Row("import-large", "COPY through staging", "s", rounds["project"], rounds["floor"], at_most=3)]


def measure_update() -> list[Row]:
    """The same rows once more, each with another phone number and another note, into the leads that they made."""
    progress(f"import-update: {_ROWS:,} rows that change a lead each …")
    url, first, changed = installation.small_database(), _file(_ROWS), _changed_file(_ROWS)

    def update() -> float:
        installation.empty_small_database()
        _in_a_process("project", first, url)
        return _in_a_process("again", changed, url)["seconds"]

    def insert() -> float:
        installation.empty_small_database()
        return _in_a_process("project", first, url)["seconds"]

    rounds = take_turns({"update": update, "insert": insert})
    return [Row("import-update", "insert", "s", rounds["update"], rounds["insert"], at_most=3)]


def measure_undo() -> list[Row]:
    """The undo of an import that brought the rows, and of one that changed them, beside the import itself."""
    progress(f"undo: an import of {_ROWS:,} rows …")
    url, first, changed = installation.small_database(), _file(_ROWS), _changed_file(_ROWS)
    imported: dict[str, list[float]] = {"created": [], "changed": []}

    def created() -> float:
        installation.empty_small_database()
        imported["created"].append(_in_a_process("project", first, url)["seconds"])
        return _in_a_process("undo", first, url)["seconds"]

    def changed_ones() -> float:
        installation.empty_small_database()
        _in_a_process("project", first, url)
        imported["changed"].append(_in_a_process("again", changed, url)["seconds"])
        return _in_a_process("undo", changed, url)["seconds"]

    rounds = take_turns({"created": created, "changed": changed_ones})
    return [
        Row("undo of new leads", "their import", "s", rounds["created"], imported["created"], at_most=1),
        Row("undo of changes", "their import", "s", rounds["changed"], imported["changed"], at_most=1),
    ]


def _changed_file(rows: int) -> Path:
    """The file once more, with other phone numbers and websites."""
    path = installation.DATA_DIR / "changed" / f"{rows}.csv"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".part")
        with (
            _file(rows).open(newline="", encoding="utf-8") as given,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            reader, writer = csv.DictReader(given), csv.writer(file)
            writer.writerow(reader.fieldnames or [])
            for number, row in enumerate(reader):
                row |= {"practice_phone": f"(440) 555-{number % 10_000:04}", "website": f"https://new{number}.example"}
                writer.writerow(row.values())
        unfinished.rename(path)
    return path


def _file(rows: int) -> Path:
    """A CSV file like the demo's, of as many leads as wanted, each with keys of its own."""
    path = installation.DATA_DIR / f"{rows}.csv"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows(_rows(rows))
        unfinished.rename(path)
    return path


def _rows(count: int) -> Iterator[list[str]]:
    with _SAMPLE.open(newline="", encoding="utf-8") as file:
        header, *sample = csv.reader(file)
    yield header
    for number in range(count):
        lead = dict(zip(header, sample[number % len(sample)], strict=True))
        name, _at, domain = lead["email"].partition("@")
        lead["external_id"] = f"F{number:07}"
        lead["npi"] = str(2_000_000_000 + number)
        lead["practice_name"] += f" {number // len(sample)}"
        lead["email"] = f"{name or 'office'}{number}@{domain or 'practice.example'}"
        yield list(lead.values())


def _in_a_process(which: str, path: Path, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "script.benchmarks.imports", which, str(path)]
    environment = {**os.environ, "DATABASE_URL": url}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["leads"] not in ({int(path.stem)} if which != "undo" else {0, int(path.stem)}):
        raise RuntimeError(f"{which} made {figures['leads']} leads of {path}.")
    return figures


# In the process -------------------------------------------------------------------------------------------------------------


def main(which: str, path: Path) -> None:
    import django

    django.setup()
    from django.db import connection

    from leads.models import Lead

    connection.ensure_connection()
    fresh = which in ("project", "floor")
    workspace = installation.passing_workspace().workspace if fresh else Lead.objects.earliest("id").workspace
    acts: dict[str, Callable[[Path, Workspace], None]] = {
        "project": _import, "floor": _copy, "again": _import, "undo": _undo,
    }  # fmt: skip
    act = acts[which]
    begun = time.perf_counter()
    act(path, workspace)
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "peak": _peak(), "leads": Lead.objects.for_workspace(workspace).count()}))


def _import(path: Path, workspace: "Workspace") -> None:
    from leads.imports import importing
    from leads.imports.reading import CsvSource

    with path.open("rb") as file:
        importing.run(CsvSource(file), importing.Options(), workspace=workspace, file_name=path.name)


def _undo(path: Path, workspace: "Workspace") -> None:
    from leads import undoing
    from leads.history import Author
    from leads.models import ImportBatch

    batch = ImportBatch.objects.for_workspace(workspace).latest("id")
    undoing.finish(undoing.begin(f"import:{batch.pk}", workspace=workspace, by=Author("human")))


_INSERT = """
    INSERT INTO leads_lead (workspace_id, source, external_id, npi, company, address, city, state, zip_code, phone, email, website,
                            entity_type, specialties, country)
    SELECT %s, 'import', external_id, npi, practice_name, address, city, state, zip_code, practice_phone, email, website,
           entity_type, string_to_array(specialties, ';'), country
    FROM bench_stage
"""


def _copy(path: Path, workspace: "Workspace") -> None:
    from django.db import connection, transaction

    with path.open(newline="", encoding="utf-8") as file, transaction.atomic(), connection.cursor() as cursor:
        rows = csv.reader(file)
        columns = ", ".join(f"{name} text" for name in next(rows))
        cursor.execute(f"CREATE TEMPORARY TABLE bench_stage ({columns}) ON COMMIT DROP")
        with cursor.copy("COPY bench_stage FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(_INSERT, [workspace.pk])


def _peak() -> float:
    """The most memory that this process has held, in MiB.

    Not `getrusage`: its maximum is handed down from the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
