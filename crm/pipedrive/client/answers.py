"""What Pipedrive answers, as plain Python, of whose outer form everybody may be certain."""

from typing import Any

import orjson

Row = dict[str, Any]

_LARGEST_ID = 2**63 - 1


class NotUnderstood(ValueError):
    """The answer has another form than Pipedrive's have."""


def parsed(text: bytes) -> Row:
    """The JSON object of an answer; of an empty one, an empty one. Raises NotUnderstood."""
    try:
        found = orjson.loads(text or b"{}")
        # PostgreSQL holds no NUL
        found = _without_nul(found) if b"\\u0000" in text else found
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise NotUnderstood("no JSON") from error
    if not isinstance(found, dict):
        raise NotUnderstood("no object")
    return found


def nothing(answer: Row) -> None:
    """Of an answer that matters by its status alone."""


def one(answer: Row) -> Row:
    """The object that the answer is about, with a usable ``id``. Raises NotUnderstood."""
    return _row(answer.get("data"))


def several(answer: Row) -> list[Row]:
    """The objects of a list, each with a usable ``id``. Raises NotUnderstood."""
    return [_row(row) for row in _list(answer.get("data"))]


def lead(answer: Row) -> Row:
    """One of Pipedrive's leads, whose ids are texts. Raises NotUnderstood."""
    return _lead(answer.get("data"))


def leads(answer: Row) -> list[Row]:
    return [_lead(row) for row in _list(answer.get("data"))]


def fields(answer: Row) -> list[Row]:
    """Fields have a code in the place of an id. Raises NotUnderstood."""
    found = _list(answer.get("data"))
    if not all(isinstance(row, dict) and isinstance(row.get("field_code"), str) for row in found):
        raise NotUnderstood("a field without a code")
    return found


def found_items(answer: Row) -> list[Row]:
    """The objects that a search found. Raises NotUnderstood."""
    items = _list(_inner(answer, "data").get("items"))
    if not all(isinstance(item, dict) for item in items):
        raise NotUnderstood("no object")
    return [_row(item.get("item")) for item in items]


def next_cursor(answer: Row) -> str:
    """Where the next page begins; empty after the last one."""
    cursor = _inner(answer, "additional_data").get("next_cursor")
    return cursor if isinstance(cursor, str) else ""


def has_more(answer: Row) -> bool:
    """Whether another page follows, as v1 tells it."""
    return _inner(_inner(answer, "additional_data"), "pagination").get("more_items_in_collection") is True


def is_id(value: Any) -> bool:
    """Whether it is a number that one of our columns can hold."""
    return type(value) is int and 0 < value <= _LARGEST_ID


def _list(found: Any) -> list[Any]:
    if found is None:  # v1 has that in the place of an empty list
        return []
    if not isinstance(found, list):
        raise NotUnderstood("no list")
    return found


def _row(row: Any) -> Row:
    if not isinstance(row, dict) or not is_id(row.get("id")):
        raise NotUnderstood("no object with an id")
    return row


def _lead(row: Any) -> Row:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        raise NotUnderstood("no lead with an id")
    return row


def _inner(row: Row, name: str) -> Row:
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(inner) for name, inner in value.items()}
    return value
