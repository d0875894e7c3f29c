"""The act of importing: one transaction, from the first row read to the event that tells of it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

import orjson
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads import history
from leads.errors import ExternalIdTaken, NothingMapped, NotYourLead
from leads.history import Author
from leads.imports import headings
from leads.imports.checking import Checker, Problem
from leads.imports.headings import Mapping
from leads.imports.matching import KEYS
from leads.imports.reading import Record, Source
from leads.imports.staging import Stage
from leads.models import ImportBatch, RejectedRow
from zevix import events

UNATTENDED = Author("import")  # by nobody who signed in: a command of the operator
_CHUNK = 1_000  # rows in memory at a time
_SHOWN_ERRORS = 1_000
_ATTEMPTS = 3


@dataclass(frozen=True)
class Options:
    """How to import. ``mapping`` is column → field, for columns that are not recognised or to be left out (``""``)."""

    mapping: dict[str, str] = field(default_factory=dict)
    mode: str = ImportBatch.Mode.UPSERT
    match_on: Sequence[str] = KEYS
    dry_run: bool = False


class _DryRun(Exception):
    """Undoes everything that a dry run did."""


def run(
    source: Source, options: Options, *, workspace: Workspace, by: Author = UNATTENDED, file_name: str = ""
) -> ImportBatch:
    """Import a table into a workspace; returns the batch with its counts, and its errors among ``rejected``.

    One bad row never stops the others. After a dry run the batch has no id, and nothing is written.
    An agent's import
    changes no lead of others, and what it brings is theirs. Raises NothingMapped when no column is a field, NotACsv when the file turns out to be unreadable, ExternalIdTaken when others
    keep on adding leads of this file meanwhile; then nothing is written.
    """
    mapping = headings.match(source.header, options.mapping)
    if not mapping.columns:
        raise NothingMapped(fields={"mapping": [NothingMapped.message]})
    for _attempt in range(_ATTEMPTS):
        batch = ImportBatch(
            workspace=workspace, user_id=by.user_id, file_name=file_name, mode=options.mode,
            header=mapping.header, mapping=mapping.by_heading(),
        )  # fmt: skip
        try:
            return _run(batch, source, mapping, options, by)
        except IntegrityError as error:
            # somebody added a lead with an external id of this file at this very moment; the next try finds it
            if "leads_external_id_names_one_lead" not in str(error):
                raise
    raise ExternalIdTaken


def _run(batch: ImportBatch, source: Source, mapping: Mapping, options: Options, by: Author) -> ImportBatch:
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
            with history.written_by(by, f"import:{batch.pk}"):
                _import(batch, source, mapping, options, by)
            batch.rejected = list(batch.row_errors.defer("cells")[:_SHOWN_ERRORS])
            if options.dry_run:
                raise _DryRun
    except _DryRun:
        batch.pk = None
    return batch


def _import(batch: ImportBatch, source: Source, mapping: Mapping, options: Options, by: Author) -> None:
    checker = Checker(mapping)
    stage = Stage(batch, checker.columns, options.match_on, by=by)
    records = source.records()
    while chunk := list(islice(records, _CHUNK)):
        batch.total_rows += len(chunk)
        accepted, rejected = _sort(chunk, checker)
        stage.copy(accepted)
        _reject(batch, rejected)
    refused = stage.apply()
    if refused:
        _reject(batch, _with_their_cells(source, refused))
    _finish(batch, stage)


def _sort(
    chunk: list[Record], checker: Checker
) -> tuple[list[tuple[int, list[object]]], list[tuple[Record, list[Problem]]]]:
    accepted, rejected = [], []
    for record in chunk:
        values, problems = checker.check(record)
        if problems:
            rejected.append((record, problems))
        else:
            accepted.append((record.row, values))
    return accepted, rejected


def _with_their_cells(source: Source, refused: dict[int, str]) -> Iterator[tuple[Record, list[Problem]]]:
    """Read the file once more for the rows that the database refused: it has their lines, not their cells."""
    problems = {
        "torn": Problem("", _("Its keys name more than one lead.")),
        "taken": Problem("external_id", str(ExternalIdTaken.message)),
        "foreign": Problem("", str(NotYourLead.message)),
    }
    for record in source.records():
        if record.row in refused:
            yield record, [problems[refused[record.row]]]


def _reject(
    batch: ImportBatch,
    rejected: "Iterator[tuple[Record, list[Problem]]] | list[tuple[Record, list[Problem]]]",
) -> None:
    rows = iter(rejected)
    while chunk := list(islice(rows, _CHUNK)):
        batch.error_count += len(chunk)
        RejectedRow.objects.bulk_create(
            RejectedRow(
                batch=batch, row=record.row, field=problem.field, message=problem.message,
                cells=[_storable(cell) for cell in record.cells],
            )
            for record, problems in chunk
            for problem in problems
        )  # fmt: skip


def _storable(cell: object) -> str:
    """A cell as text that PostgreSQL can keep, cut where it is beyond all measure."""
    if isinstance(cell, dict | list):
        try:
            cell = orjson.dumps(cell).decode()
        except TypeError:  # nested too deep
            return "…"
    return "" if cell is None else str(cell).replace("\x00", "")[:20_000]


def _finish(batch: ImportBatch, stage: Stage) -> None:
    counts = stage.counts
    batch.created_count, batch.updated_count = counts.created, counts.updated
    batch.unchanged_count, batch.skipped_count = counts.unchanged, counts.skipped
    batch.needs_action_count = counts.needs_action
    batch.without_last_contact_count = counts.without_last_contact
    batch.status = ImportBatch.Status.COMPLETED
    batch.finished_at = timezone.now()
    batch.save()
    events.record(
        batch.workspace_id,
        "import.progress",
        {
            "import_batch_id": batch.pk,
            "status": batch.status,
            "progress": 100,
            "errors": batch.error_count,
            **asdict(counts),
        },
    )
