"""Everything that this Stripe knows, and its clock. Objects are the dicts that it answers; ids of other objects stay ids."""

import copy
import time
from collections.abc import Iterable
from typing import Any

from billing.tests.stripe_server.refusals import Refused, missing

API_VERSION = "2026-10-28.endive"
DAY = 86_400
Object = dict[str, Any]


class World:
    def __init__(self) -> None:
        self.now = int(time.time())
        self.customers: dict[str, Object] = {}
        self.products: dict[str, Object] = {}
        self.prices: dict[str, Object] = {}
        self.coupons: dict[str, Object] = {}
        self.promotion_codes: dict[str, Object] = {}
        self.discounts: dict[str, Object] = {}
        self.sessions: dict[str, Object] = {}
        self.subscriptions: dict[str, Object] = {}
        self.schedules: dict[str, Object] = {}
        self.invoices: dict[str, Object] = {}
        self.portal_configurations: dict[str, Object] = {}
        self.webhook_endpoints: dict[str, Object] = {}
        self.payment_intents: dict[str, Object] = {}
        self.events: list[Object] = []
        self.includable: dict[tuple[str, str], Any] = {}
        """What Stripe answers only to those who expand it: (id, field)."""
        self.asked: dict[str, Object] = {}
        """What a Checkout session was made with, by its id."""
        self.pending_lines: dict[str, list[Object]] = {}
        """Prorations that wait for the next invoice, by subscription."""
        self.billed: dict[str, int] = {}
        """What a subscription's item was billed for the whole of its period, after discounts."""
        self.declining: set[str] = set()
        self.cards: dict[str, str] = {}
        self.retry_days: tuple[int, ...] = (3, 5, 7)
        """Days from one failed try of an invoice to the next."""
        self.after_last_retry = "canceled"
        """`canceled` or `unpaid`: what becomes of a subscription whose invoice nobody paid."""
        self._ids: dict[str, int] = {}
        self._told: dict[str, Object] = {}

    def new_id(self, prefix: str) -> str:
        self._ids[prefix] = self._ids.get(prefix, 0) + 1
        return f"{prefix}_{self._ids[prefix]:06d}"

    def emit(self, type: str, thing: Object, *, by: Any = None) -> None:
        """Add an event with the thing as it is now and, for an update, what it was before."""
        now = copy.deepcopy(thing)
        data: Object = {"object": now}
        before = self._told.get(thing["id"], {})
        if type.endswith(".updated"):
            data["previous_attributes"] = {
                name: before[name] for name in now if name in before and before[name] != now[name]
            }
        self._told[thing["id"]] = now
        self.events.append(
            {
                "id": self.new_id("evt"),
                "object": "event",
                "api_version": API_VERSION,
                "created": self.now,
                "data": data,
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": type,
            }
        )

    def customer(self, id: str, param: str = "customer") -> Object:
        """One that is there and not deleted."""
        found = self.customers.get(id)
        if found is None or found.get("deleted"):
            raise missing("customer", id, param)
        return found

    def price(self, id: str, param: str) -> Object:
        if id not in self.prices:
            raise missing("price", id, param)
        return self.prices[id]

    def find(self, kind: str, things: dict[str, Object], id: str, param: str = "id") -> Object:
        if id not in things:
            raise missing(kind, id, param)
        return things[id]

    def by_id(self, id: str) -> Object | None:
        """Whatever has this id, for those who expand it."""
        tables = (
            self.customers, self.products, self.prices, self.coupons, self.promotion_codes, self.discounts,
            self.sessions, self.subscriptions, self.schedules, self.invoices, self.portal_configurations,
            self.payment_intents,
        )  # fmt: skip
        return next((table[id] for table in tables if id in table), None)


def page(things: Iterable[Object], params: Object, url: str) -> Object:
    """A list as Stripe answers it, newest first."""
    rows = list(things)[::-1]
    ids = [row["id"] for row in rows]
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise Refused("Invalid integer: must be between 1 and 100", code="parameter_invalid_integer", param="limit")
    for param in ("starting_after", "ending_before"):
        if params.get(param, ids[0] if ids else None) not in ids and param in params:
            raise missing("object", params[param], param)
    if "starting_after" in params:
        rows = rows[ids.index(params["starting_after"]) + 1 :]
    elif "ending_before" in params:
        rows = rows[: ids.index(params["ending_before"])]
        return {"object": "list", "url": url, "has_more": len(rows) > limit, "data": rows[-limit:]}
    return {"object": "list", "url": url, "has_more": len(rows) > limit, "data": rows[:limit]}


def in_range(moment: int, wanted: Any) -> bool:
    """Stripe's filters by a moment: one, or bounds."""
    if isinstance(wanted, int):
        return moment == wanted
    return (
        wanted.get("gt", moment - 1) < moment < wanted.get("lt", moment + 1)
        and wanted.get("gte", moment) <= moment <= wanted.get("lte", moment)
    )  # fmt: skip


def expanded(world: World, thing: Object, paths: Iterable[str]) -> Object:
    """A copy in which the named ids are the objects themselves."""
    answer = copy.deepcopy(thing)
    for path in paths:
        if path.count(".") > 3:
            raise Refused(f"You cannot expand more than 4 levels of a property. Property: {path}")
        _expand(world, answer, path.split("."), path)
    return answer


def _expand(world: World, node: Object, parts: list[str], path: str) -> None:
    name, *rest = parts
    if (node.get("id", ""), name) in world.includable:
        node.setdefault(name, copy.deepcopy(world.includable[node["id"], name]))
    if name not in node:
        raise Refused(f"This property cannot be expanded ({path}).", param="expand")
    inner = node[name]
    if isinstance(inner, str):
        node[name] = inner = _looked_up(world, inner, path)
    elif isinstance(inner, list):
        node[name] = inner = [_looked_up(world, each, path) if isinstance(each, str) else each for each in inner]
    elif not rest and inner is not None and not isinstance(inner, dict):
        raise Refused(f"This property cannot be expanded ({path}).", param="expand")
    if rest:
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None:
                _expand(world, each, rest, path)


def _looked_up(world: World, id: str, path: str) -> Object:
    found = world.by_id(id)
    if found is None:
        raise Refused(f"This property cannot be expanded ({path}).", param="expand")
    return copy.deepcopy(found)
