"""Cursor pages: keyset, never OFFSET, so a page costs the same wherever it lies and rows that come in between shift nothing."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db.models import F, Field, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from orjson import Fragment
from rest_framework.request import Request

from zevix.api.json import dumps
from zevix.errors import ValidationFailed

DEFAULT_LIMIT, MAX_LIMIT = 50, 500


@dataclass(frozen=True)
class Cursor:
    """The last row seen (its values of the ordering's columns) and the direction to go on in."""

    backwards: bool
    position: list[Any]

    def encode(self) -> str:
        return base64.urlsafe_b64encode(dumps([self.backwards, self.position])).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, columns: Sequence[Field]) -> "Cursor":
        try:
            backwards, position = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if type(backwards) is not bool or len(position) != len(columns):
                raise ValueError
            values = [_value(column, value) for column, value in zip(columns, position, strict=True)]
        except (ValueError, TypeError, binascii.Error):
            raise ValidationFailed(fields={"cursor": [_("This is no cursor of this list.")]})
        return cls(backwards, values)


def _value(column: Field, value: Any) -> Any:
    if value is None and column.null:
        return None
    if isinstance(value, list | dict | bool) or value is None or "\x00" in str(value):
        raise ValueError
    if column.get_internal_type() == "DateTimeField":
        return _moment(str(value))
    try:
        return column.get_prep_value(value)
    except Exception as error:  # each field has errors of its own for a value that it can't take
        raise ValueError from error


def _moment(text: str) -> datetime:
    """A time as `dumps` writes it. In another zone, or in none, it would be one that the database can't take."""
    if not text.endswith("Z"):
        raise ValueError
    return datetime.fromisoformat(text)


def as_written(texts: list[str]) -> list[Any]:
    return [Fragment(text) for text in texts]


def page(
    rows: QuerySet,
    request: Request,
    *,
    row: RawSQL,
    ordering: Sequence[str],
    show: Callable[[list[str]], list[Any]] = as_written,
) -> dict[str, Any]:
    """One page of ``rows``, each written by ``row`` (a `json_row`): ``{"results", "next", "previous"[, "count"]}``.

    ``rows`` are a workspace's. ``ordering`` names columns, ``-`` for descending; the last one must be unique. NULLs come last in either direction.
    ``show`` turns the rows' JSON texts into what is answered.
    """
    limit = _limit(request.query_params)
    columns = [rows.model._meta.get_field(name.lstrip("-")) for name in ordering]
    text = request.query_params.get("cursor")
    cursor = Cursor.decode(text, columns) if text else None
    backwards = cursor is not None and cursor.backwards

    # the workspace in front, as the index has it
    terms = [_term(name, column, backwards) for name, column in zip(ordering, columns, strict=True)]
    wanted = rows.order_by(_term(_like("workspace_id", ordering[0]), _workspace(rows), backwards), *terms)
    if cursor:
        wanted = wanted.filter(_beyond(ordering, columns, cursor.position, backwards))
    found = list(wanted.values_list(*(name.lstrip("-") for name in ordering), row)[: limit + 1])
    more = len(found) > limit
    results = found[:limit]
    if backwards:
        results.reverse()

    answer: dict[str, Any] = {
        "results": show([text for *_position, text in results]),
        "next": _link(request, results, backwards=False) if results and (more or backwards) else None,
        "previous": _link(request, results, backwards=True)
        if results and (more if backwards else cursor is not None)
        else None,
    }
    if request.query_params.get("count", "").lower() == "true":
        answer["count"] = rows.count()
    return answer


def _like(name: str, other: str) -> str:
    """The name of a column, in the direction of another."""
    return f"-{name}" if other.startswith("-") else name


def _workspace(rows: QuerySet) -> Field:
    return rows.model._meta.get_field("workspace")


def _limit(query: QueryDict) -> int:
    text = query.get("limit", "")
    if not text:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise ValidationFailed(fields={"limit": [_("A whole number from 1 to 500.")]})


def _term(name: str, column: Field, backwards: bool) -> Any:
    descending = name.startswith("-")
    expression = F(name.lstrip("-"))
    if not column.null:
        return expression.desc() if descending != backwards else expression.asc()
    # read backwards, NULLs that come last must come first
    nulls: dict[str, Any] = {"nulls_first": True} if backwards else {"nulls_last": True}
    return expression.desc(**nulls) if descending != backwards else expression.asc(**nulls)


def _beyond(ordering: Sequence[str], columns: Sequence[Field], position: Sequence[Any], backwards: bool) -> Q:
    """The rows after ``position``: beyond it in the first column, or level with it and beyond in the rest."""
    (name, *rest), (column, *columns_left), (value, *values_left) = ordering, columns, position
    descending = name.startswith("-")
    key = name.lstrip("-")
    if value is None:
        past = Q(**{f"{key}__isnull": False}) if backwards else Q(pk__in=[])
        level = Q(**{f"{key}__isnull": True})
    else:
        past = Q(**{f"{key}__{'lt' if descending != backwards else 'gt'}": value})
        if column.null and not backwards:
            past |= Q(**{f"{key}__isnull": True})
        level = Q(**{key: value})
    if not rest:
        return past
    return past | (level & _beyond(rest, columns_left, values_left, backwards))


def _link(request: Request, results: list[tuple[Any, ...]], *, backwards: bool) -> str:
    *position, _text = results[0] if backwards else results[-1]
    cursor = Cursor(backwards, position)
    query = request.query_params.copy()
    query["cursor"] = cursor.encode()
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
