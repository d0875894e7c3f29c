"""Large files: taken in by the request, imported by a worker.

The file waits in the database, in pieces, for the worker may run on another machine; and it is there if, and only if, the job is.
"""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.models import Membership
from leads.history import Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import Incoming, Source
from leads.models import ImportBatch, ImportPiece
from zevix import events
from zevix.errors import Forbidden, Refusal

_PIECE = 1024 * 1024  # bytes
_TOLD_EVERY = 2  # seconds
_IN_MEMORY = 8 * 1024 * 1024  # bytes
_OPEN = (ImportBatch.Status.QUEUED, ImportBatch.Status.RUNNING)


def is_long(source: Source) -> bool:
    """Whether there are more rows than are imported while somebody waits."""
    return next(islice(source.records(), settings.IMPORT_INLINE_ROWS, None), None) is not None


@transaction.atomic
def queue(incoming: Incoming, source: Source, options: Options, *, by: Membership) -> ImportBatch:
    """Keep the file and have a worker import it; ``source`` is its table. Raises what `Options.columns` raises."""
    from leads.jobs import run_import

    mapping = options.columns(source, by.workspace)
    batch = ImportBatch.objects.create(
        workspace=by.workspace,
        user=by.user,
        file_name=incoming.name,
        mode=options.mode,
        header=mapping.header,
        mapping=mapping.by_heading(),
        status=ImportBatch.Status.QUEUED,
        options={
            **source.found,
            "locale": options.locale,
            "match_on": list(options.match_on),
            "dry_run": options.dry_run,
            "given_mapping": options.mapping,
            "is_json": incoming.is_json,
            "language": translation.get_language() or settings.LANGUAGE_CODE,
        },
    )
    incoming.file.seek(0)
    for number, data in enumerate(iter(lambda: incoming.file.read(_PIECE), b"")):
        ImportPiece.objects.create(batch=batch, number=number, data=data)
    _tell(batch)
    run_import.configure(lock=f"import:{by.workspace_id}").defer(batch_id=batch.pk)
    return batch


def work(batch: ImportBatch) -> None:
    """Import a queued file. What can't be imported leaves the batch failed, with the sentence; a lost database leaves it to the
    next try.
    """
    if batch.status not in _OPEN:
        return
    with translation.override(batch.options["language"]):
        try:
            _import(batch)
        except Refusal as refusal:
            _fail(batch, sentences(refusal))
        except OperationalError:
            raise
        except Exception:
            _fail(batch, _("Something went wrong on our side. It has been noted."))
            raise


def sentences(refusal: Refusal) -> str:
    """A refusal in one line, with what it says about single options."""
    fields = [f"{name}: {sentence}" for name, said in (refusal.fields or {}).items() for sentence in said]
    return " ".join([str(refusal), *fields])


def _import(batch: ImportBatch) -> None:
    told = batch.options
    options = Options(
        mapping=told["given_mapping"], mode=batch.mode, match_on=told["match_on"], locale=told["locale"], dry_run=told["dry_run"]
    )  # fmt: skip
    found = {name: told.get(name, "") for name in ("encoding", "delimiter", "sheet")}
    with Teller(batch) as teller, transaction.atomic():
        # a job that was taken for dead may still be at it: whoever has the first piece imports, and nobody finds it afterwards
        if not batch.pieces.select_for_update().filter(number=0).values_list("pk", flat=True)[:1]:
            return
        with _put_together(batch) as file:
            incoming = Incoming(file, batch.file_name, is_json=told["is_json"], **found)
            importing.go_on(batch, incoming.table(), options, by=_author(batch), progress=teller.tell)
        batch.pieces.all().delete()


def _author(batch: ImportBatch) -> Author:
    """Whoever sent the file, with the role that they have now."""
    member = Membership.objects.filter(workspace=batch.workspace_id, user=batch.user_id).first()
    if member is None:
        raise Forbidden
    return Author.of(member, "import")


@contextmanager
def _put_together(batch: ImportBatch) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        for data in batch.pieces.order_by("number").values_list("data", flat=True).iterator(chunk_size=4):
            file.write(data)
        yield file


@transaction.atomic
def _fail(batch: ImportBatch, why: str) -> None:
    batch.status, batch.failure, batch.finished_at = ImportBatch.Status.FAILED, why, timezone.now()
    batch.save(update_fields=["status", "failure", "finished_at"])
    batch.pieces.all().delete()
    _tell(batch)


def _tell(batch: ImportBatch, progress: int = 0) -> None:
    said = {"import_batch_id": batch.pk, "status": batch.status, "progress": progress}
    events.record(batch.workspace_id, "import.progress", said)


class Teller:
    """Tells how far an import is, every two seconds at most.

    Nobody sees what the import's transaction writes before its end, so a thread of its own writes this, on a connection of its own.
    The import itself only refers to the batch's row, and changes it last of all: neither waits for the other.
    """

    def __init__(self, batch: ImportBatch) -> None:
        self._batch = batch
        self._told, self._told_at = -1, 0.0

    def __enter__(self) -> "Teller":
        self._thread = ThreadPoolExecutor(1)
        self.tell(0)
        return self

    def __exit__(self, *_error: Any) -> None:
        self._thread.submit(lambda: connection.close()).result()  # named in the thread: it has one of its own
        self._thread.shutdown()

    def tell(self, percent: int) -> None:
        now = time.monotonic()
        if percent > self._told and now - self._told_at >= _TOLD_EVERY:
            self._told, self._told_at = percent, now
            self._thread.submit(self._write, percent).result()

    def _write(self, percent: int) -> None:
        with transaction.atomic():
            there = ImportBatch.objects.filter(pk=self._batch.pk, status__in=_OPEN)
            if there.update(status=ImportBatch.Status.RUNNING, progress=percent):
                self._batch.status = ImportBatch.Status.RUNNING
                _tell(self._batch, percent)
