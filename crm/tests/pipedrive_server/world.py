"""Everything that this Pipedrive knows. Things are the dicts that v2 answers; a change puts a new dict in the old one's place."""

import hashlib
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from crm.tests.pipedrive_server.clock import Clock, read, written
from crm.tests.pipedrive_server.refusals import Refused, no_such

Object = dict[str, Any]
KEPT_STATES = 12


class By(NamedTuple):
    """Who changes something, and through what."""

    source: str
    user_id: int


class Change(NamedTuple):
    """What webhooks tell of."""

    action: str
    kind: str
    id: Any
    before: Object | None
    after: Object | None
    by: By
    at: datetime
    merged: dict[str, str]


class World:
    company_id = 7_313_377
    company_name = "Stand-in Ltd"
    company_domain = "stand-in"
    currency = "EUR"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tables: dict[str, dict[Any, Object]] = {
            kind: {}
            for kind in ("person", "organization", "deal", "pipeline", "stage", "note", "lead", "user", "webhook")
        }
        self.fields: dict[str, dict[str, Object]] = {"person": {}, "organization": {}, "deal": {}}
        """Fields by their codes, as v2 answers them."""
        self.merged_persons: set[int] = set()
        self.changes: deque[Change] = deque()
        """Those that no webhook has been asked about yet."""
        self.watchers: list[Callable[[Change], None]] = []
        """They hear of each change before anybody else can make one."""
        self._states: dict[tuple[str, Any], deque[tuple[float, Object]]] = {}
        self._ids = {kind: count(1) for kind in self.tables}
        self._option_ids = count(11)

    # what is there

    def find(self, kind: str, id: Any) -> Object:
        """One that is there and not deleted. Raises Refused."""
        found = self.tables[kind].get(id)
        if found is None or found.get("is_deleted"):
            raise no_such(kind, id)
        return found

    def must_know(self, kind: str, id: Any, where: str) -> None:
        """That a thing which a body names is there; else the body is refused."""
        found = self.tables[kind].get(id)
        if found is None or found.get("is_deleted"):
            raise Refused(f"Validation failed: {where}: {kind} {id} does not exist")

    def living(self, kind: str) -> list[Object]:
        """By id."""
        rows = self.tables[kind]
        return [rows[id] for id in sorted(rows) if not rows[id].get("is_deleted")]

    def as_of(self, kind: str, id: Any, moment: float) -> Object | None:
        """The thing as it was at that second of the clock, as far as is remembered."""
        states = self._states.get((kind, id), ())
        return next((state for at, state in reversed(states) if at <= moment), None)

    # changing it

    def new_id(self, kind: str) -> int:
        return next(self._ids[kind])

    def new_option_id(self) -> int:
        return next(self._option_ids)

    def add(self, kind: str, thing: Object, by: By) -> Object:
        now = written(self.clock.now())
        return self._keep("create", kind, {**thing, "add_time": thing.get("add_time") or now, "update_time": now}, by)

    def change(self, kind: str, id: Any, new: Object, by: By, **merged: str) -> Object:
        """With these values; where they are the old ones nothing happens."""
        before = self.tables[kind][id]
        if not merged and all(before.get(name) == value for name, value in new.items()):
            return before
        return self._keep("change", kind, {**before, **new, "update_time": written(self.clock.now())}, by, **merged)

    def delete(self, kind: str, id: Any, by: By, **merged: str) -> None:
        gone = {**self.find(kind, id), "is_deleted": True, "update_time": written(self.clock.now())}
        self._keep("delete", kind, gone, by, **merged)

    def erase(self, kind: str, id: Any, by: By) -> None:
        """Of what is not kept when it is deleted, as notes."""
        before = self.tables[kind].pop(id)
        self._tell(Change("delete", kind, id, before, None, by, self.clock.now(), {}))

    def _keep(self, action: str, kind: str, thing: Object, by: By, **merged: str) -> Object:
        id = thing["id"]
        before = self.tables[kind].get(id)
        self.tables[kind][id] = thing
        states = self._states.setdefault((kind, id), deque(maxlen=KEPT_STATES))
        states.append((self.clock.seconds(), thing))
        after = None if action == "delete" else thing
        self._tell(Change(action, kind, id, before, after, by, self.clock.now(), merged))
        return thing

    def _tell(self, change: Change) -> None:
        self.changes.append(change)
        for watcher in self.watchers:
            watcher(change)

    def age(self, seconds: float) -> None:
        """All that happened was so much longer ago."""
        for table in self.tables.values():
            for id, thing in table.items():
                table[id] = {name: _earlier(name, value, seconds) for name, value in thing.items()}
        for states in self._states.values():
            for place, (at, thing) in enumerate(states):
                states[place] = (at - seconds, thing)

    def code(self, entity: str, name: str) -> str:
        """The key of a custom field: 40 digits, others in every account."""
        return hashlib.sha1(f"{self.company_id} {entity} {name}".encode(), usedforsecurity=False).hexdigest()


def _earlier(name: str, value: Any, seconds: float) -> Any:
    if not name.endswith("_time") or not isinstance(value, str) or not value.endswith("Z"):
        return value
    return written(read(value) - timedelta(seconds=seconds))
