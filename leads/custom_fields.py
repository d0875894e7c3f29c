"""Custom fields: what a workspace's leads may hold under which key of ``extra``.

A key without a definition holds whatever was sent. One with a definition holds what its kind allows: text; a number; a date as
``YYYY-MM-DD``; one of the choices; or yes or no.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from operator import or_
from typing import Any

import orjson
from django.db import IntegrityError, connection, transaction
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads import history
from leads.errors import FieldExists, ValuesDoNotFit
from leads.history import Author
from leads.models import CustomField
from leads.moments import moment
from leads.numbers import number
from leads.values import MAX_NOTES, boolean, text
from zevix import events

Kind = CustomField.Kind
PREFIX = "extra."  # of their names, where they stand among a lead's fields


class InvalidValues(ValueError):
    """Custom fields that can't be; ``problems`` names each key with a sentence."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(f"{key}: {sentence}" for key, sentence in problems.items()))
        self.problems = problems


# What a kind allows -------------------------------------------------------------------------------------------------------


def _text(value: Any, locale: str = "") -> str:
    if isinstance(value, bool | dict | list):
        raise ValueError(_("This is of the wrong type."))
    return text(MAX_NOTES)(value)


def _number(value: Any, locale: str = "") -> int | float:
    if isinstance(value, bool | dict | list):
        raise ValueError(_("This is no number."))
    found = number(value, locale)
    if abs(found) >= 2**63:
        raise ValueError(_("A number in it is too large."))
    return found


def _date(value: Any, locale: str = "") -> str:
    if not isinstance(value, str):
        raise ValueError(_("No date: write it as 2024-11-20."))
    return moment(value, locale).date().isoformat()


def _boolean(value: Any, locale: str = "") -> bool:
    if isinstance(value, dict | list | float):
        raise ValueError(_("Yes or no."))
    return boolean(value)


def _choice(value: Any, locale: str = "", *, choices: Sequence[str]) -> str:
    wanted = str(value).strip().casefold()
    for choice in choices:
        if choice.casefold() == wanted:
            return choice
    raise ValueError(_("One of {choices}.").format(choices=", ".join(choices)))


_CLEANERS: dict[str, Callable[..., Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.BOOLEAN: _boolean,
}


@dataclass(frozen=True)
class Definition:
    key: str
    label: str
    kind: str
    choices: Sequence[str] = ()

    def clean(self, value: Any, locale: str = "") -> Any:
        """What is kept of a value that was written; None of a blank one. Raises ValueError with a sentence."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        return self._cleaner(value, locale)

    @cached_property
    def _cleaner(self) -> Callable[..., Any]:
        return partial(_choice, choices=self.choices) if self.kind == Kind.CHOICE else _CLEANERS[self.kind]


# The definitions of a workspace -------------------------------------------------------------------------------------------


class Definitions:
    """All of a workspace's definitions, read once."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.by_key = {definition.key: definition for definition in definitions}

    @classmethod
    def of(cls, workspace: Workspace | int) -> "Definitions":
        rows = CustomField.objects.for_workspace(workspace).order_by("position", "id")
        return cls([Definition(*row) for row in rows.values_list("key", "label", "kind", "choices")])

    def key_for(self, heading: str) -> str:
        """The key that a column's heading means, by the key or the label; the heading itself where none does."""
        return self._by_name.get(heading.strip().casefold(), heading)

    @cached_property
    def _by_name(self) -> dict[str, str]:
        labels = {definition.label.strip().casefold(): key for key, definition in self.by_key.items()}
        return labels | {key: key for key in self.by_key}

    def clean(self, extra: Mapping[str, Any], locale: str = "") -> dict[str, Any]:
        """The same fields, as they are kept. Blank values of defined keys are None. Raises InvalidValues."""
        cleaned, problems = dict(extra), {}
        for key in extra.keys() & self.by_key.keys():
            try:
                cleaned[key] = self.by_key[key].clean(extra[key], locale)
            except ValueError as error:
                problems[key] = str(error)
        if problems:
            raise InvalidValues(dict(sorted(problems.items())))
        return cleaned

    # Filters

    def condition(self, name: str, values: Sequence[str]) -> Q:
        """What ``extra.<name>`` asks of leads: to hold any of the values; ``<key>.min`` and ``<key>.max`` ask for a range.

        Raises ValueError with a sentence.
        """
        key, _dot, bound = name.rpartition(".")
        if bound in ("min", "max") and name not in self.by_key:
            return self._bounded(key, ">=" if bound == "min" else "<=", values)
        definition = self.by_key.get(name)
        wanted: list[Any] = [definition.clean(value) for value in values] if definition else _as_written(values)
        return reduce(or_, (Q(extra__contains={name: value}) for value in wanted))

    def _bounded(self, key: str, comparison: str, values: Sequence[str]) -> Q:
        definition = self.by_key.get(key)
        if definition is None or definition.kind not in (Kind.NUMBER, Kind.DATE):
            raise ValueError(_("There is no number or date with this key."))
        if len(values) > 1:
            raise ValueError(_("Give one value."))
        path = f"$.{orjson.dumps(key).decode()} {comparison} {orjson.dumps(definition.clean(values[0])).decode()}"
        return Q(_Holds(F("extra"), Value(path)))


class _Holds(Func):
    """Whether a JSON value is as a path has it; where it is of another type than the path compares with, it is not."""

    template, arg_joiner, output_field = "(%(expressions)s::jsonpath)", " @@ ", BooleanField()


def _as_written(values: Sequence[str]) -> list[Any]:
    """What a key without a definition may hold for these texts: they, or the number or yes and no that is written so."""
    found: list[Any] = list(values)
    for value in values:
        try:
            read = orjson.loads(value)
        except orjson.JSONDecodeError:
            continue
        if isinstance(read, bool | int | float) and abs(read) < 2**63:
            found.append(read)
    return found


def checked_choices(kind: str, choices: Sequence[str]) -> list[str]:
    """The choices of a field of this kind, each once. Raises ValueError with a sentence."""
    distinct: dict[str, str] = {}
    for choice in filter(None, map(str.strip, choices)):
        distinct.setdefault(choice.casefold(), choice)
    if kind == Kind.CHOICE and not distinct:
        raise ValueError(_("Give at least one choice."))
    if kind != Kind.CHOICE and distinct:
        raise ValueError(_("Only a choice has choices."))
    return list(distinct.values())


# Defining -----------------------------------------------------------------------------------------------------------------


@transaction.atomic
def define(fields: dict[str, Any], *, workspace: Workspace, by: Author) -> CustomField:
    """Define a field. What leads hold under its key already is rewritten as its kind has it: ``"1.234,5"`` becomes a number.

    Raises FieldExists; ValuesDoNotFit where leads hold what can't be read so, and then nothing is changed.
    """
    try:
        with transaction.atomic():
            field = CustomField.objects.create(workspace=workspace, **fields)
    except IntegrityError:
        raise FieldExists
    _fit(field, by)
    return field


@transaction.atomic
def redefine(field: CustomField, changes: dict[str, Any], *, by: Author) -> None:
    """Change a definition; another kind, or other choices, rewrite what leads hold. Raises ValuesDoNotFit."""
    before = (field.kind, field.choices)
    for name, value in changes.items():
        setattr(field, name, value)
    field.save(update_fields=list(changes))
    if (field.kind, field.choices) != before:
        _fit(field, by)


def forget(fields: QuerySet[CustomField]) -> int:
    """Delete definitions; returns how many there were. What leads hold under their keys stays."""
    return fields.delete()[0]


_HELD = """
    SELECT (extra -> %(key)s)::text, count(*) FROM leads_lead
    WHERE workspace_id = %(workspace)s AND extra ? %(key)s GROUP BY extra -> %(key)s
"""
_REWRITTEN = """
    FROM unnest(%(old)s::text[]::jsonb[], %(new)s::text[]::jsonb[]) AS value (old, new)
    WHERE workspace_id = %(workspace)s AND extra ? %(key)s AND extra -> %(key)s = value.old
"""
_LOCK = """
    SELECT count(*) FROM (
        SELECT FROM leads_lead WHERE workspace_id = %(workspace)s AND extra ? %(key)s AND extra -> %(key)s = ANY(%(old)s::text[]::jsonb[])
        ORDER BY id FOR UPDATE
    ) AS l
"""
_REWRITE = f"""
    UPDATE leads_lead SET extra = CASE
        WHEN value.new = 'null' THEN extra - %(key)s ELSE jsonb_set(extra, ARRAY[%(key)s], value.new)
    END {_REWRITTEN}
"""


def _fit(field: CustomField, by: Author) -> None:
    """Rewrite what leads hold under the field's key, as its kind has it. Raises ValuesDoNotFit."""
    parameters: dict[str, Any] = {"key": field.key, "workspace": field.workspace_id}
    with connection.cursor() as cursor:
        cursor.execute(_HELD, parameters)
        rewritten = _rewritten(cursor.fetchall(), Definition(field.key, field.label, field.kind, field.choices))
    if not rewritten:
        return
    parameters |= {"old": list(rewritten), "new": list(rewritten.values())}
    with history.written_by(by, f"field:{field.pk}"), connection.cursor() as cursor:
        cursor.execute(_LOCK, parameters)
        cursor.execute(_REWRITE, parameters)
        count = cursor.rowcount
    events.record(field.workspace_id, "lead.updated", {"count": count, "fields": ["extra"]})


def _rewritten(held: Iterable[tuple[str, int]], definition: Definition) -> dict[str, str]:
    """JSON value → the one that it becomes, for those that change. Raises ValuesDoNotFit with how many leads hold one that can't be read."""
    rewritten, misfits = {}, 0
    for written, count in held:
        old = orjson.loads(written)
        try:
            new = definition.clean(old)
        except ValueError:
            misfits += count
            continue
        if (type(new), new) != (type(old), old):
            rewritten[written] = orjson.dumps(new).decode()
    if misfits:
        raise ValuesDoNotFit(count=misfits)
    return rewritten
