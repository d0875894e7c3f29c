"""The paths, what they cost, what they may be asked, and who answers. Costs: ``x-token-cost`` of Pipedrive's API description."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crm.tests.pipedrive_server import (
    deals,
    leads,
    listing,
    notes,
    organizations,
    persons,
    searching,
    shapes,
    webhooks,
)
from crm.tests.pipedrive_server.checking import an_object, integer, query_integer, query_some_of, query_text
from crm.tests.pipedrive_server.listing import Reader
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World


@dataclass(frozen=True)
class Call:
    """A request as its act gets it: read and checked, but for the body."""

    world: World
    id: Any
    query: dict[str, Any]
    body: Object
    by: By
    lag: float


Answer = tuple[Any, Object | None]
"""``data`` and ``additional_data``."""


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    cost: int
    act: Callable[[Call], Answer]
    query: dict[str, Reader] = field(default_factory=dict)
    status: int = 200
    is_search: bool = False

    def ids_of(self, path: str) -> str | None:
        """The id in the path, an empty text where there is none; None where the path is another."""
        pattern = re.escape(self.template).replace(r"\{id\}", r"(?P<id>[^/]+)")
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict().get("id") or ""


V1_GONE = re.compile(r"/(api/)?v1/(persons|organizations|deals|activities|pipelines|stages|itemSearch|products)(/.*)?")


def find(method: str, path: str) -> tuple[Route, Any]:
    """The route of a request, and the id in its path. Raises Refused."""
    is_known = False
    for route in ROUTES:
        text = route.ids_of(path)
        if text is None:
            continue
        is_known = True
        if route.method == method:
            return route, _id(route, text)
    if is_known:
        raise Refused("Method not allowed", status=405)
    if V1_GONE.fullmatch(path):
        raise Refused("This endpoint is out of support, use API v2", status=410, code="ERR_DEPRECATED")
    raise Refused("Unknown method.", status=404)


def _id(route: Route, text: str) -> Any:
    if "{id}" not in route.template or "/leads/" in route.template:
        return text
    return query_integer(text, "id")


# things of v2: {create, update, delete} of a module, and lists

_ACTS: dict[str, Any] = {"person": persons, "organization": organizations, "deal": deals}


def _read(kind: str) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        thing = deals.read(call.world, call.id) if kind == "deal" else call.world.find(kind, call.id)
        return shapes.v2(call.world, kind, thing, _codes(call)), None

    return act


def _create(kind: str) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        return shapes.v2(call.world, kind, _ACTS[kind].create(call.world, call.body, call.by)), None

    return act


def _update(kind: str) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        return shapes.v2(call.world, kind, _ACTS[kind].update(call.world, call.id, call.body, call.by)), None

    return act


def _delete(kind: str) -> Callable[[Call], Answer]:
    return lambda call: (_ACTS[kind].delete(call.world, call.id, call.by), None)


def _list(kind: str) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        rows = [row for row in _rows(call, kind) if listing.fits(row, call.query)]
        shown, more = listing.page(rows, call.query)
        codes = _codes(call)
        return [shapes.v2(call.world, kind, row, codes) for row in shown], more

    return act


def _rows(call: Call, kind: str) -> list[Object]:
    if kind == "person" and "deal_id" in call.query:
        deal = call.world.tables["deal"].get(call.query["deal_id"], {})
        return [row for row in call.world.living(kind) if row["id"] == deal.get("person_id")]
    if kind != "deal":
        return call.world.living(kind)
    wanted = call.query.get("status") or ["open", "won", "lost"]
    return [
        row
        for row in call.world.tables["deal"].values()
        if ("deleted" if row["is_deleted"] else row["status"]) in wanted and not row["is_archived"]
    ]


def _codes(call: Call) -> list[str] | None:
    if "custom_fields" not in call.query:
        return None
    codes = [code for code in call.query["custom_fields"].split(",") if code]
    if len(codes) > 15:
        raise Refused("Validation failed: custom_fields: at most 15 keys")
    return codes


def _search(kind: str) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        found = searching.found(call.world, kind, call.query, call.lag)
        paging = {name: value for name, value in call.query.items() if name in ("limit", "cursor")}
        shown, more = listing.page(found, paging)
        return {"items": [{"result_score": each["result_score"], "item": each["item"]} for each in shown]}, more

    return act


def _fields(kind: str) -> Callable[[Call], Answer]:
    def act(call: Call) -> Answer:
        rows = [{**field, "id": place} for place, field in enumerate(call.world.fields[kind].values())]
        shown, more = listing.page(rows, call.query)
        return [{name: value for name, value in row.items() if name != "id"} for row in shown], more

    return act


# v1


def _me(call: Call) -> Answer:
    return shapes.me(call.world, call.world.tables["user"][call.by.user_id]), None


def _users(call: Call) -> Answer:
    return [shapes.user(call.world, each, call.by.user_id) for each in call.world.tables["user"].values()], None


def _merge(call: Call) -> Answer:
    an_object({"merge_with_id": integer}, ["merge_with_id"])(call.body, "")
    kept = persons.merge(call.world, call.id, call.body["merge_with_id"], call.by)
    return shapes.merged_person(call.world, kept, call.id), None


def _leads(call: Call) -> Answer:
    rows = [
        row for row in call.world.tables["lead"].values() if not row["is_archived"] and listing.fits(row, call.query)
    ]
    return listing.v1_page(rows, call.query)


def _notes(call: Call) -> Answer:
    rows = [row for row in call.world.living("note") if listing.fits(row, call.query)]
    shown, paging = listing.v1_page(rows, call.query)
    return [shapes.note(call.world, row) for row in shown], {"pagination": paging}


def _webhook_deleted(call: Call) -> Answer:
    webhooks.delete(call.world, call.id)
    return None, None


def _noted(act: Callable[[Call], Object]) -> Callable[[Call], Answer]:
    return lambda call: (shapes.note(call.world, act(call)), None)


def _plain(act: Callable[[Call], Any]) -> Callable[[Call], Answer]:
    return lambda call: (act(call), None)


_LEAD_QUERY: dict[str, Reader] = {
    **listing.V1,
    "owner_id": query_integer,
    "person_id": query_integer,
    "organization_id": query_integer,
}
_NOTE_QUERY: dict[str, Reader] = {
    **listing.V1,
    "user_id": query_integer,
    "lead_id": query_text,
    "deal_id": query_integer,
    "person_id": query_integer,
    "org_id": query_integer,
}
_LISTS = {"person": listing.PERSONS, "organization": listing.ORGANIZATIONS, "deal": listing.DEALS}
_EXTRA_SEARCH: dict[str, dict[str, Reader]] = {
    "person": {"organization_id": query_integer},
    "organization": {},
    "deal": {"person_id": query_integer, "organization_id": query_integer, "status": query_text},
}
_SETTINGS: dict[str, Reader] = {**listing.PAGED, **listing.SORTED}


def _of(kind: str) -> list[Route]:
    path = f"/api/v2/{kind}s"
    search = {**listing.SEARCH, **_EXTRA_SEARCH[kind], "fields": query_some_of(*searching.FIELDS[kind])}
    return [
        Route("GET", f"{path}/search", 20, _search(kind), search, is_search=True),
        Route("GET", path, 10, _list(kind), _LISTS[kind]),
        Route("POST", path, 5, _create(kind)),
        Route("GET", path + "/{id}", 1, _read(kind), listing.READ),
        Route("PATCH", path + "/{id}", 5, _update(kind)),
        Route("DELETE", path + "/{id}", 3, _delete(kind)),
        Route("GET", f"/api/v2/{kind}Fields", 10, _fields(kind), listing.PAGED),
    ]


ROUTES = [
    *_of("person"),
    *_of("organization"),
    *_of("deal"),
    Route("GET", "/api/v2/pipelines", 5, _list("pipeline"), _SETTINGS),
    Route("GET", "/api/v2/pipelines/{id}", 1, _read("pipeline")),
    Route("GET", "/api/v2/stages", 5, _list("stage"), {**_SETTINGS, "pipeline_id": query_integer}),
    Route("GET", "/api/v2/stages/{id}", 1, _read("stage")),
    Route("GET", "/api/v1/users/me", 2, _me),
    Route("GET", "/api/v1/users", 20, _users),
    Route("PUT", "/api/v1/persons/{id}/merge", 40, _merge),
    Route("GET", "/api/v1/leads", 20, _leads, _LEAD_QUERY),
    Route("POST", "/api/v1/leads", 10, _plain(lambda call: leads.create(call.world, call.body, call.by)), status=201),
    Route("GET", "/api/v1/leads/{id}", 2, _plain(lambda call: leads.read(call.world, call.id))),
    Route(
        "PATCH", "/api/v1/leads/{id}", 10, _plain(lambda call: leads.update(call.world, call.id, call.body, call.by))
    ),
    Route("DELETE", "/api/v1/leads/{id}", 6, _plain(lambda call: leads.delete(call.world, call.id, call.by))),
    Route("GET", "/api/v1/notes", 20, _notes, _NOTE_QUERY),
    Route("POST", "/api/v1/notes", 10, _noted(lambda call: notes.create(call.world, call.body, call.by))),
    Route("GET", "/api/v1/notes/{id}", 2, _noted(lambda call: call.world.find("note", call.id))),
    Route("PUT", "/api/v1/notes/{id}", 10, _noted(lambda call: notes.update(call.world, call.id, call.body, call.by))),
    Route("DELETE", "/api/v1/notes/{id}", 6, _plain(lambda call: notes.delete(call.world, call.id, call.by))),
    Route("GET", "/api/v1/webhooks", 10, _plain(lambda call: list(call.world.tables["webhook"].values()))),
    Route(
        "POST",
        "/api/v1/webhooks",
        10,
        _plain(lambda call: webhooks.create(call.world, call.body, call.by.user_id)),
        status=201,
    ),
    Route("DELETE", "/api/v1/webhooks/{id}", 6, _webhook_deleted),
]
