"""Rows that PostgreSQL writes as JSON: a page of them passes through Python as text, without a dict or a conversion a value."""

from collections.abc import Sequence

from django.db import models
from django.db.models.expressions import RawSQL


def json_row(
    model: type[models.Model],
    columns: Sequence[str],
    aliases: dict[str, str] | None = None,
    computed: dict[str, str] | None = None,
) -> RawSQL:
    """An expression for ``.values_list()``: the row's columns (and ``aliases`` → column, ``computed`` → SQL) as a JSON object, in text.

    Times are written by `moment`.
    """
    table = model._meta.db_table
    times = {field.column for field in model._meta.fields if isinstance(field, models.DateTimeField)}

    def written(column: str) -> str:
        value = f"{table}.{column}"
        return moment(value) if column in times else value

    named = {column: column for column in columns} | (aliases or {})
    values = {name: written(column) for name, column in named.items()} | (computed or {})
    selected = ", ".join(f'{value} AS "{name}"' for name, value in values.items())
    sql = f"SELECT row_to_json(r)::text FROM (SELECT {selected}) AS r"
    return RawSQL(sql, [], output_field=models.TextField())


def moment(value: str) -> str:
    """SQL that writes a time as ISO 8601 in UTC with ``Z``: on Django's connections PostgreSQL writes ``2026-02-01 09:00:00+00``."""
    return f"replace(replace({value}::text, ' ', 'T'), '+00', 'Z')"
