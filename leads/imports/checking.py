"""From the cells of a record to a lead's values, each checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.translation import gettext as _

from leads.imports.headings import JOINTS, PREFIXES, Mapping
from leads.imports.reading import Record
from leads.values import CLEANERS, IDENTIFYING, normalized_phone, zip_code

# what files write where they mean: nothing
_NOTHING = {"", "<unavail>", "n/a", "#n/a", "null", "k. a.", "k.a."}
_MAX_EXTRA = 65_536  # bytes


@dataclass(frozen=True)
class Problem:
    """Why a row is not imported."""

    field: str
    message: str


class Checker:
    """Turns records into rows for staging: a value for each of ``columns``, None where the file says nothing."""

    def __init__(self, mapping: Mapping) -> None:
        self.fields = list(mapping.columns)
        self.columns = [*self.fields, *(["phone_normalized"] if "phone" in self.fields else [])]
        if mapping.extra:
            self.columns.append("extra")
        self._extra = mapping.extra
        self._readers = [(field, _reader(field, found), CLEANERS[field]) for field, found in mapping.columns.items()]

    def check(self, record: Record) -> tuple[list[Any], list[Problem]]:
        """The row's values in the order of ``columns``, and what is wrong with it; one or the other is empty."""
        if record.problem:
            return [], [Problem("", record.problem)]
        values: dict[str, Any] = {}
        problems = []
        for field, read, clean in self._readers:
            written = read(record.cells)
            if written is None:
                continue
            try:
                values[field] = clean(written)
            except ValueError as error:
                problems.append(Problem(field, str(error)))
        if not problems:
            self._complete(values, record, problems)
        return ([], problems) if problems else ([values.get(column) for column in self.columns], [])

    def _complete(self, values: dict[str, Any], record: Record, problems: list[Problem]) -> None:
        if not any(values.get(field) for field in IDENTIFYING):
            problems.append(Problem("", _("It does not tell who the lead is.")))
            return
        country, state = values.get("country") or "", values.get("state") or ""
        if values.get("zip_code"):
            values["zip_code"] = zip_code(values["zip_code"], state=state, country=country)
        if values.get("phone"):
            values["phone_normalized"] = normalized_phone(values["phone"], country)
        if self._extra:
            extra = orjson.dumps(self._custom(record.cells), default=str)
            if len(extra) > _MAX_EXTRA or b"\\u0000" in extra:
                problems.append(Problem("extra", _("The columns that are no fields hold too much, or no text.")))
            values["extra"] = extra.decode()

    def _custom(self, cells: list[Any]) -> dict[str, Any]:
        return {
            name: value
            for index, name in self._extra
            if (value := cells[index]) is not None and not (isinstance(value, str) and _is_nothing(value))
        }


def _is_nothing(written: str) -> bool:
    return written.strip().lower() in _NOTHING


def _reader(field: str, found: list[tuple[int, int]]) -> Callable[[list[Any]], Any]:
    """How a field is read from a row's cells; None where they say nothing."""
    if len(found) == 1 and (field, found[0][1]) not in PREFIXES:
        only = found[0][0]
        return lambda cells: _content(cells[only])
    joint = JOINTS.get(field, " ")

    def joined(cells: list[Any]) -> Any:
        parts = [
            PREFIXES.get((field, part), "") + str(value)
            for index, part in found
            if (value := _content(cells[index])) is not None
        ]
        return joint.join(parts) if parts else None

    return joined


def _content(cell: Any) -> Any:
    """A cell's content: text trimmed, None for nothing; JSON's other values as they are."""
    if isinstance(cell, str):
        trimmed = cell.strip()
        return None if trimmed.lower() in _NOTHING else trimmed
    if isinstance(cell, dict):
        return orjson.dumps(cell).decode()
    return cell if cell not in (None, []) else None
