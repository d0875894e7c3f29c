"""Lists: filtered, sorted, and by pages with a cursor that means nothing to its reader."""

import base64
import json
from collections.abc import Callable
from typing import Any

from crm.tests.pipedrive_server import clock
from crm.tests.pipedrive_server.checking import (
    query_boolean,
    query_integer,
    query_integers,
    query_moment,
    query_one_of,
    query_some_of,
    query_text,
)
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import Object

Query = dict[str, Any]
Reader = Callable[[str, str], Any]

PAGED: dict[str, Reader] = {"limit": query_integer, "cursor": query_text}
SORTED: dict[str, Reader] = {
    "sort_by": query_one_of("id", "update_time", "add_time", "order_nr"),
    "sort_direction": query_one_of("asc", "desc"),
}
_BOTH: dict[str, Reader] = {
    **PAGED,
    **SORTED,
    "ids": query_integers,
    "owner_id": query_integer,
    "updated_since": query_moment,
    "updated_until": query_moment,
    "custom_fields": query_text,
}
READ: dict[str, Reader] = {"custom_fields": query_text}
PERSONS: dict[str, Reader] = {**_BOTH, "org_id": query_integer, "deal_id": query_integer}
ORGANIZATIONS: dict[str, Reader] = _BOTH
DEALS: dict[str, Reader] = {
    **_BOTH,
    "person_id": query_integer,
    "org_id": query_integer,
    "pipeline_id": query_integer,
    "stage_id": query_integer,
    "status": query_some_of("open", "won", "lost", "deleted"),
}
V1: dict[str, Reader] = {"start": query_integer, "limit": query_integer, "updated_since": query_moment}
SEARCH: dict[str, Reader] = {**PAGED, "term": query_text, "exact_match": query_boolean}


def fits(thing: Object, query: Query) -> bool:
    """Whether a list with such a query has it in it."""
    updated = clock.read(thing["update_time"])
    if "updated_since" in query and updated < query["updated_since"]:
        return False
    if "updated_until" in query and updated >= query["updated_until"]:
        return False
    if "ids" in query and thing["id"] not in query["ids"]:
        return False
    names = (
        "owner_id",
        "org_id",
        "person_id",
        "pipeline_id",
        "stage_id",
        "deal_id",
        "lead_id",
        "organization_id",
        "user_id",
    )
    return all(thing.get(name) == query[name] for name in names if name in query and name in thing)


def page(rows: list[Object], query: Query) -> tuple[list[Object], Object]:
    """One page of the rows and the ``additional_data`` of v2."""
    limit = query.get("limit", 100)
    if not 1 <= limit <= 500:
        raise Refused("Validation failed: limit: Number must be between 1 and 500")
    name, is_falling = query.get("sort_by", "id"), query.get("sort_direction") == "desc"

    def place(row: Object) -> list[Any]:
        return [row[name], row["id"]]

    rows = sorted(rows, key=place, reverse=is_falling)
    if "cursor" in query:
        last = _opened(query["cursor"], [name, is_falling])
        rows = [row for row in rows if (place(row) < last if is_falling else place(row) > last)]
    shown = rows[:limit]
    more = len(rows) > limit
    return shown, {"next_cursor": _sealed(place(shown[-1]), [name, is_falling]) if more else None}


def v1_page(rows: list[Object], query: Query) -> tuple[list[Object], Object]:
    start, limit = query.get("start", 0), query.get("limit", 100)
    if start < 0 or not 1 <= limit <= 500:
        raise Refused("Validation failed: limit: Number must be between 1 and 500")
    return rows[start : start + limit], {
        "start": start,
        "limit": limit,
        "more_items_in_collection": len(rows) > start + limit,
    }


def _sealed(last: list[Any], how: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([last, how]).encode()).decode()


def _opened(cursor: str, how: list[Any]) -> list[Any]:
    try:
        last, made_how = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if made_how != how:
            raise ValueError
        return list(last)
    except (ValueError, TypeError):
        raise Refused("Validation failed: cursor: Invalid cursor")
