"""From the cells of a record to a lead's values, each checked."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from leads.custom_fields import PREFIX, Definitions, InvalidValues
from leads.imports.headings import JOINTS, PREFIXES, SPLIT, Mapping
from leads.imports.reading import Record, Unreadable
from leads.values import IDENTIFYING, LISTS, YES_OR_NO, cleaners, custom_fields, normalized_phone, zip_code

# what files write where they mean: nothing
_NOTHING = {"", "-", "–", "—", "<unavail>", "n/a", "#n/a", "null", "k. a.", "k.a."}


@dataclass(frozen=True)
class Problem:
    """Why a row is not imported."""

    field: str
    message: str


class Checker:
    """Turns records into rows for staging: a value for each of ``columns``, None where the file says nothing.

    Dates and numbers are read as ``locale`` writes them; without one, what could be two is an error. ``custom`` are the columns
    that are custom fields, with their keys: that of a definition where the heading is its key or label.
    """

    def __init__(self, mapping: Mapping, definitions: Definitions, locale: str = "") -> None:
        self.fields = list(mapping.columns)
        self.columns = [*self.fields, *(["phone_normalized"] if "phone" in self.fields else [])]
        if mapping.extra:
            self.columns.append("extra")
        self.custom = _keys(mapping.extra, definitions)
        self._definitions, self._locale = definitions, locale
        clean = cleaners(locale)
        self._readers = [(field, _reader(field, found), clean[field]) for field, found in mapping.columns.items()]

    def check(self, record: Record) -> tuple[list[Any], list[Problem]]:
        """The row's values in the order of ``columns``, and what is wrong with it; one or the other is empty."""
        if record.problem:
            return [], [Problem("", record.problem)]
        values: dict[str, Any] = {}
        problems = []
        for field, read, clean in self._readers:
            try:
                written = read(record.cells)
                if written is None:
                    continue
                value = clean(written)
            except ValueError as error:
                problems.append(Problem(field, str(error)))
                continue
            if value or value == 0:  # 0 and False are something; "" and [] are what separators alone come to
                values[field] = value
        if not problems:
            self._complete(values, record, problems)
        return ([], problems) if problems else ([values.get(column) for column in self.columns], [])

    def _complete(self, values: dict[str, Any], record: Record, problems: list[Problem]) -> None:
        if not any(values.get(field) for field in IDENTIFYING):
            problems.append(Problem("", _("It does not tell who the lead is.")))
            return
        country, state = values.get("country") or "", values.get("state") or ""
        if "zip_code" in values:
            values["zip_code"] = zip_code(values["zip_code"], state=state, country=country)
        if "phone" in values:
            values["phone_normalized"] = normalized_phone(values["phone"], country)
        if self.custom:
            try:
                values["extra"] = self._custom_fields(record.cells)
            except InvalidValues as error:
                problems += [Problem(f"{PREFIX}{key}", sentence) for key, sentence in error.problems.items()]
            except ValueError as error:
                problems.append(Problem("extra", str(error)))

    def _custom_fields(self, cells: list[Any]) -> str | None:
        """The columns that are no fields, as a JSON object; None where they say nothing."""
        said = {}
        for index, key in self.custom:
            value = cells[index]
            if isinstance(value, Unreadable):
                raise InvalidValues({key: value.reason})
            if value not in (None, "") and not (isinstance(value, str) and _is_nothing(value)):
                said[key] = value
        kept = {key: value for key, value in self._definitions.clean(said, self._locale).items() if value is not None}
        return custom_fields(kept).decode() if kept else None


def _keys(extra: list[tuple[int, str]], definitions: Definitions) -> list[tuple[int, str]]:
    """The columns by their keys. Of two that mean one, the one that is named by the key itself has it, else the first."""
    taken = {name for _index, name in extra}
    keys = []
    for index, name in extra:
        key = definitions.key_for(name)
        if key != name and key in taken:
            key = name
        taken.add(key)
        keys.append((index, key))
    return keys


def _is_nothing(written: str) -> bool:
    return written.strip().lower() in _NOTHING


def _reader(field: str, found: list[tuple[int, int]]) -> Callable[[list[Any]], Any]:
    """How a field is read from a row's cells: None where they say nothing, ValueError for what no such field can hold."""
    only, part = found[0]
    if part == SPLIT:
        return lambda cells: _of_two(_content(cells[only]), field)
    if len(found) == 1 and (field, part) not in PREFIXES:
        return lambda cells: _content(cells[only], field)
    joint = JOINTS.get(field, " ")

    def joined(cells: list[Any]) -> Any:
        parts = [(part, value) for index, part in found if (value := _content(cells[index])) is not None]
        if all((field, part) in PREFIXES for part, _value in parts):
            return None  # an extension alone is no phone number
        return joint.join(PREFIXES.get((field, part), "") + str(value) for part, value in parts)

    return joined


_ZIP_CODE_IN_FRONT = re.compile(r"((?:[A-Z]{1,2}-)?[0-9][0-9-]{3,9})[ ,]+(.+)")


def _of_two(content: Any, field: str) -> str | None:
    """The ZIP code or the city of “01067 Dresden”. What has no code in front is the city."""
    if content is None:
        return None
    found = _ZIP_CODE_IN_FRONT.fullmatch(str(content))
    zip_code, city = found.groups() if found else (None, str(content))
    return zip_code if field == "zip_code" else city


def _content(cell: Any, field: str = "") -> Any:
    """A cell's content: text trimmed, None for nothing; of JSON's other values those that ``field`` may hold."""
    if isinstance(cell, Unreadable):
        raise ValueError(cell.reason)
    if isinstance(cell, str):
        trimmed = cell.strip()
        return None if trimmed.lower() in _NOTHING else trimmed
    if cell is None or cell in ([], {}):
        return None
    if (
        isinstance(cell, dict)
        or (isinstance(cell, list) and field not in LISTS)
        or (isinstance(cell, bool) and field not in YES_OR_NO)
    ):
        raise ValueError(_("This is of the wrong type."))
    return cell
