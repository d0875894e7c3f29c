"""The act of importing: one transaction, from the first row read to the event that tells of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

import orjson
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads import history
from leads.custom_fields import Definitions
from leads.distribution import distributing
from leads.errors import ExternalIdTaken, NothingMapped, NotYourLead
from leads.history import Author
from leads.imports import headings, remembering
from leads.imports.checking import Checker, Problem
from leads.imports.headings import Mapping
from leads.imports.matching import KEYS
from leads.imports.reading import Record, Source
from leads.imports.staging import Stage
from leads.models import ImportBatch, RejectedRow
from leads.signals import imported
from zevix import events

UNATTENDED = Author("import")  # by nobody who signed in: a command of the operator
_CHUNK = 1_000  # rows in memory at a time
SHOWN_ERRORS = 1_000
_ATTEMPTS = 3
_READ, _SETTLED, _WRITTEN = 40, 50, 98  # percent of the time that an import takes, about


@dataclass(frozen=True)
class Options:
    """How to import.

    ``mapping`` is column → field, for columns that are not recognised or to be left out (``""``). None is what the workspace gave
    last for a file with these columns; whatever is given is remembered for the next such file, and an empty one forgets.
    ``locale`` (of `leads.numbers.LOCALES`) tells how dates and numbers are written.
    """

    mapping: dict[str, str] | None = None
    mode: str = ImportBatch.Mode.UPSERT
    match_on: Sequence[str] = KEYS
    locale: str = ""
    dry_run: bool = False

    def columns(self, source: Source, workspace: Workspace) -> Mapping:
        """Where the fields are. Raises NothingMapped when no column is one, ValidationFailed for a mapping that fits not."""
        given = self.mapping
        mapping = headings.match(
            source.header, remembering.recall(workspace, source.header) if given is None else given
        )
        if not mapping.columns:
            raise NothingMapped(fields={"mapping": [NothingMapped.message]})
        return mapping


Progress = Callable[[int], None]


class _DryRun(Exception):
    """Undoes everything that a dry run did."""


def run(
    source: Source,
    options: Options,
    *,
    workspace: Workspace,
    by: Author = UNATTENDED,
    file_name: str = "",
    progress: Progress = lambda percent: None,
) -> ImportBatch:
    """Import a table into a workspace; returns the batch with its counts, and its errors among ``rejected``.

    One bad row never stops the others. After a dry run the batch has no id, and nothing is written. An agent's import changes no
    lead of others, and what it brings is theirs. Raises NothingMapped when no column is a field, UnreadableFile when the file turns
    out to be unreadable, ExternalIdTaken when others keep on adding leads of this file meanwhile; then nothing is written.
    """

    def begin() -> ImportBatch:
        return ImportBatch(workspace=workspace, user_id=by.user_id, file_name=file_name, mode=options.mode)

    return _run(begin, source, options, by, progress)


def go_on(batch: ImportBatch, source: Source, options: Options, *, by: Author, progress: Progress) -> ImportBatch:
    """The same for a batch that waits for a worker. It stays, also after a dry run, with its counts and errors.

    Until all is done nobody sees any of it, and the batch's row is not locked against writing its progress.
    """
    return _run(lambda: ImportBatch.objects.get(pk=batch.pk), source, options, by, progress)


def _run(
    begin: Callable[[], ImportBatch], source: Source, options: Options, by: Author, progress: Progress
) -> ImportBatch:
    for _attempt in range(_ATTEMPTS):
        batch = begin()
        mapping = options.columns(source, batch.workspace)
        try:
            return _try(batch, source, mapping, options, by, progress)
        except IntegrityError as error:
            # somebody added a lead with an external id of this file at this very moment; the next try finds it
            if "leads_external_id_names_one_lead" not in str(error):
                raise
    raise ExternalIdTaken


def _try(
    batch: ImportBatch, source: Source, mapping: Mapping, options: Options, by: Author, progress: Progress
) -> ImportBatch:
    waited = batch.pk is not None
    batch.header, batch.mapping = mapping.header, mapping.by_heading()
    batch.options |= {
        **source.found,
        "locale": options.locale,
        "match_on": list(options.match_on),
        "dry_run": options.dry_run,
    }
    try:
        with transaction.atomic():
            if not waited:
                batch.save(force_insert=True)
            with history.written_by(by, f"import:{batch.pk}"):
                _import(batch, source, mapping, options, by, progress)
            batch.rejected = list(batch.row_errors.defer("cells")[:SHOWN_ERRORS])
            if options.dry_run and not waited:
                raise _DryRun
    except _DryRun:
        batch.pk = None
    return batch


def _import(
    batch: ImportBatch, source: Source, mapping: Mapping, options: Options, by: Author, progress: Progress
) -> None:
    checker = Checker(mapping, Definitions.of(batch.workspace_id), options.locale)
    stage = Stage(batch, checker.columns, options.match_on, by=by)
    records = source.records()
    while chunk := list(islice(records, _CHUNK)):
        batch.total_rows += len(chunk)
        accepted, rejected = sort(chunk, checker)
        stage.copy(accepted)
        _reject(batch, rejected)
        progress(int(_READ * source.fraction))
    refused = _apply(stage, options, progress)
    if refused:
        _reject(batch, _with_their_cells(source, refused))
    if options.mapping is not None and not options.dry_run:
        remembering.remember(batch.workspace, source.header, options.mapping)
    _finish(batch, stage)
    if stage.counts.created and not options.dry_run:
        distributing.many_arrived({"import": batch.pk}, workspace_id=batch.workspace_id, user_id=by.user_id)


def _apply(stage: Stage, options: Options, progress: Progress) -> dict[int, str]:
    with transaction.atomic():
        refused = stage.settle(alone=True)
        progress(_SETTLED)
        stage.write()
        progress(_WRITTEN)
        if options.dry_run:
            transaction.set_rollback(True)
    return refused


def sort(
    chunk: Iterable[Record], checker: Checker
) -> tuple[list[tuple[int, list[object]]], list[tuple[Record, list[Problem]]]]:
    """The rows to stage, and those that are rejected with their problems."""
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
    problems = reasons()
    for record in source.records():
        if record.row in refused:
            yield record, [problems[refused[record.row]]]


def reasons() -> dict[str, Problem]:
    """Why the database refuses a row, by the fate that it has there."""
    return {
        "torn": Problem("", _("Its keys name more than one lead.")),
        "taken": Problem("external_id", str(ExternalIdTaken.message)),
        "foreign": Problem("", str(NotYourLead.message)),
    }


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
                cells=[storable(cell) for cell in record.cells],
            )
            for record, problems in chunk
            for problem in problems
        )  # fmt: skip


def storable(cell: object) -> str:
    """A cell as text that PostgreSQL can keep, cut where it is beyond all measure."""
    if isinstance(cell, list) and all(isinstance(item, str | int | float) for item in cell):
        cell = "; ".join(map(str, cell))
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
    batch.status, batch.progress = ImportBatch.Status.COMPLETED, 100
    batch.finished_at = timezone.now()
    if _is_analyzed(batch):
        batch.ai_analysis = ImportBatch.Analysis.QUEUED
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


def _is_analyzed(batch: ImportBatch) -> bool:
    if batch.options["dry_run"] or batch.workspace.is_catalogue:
        return False
    return any(taken for _receiver, taken in imported.send(sender=ImportBatch, batch=batch))
