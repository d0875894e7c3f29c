"""What an import would do, row by row, before anybody does it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads.custom_fields import Definitions
from leads.history import Author
from leads.imports import importing, remembering
from leads.imports.checking import Checker, Problem
from leads.imports.headings import IGNORED, Mapping
from leads.imports.importing import Options
from leads.imports.reading import Record, Source
from leads.imports.staging import Stage
from leads.models import ImportBatch

ROWS = 100
_COUNTED = 5_000  # rows; beyond them their number is estimated
_SAMPLES = 3
_LONGEST_SAMPLE = 200  # characters
_NOT_SHOWN = {"phone_normalized"}
_TIMES = ("next_action_at", "last_contact")


@dataclass(frozen=True)
class Column:
    """A column and what becomes of it: ``how`` is ``given``, ``remembered``, ``recognised``, ``extra`` or ``left_out``."""

    heading: str
    field: str | None
    custom_field: str | None
    how: str
    samples: list[str]


@dataclass(frozen=True)
class Fate:
    """What becomes of a row: ``create``, ``update``, ``unchanged``, ``skip`` or ``error``.

    ``changes`` are field → ``{"old", "new"}``; ``message`` says why a row is skipped.
    """

    row: int
    fate: str
    lead_id: int | None = None
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    message: str = ""
    errors: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Preview:
    found: dict[str, str]
    columns: list[Column]
    rows: list[Fate]
    total_rows_estimated: int


def preview(source: Source, options: Options, *, workspace: Workspace, by: Author) -> Preview:
    """The columns, and what an import of the first 100 rows alone would do; nothing is written, and no lead is locked.

    Raises what `importing.run` raises for a file or mapping that can't be used.
    """
    mapping = options.columns(source, workspace)
    checker = Checker(mapping, Definitions.of(workspace), options.locale)
    records = list(islice(source.records(), ROWS))
    told = options.mapping if options.mapping is not None else remembering.recall(workspace, source.header)
    by_whom = "remembered" if options.mapping is None else "given"
    return Preview(
        source.found,
        list(_columns(mapping, dict(checker.custom), records, told, by_whom)),
        sorted(_fates(records, checker, options, workspace, by), key=lambda fate: fate.row),
        _estimated(source),
    )


def _estimated(source: Source) -> int:
    count = sum(1 for _record in islice(source.records(), _COUNTED))
    return count if count < _COUNTED else max(count, round(count / (source.fraction or 1)))


def _columns(
    mapping: Mapping, custom: dict[int, str], records: list[Record], told: dict[str, str], by_whom: str
) -> Iterator[Column]:
    fields = {index: field for field, found in mapping.columns.items() for index, _part in found}
    for index, heading in enumerate(mapping.header):
        if told.get(heading) == IGNORED:
            how = "left_out"
        elif heading in told:
            how = by_whom
        else:
            how = "recognised" if index in fields else "extra"
        yield Column(heading, fields.get(index), custom.get(index), how, _samples(records, index))


def _samples(records: list[Record], index: int) -> list[str]:
    cells = (record.cells[index] for record in records if not record.problem and index < len(record.cells))
    said = dict.fromkeys(importing.storable(cell)[:_LONGEST_SAMPLE] for cell in cells)
    return list(islice(filter(str.strip, said), _SAMPLES))


def _fates(
    records: list[Record], checker: Checker, options: Options, workspace: Workspace, by: Author
) -> Iterator[Fate]:
    accepted, rejected = importing.sort(records, checker)
    for record, problems in rejected:
        yield Fate(record.row, "error", errors=problems)
    with transaction.atomic():
        stage = Stage(ImportBatch(workspace=workspace, mode=options.mode), checker.columns, options.match_on, by=by)
        stage.copy(accepted)
        stage.settle(alone=False)
        planned = stage.plan()
        transaction.set_rollback(True)
    reasons = importing.reasons()
    for row, leader, fate, lead_id, before, after in planned:
        if fate in reasons:
            yield Fate(row, "error", errors=[reasons[fate]])
        elif fate == "skipped":
            message = _("There is such a lead.") if lead_id else _("There is no such lead.")
            yield Fate(row, "skip", lead_id, message=message)
        elif fate == "collapsed":
            yield Fate(row, "skip", lead_id, message=_("It is the same lead as row {row}.").format(row=leader))
        else:
            yield _written(row, lead_id, before, after)


def _written(row: int, lead_id: int | None, before: dict[str, Any], after: dict[str, Any]) -> Fate:
    changes = {
        name: {"old": _shown(name, before.get(name)), "new": _shown(name, value)}
        for name, value in after.items()
        if name not in _NOT_SHOWN and value != before.get(name) and (lead_id or value not in ("", [], {}, None))
    }
    if lead_id is None:
        return Fate(row, "create", changes=changes)
    return Fate(row, "update" if changes else "unchanged", lead_id, changes)


def _shown(name: str, value: Any) -> Any:
    return value.removesuffix("+00:00") + "Z" if name in _TIMES and value else value
