"""An export of 50,000 leads as a file, in each format, beside a bare ``COPY`` of the same rows; and the memory that it takes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from script.benchmarks import installation, load
from script.benchmarks.report import ROUNDS, Row, progress, take_turns
from script.benchmarks.server import Server

if TYPE_CHECKING:
    from accounts.models import Membership
    from leads.models import Export

_LEADS, _FEW_LEADS = 50_000, 5_000
# what the formats cost beside the bare rows: texts made harmless, custom fields looked for, and for a workbook its XML, packed;
# loosely, since it is known from two cores alone that others were at work on too: 0.25, 0.18 and 0.33
_AT_LEAST = {"csv": 0.15, "xlsx": 0.1, "json": 0.15}


def measure(server: Server) -> list[Row]:
    progress(f"download: {_LEADS:,} leads as CSV, workbook and JSON …")
    member = installation.large()
    with _export(member, _LEADS) as many, _export(member, _FEW_LEADS) as few:
        return [*_rates(server, member, many), _memory(server, member, many, few)]


def _rates(server: Server, member: "Membership", export: "Export") -> list[Row]:
    """Leads a second, from the request to the last byte."""
    token = installation.token_of(member)
    paths = {kind: f"/api/v1/exports/{export.pk}/download?format={kind}" for kind in _AT_LEAST}
    paths["floor"] = f"/floor/download?export={export.pk}"

    def rate(name: str) -> float:
        begun = time.perf_counter()
        load.read(server.port, paths[name], token)
        return len(export.leads) / (time.perf_counter() - begun)

    for name in paths:
        rate(name)
    rounds = take_turns({name: partial(rate, name) for name in paths}, rounds=ROUNDS)
    return [
        Row(f"download {kind}", "bare COPY", "/s", rounds[kind], rounds["floor"], at_least=at_least)
        for kind, at_least in _AT_LEAST.items()
    ]


def _memory(server: Server, member: "Membership", many: "Export", few: "Export") -> Row:
    """The most that the server holds during a download in each format."""
    token = installation.token_of(member)

    def peak(export: "Export") -> float:
        with _watched(server) as held:
            for kind in _AT_LEAST:
                load.read(server.port, f"/api/v1/exports/{export.pk}/download?format={kind}", token)
        return max(held)

    peak(many)
    peaks = take_turns({"many": partial(peak, many), "few": partial(peak, few)}, rounds=3)
    return Row("download memory", f"{_FEW_LEADS:,} leads", "MiB", peaks["many"], peaks["few"], at_most=1.1)


@contextmanager
def _watched(server: Server) -> Iterator[list[float]]:
    """How much memory the server holds, again and again, as long as the block lasts."""
    held, over = [server.memory(installation.DATA_DIR / "postgres")], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            held.append(server.memory(installation.DATA_DIR / "postgres"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield held
    finally:
        over.set()
        watching.join()


@contextmanager
def _export(member: "Membership", count: int) -> Iterator["Export"]:
    """An export of leads that the workspace has paid for, as long as the block lasts."""
    from leads.models import Export, ExportedLead

    paid = ExportedLead.objects.for_workspace(member.workspace).order_by("lead_id")
    leads = list(paid.values_list("lead_id", flat=True)[:count])
    export = Export.objects.create(
        workspace=member.workspace, month="2000-01", leads=leads, new_count=count, duplicate_count=0, not_exported_count=0,
        unknown_count=0, used=count, limit=count,
    )  # fmt: skip
    try:
        yield export
    finally:
        export.delete()
