"""Webhooks on their way: one delivery for each webhook that a change is for, posted when a test says so, or at once by a thread.

A delivery that fails is tried three times more, after 3, 30 and 150 seconds of the stand-in's clock. Ten first tries that fail ban
the webhook for half an hour, and what happens in that time is told to nobody.
"""

import base64
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from urllib import error, request
from urllib.parse import urlsplit

from django.test import Client

from crm.tests.pipedrive_server import fields, webhooks
from crm.tests.pipedrive_server.clock import Clock, written
from crm.tests.pipedrive_server.world import Change, Object, World

PATIENCE = 10.0
RETRIES = (3, 30, 150)
BANNED_AFTER, BANNED_FOR = 10, 1800

Post = Callable[[str, bytes, dict[str, str]], int]
"""Posts a body to a URL with headers; answers the status. An exception is a failed delivery too."""
Picks = bool | Callable[["Delivery"], bool]


@dataclass(eq=False)
class Delivery:
    webhook: Object
    meta: Object
    data: Object | None
    previous: Object | None
    due: float
    attempt: int = 1
    status: int | None = None

    @property
    def body(self) -> bytes:
        meta = {**self.meta, "attempt": self.attempt}
        return json.dumps({"meta": meta, "data": self.data, "previous": self.previous}).encode()

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "Pipedrive Webhooks"}
        user, password = self.webhook["http_auth_user"], self.webhook["http_auth_password"]
        if user or password:
            pair = base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return headers


def over_http(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        with request.urlopen(request.Request(url, body, headers, method="POST"), timeout=PATIENCE) as answer:
            return int(answer.status)
    except error.HTTPError as refused:
        with refused:
            return refused.code


def through(client: Client) -> Post:
    """To Django's test client in place of a server: only the path of the URL counts."""

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        kind = headers.pop("Content-Type")
        return client.post(urlsplit(url).path, data=body, content_type=kind, headers=headers).status_code

    return post


@dataclass
class Hooks:
    clock: Clock
    lock: threading.RLock
    waiting: list[Delivery] = field(default_factory=list)
    done: list[Delivery] = field(default_factory=list)
    """Delivered, in the order of their arrival; one that came doubly is there twice."""
    given_up: list[Delivery] = field(default_factory=list)
    bans: dict[int, float] = field(default_factory=dict)
    _failures: dict[int, int] = field(default_factory=dict)

    def note(self, world: World) -> None:
        """Make deliveries of what changed since this was last asked."""
        while world.changes:
            change = world.changes.popleft()
            for webhook in world.tables["webhook"].values():
                is_banned = self.bans.get(webhook["id"], 0) > self.clock.seconds()
                if not is_banned and webhooks.fits(webhook, change.action, change.kind):
                    self.waiting.append(_delivery(world, webhook, change, self.clock.seconds()))

    def deliver(self, post: Post, *, lose: Picks, double: Picks, shuffle: Random | None) -> list[Delivery]:
        """Post what is due; answers what was tried, each with the status it got (None: it never left)."""
        with self.lock:
            due = [each for each in self.waiting if each.due <= self.clock.seconds()]
            self.waiting = [each for each in self.waiting if each not in due]
        if shuffle is not None:
            shuffle.shuffle(due)
        for each in due:
            if _picked(lose, each):
                continue
            for _ in range(2 if _picked(double, each) else 1):
                self._try(each, post)
        return due

    def age(self, seconds: float) -> None:
        for each in self.waiting:
            each.due -= seconds
        self.bans = {id: until - seconds for id, until in self.bans.items()}

    def _try(self, delivery: Delivery, post: Post) -> None:
        try:
            delivery.status = post(delivery.webhook["subscription_url"], delivery.body, dict(delivery.headers))
        except OSError:
            delivery.status = 0
        with self.lock:
            delivery.webhook["last_http_status"] = delivery.status
            delivery.webhook["last_delivery_time"] = written(self.clock.now())
            if 200 <= delivery.status < 300:
                self.done.append(delivery)
            else:
                self._failed(delivery)

    def _failed(self, delivery: Delivery) -> None:
        id = delivery.webhook["id"]
        if delivery.attempt == 1:
            self._failures[id] = self._failures.get(id, 0) + 1
            if self._failures[id] >= BANNED_AFTER:
                self._failures[id], self.bans[id] = 0, self.clock.seconds() + BANNED_FOR
        if delivery.attempt > len(RETRIES):
            self.given_up.append(delivery)
            return
        delivery.due = self.clock.seconds() + RETRIES[delivery.attempt - 1]
        delivery.attempt += 1
        if delivery not in self.waiting:
            self.waiting.append(delivery)


def _picked(picks: Picks, delivery: Delivery) -> bool:
    return picks(delivery) if callable(picks) else picks


def _delivery(world: World, webhook: Object, change: Change, now: float) -> Delivery:
    before, after = _told(world, change.kind, change.before), _told(world, change.kind, change.after)
    previous = before
    if before is not None and after is not None:
        previous = {name: before[name] for name in after if name in before and before[name] != after[name]}
        if "custom_fields" in previous:
            was, now_is = before["custom_fields"], after["custom_fields"]
            previous["custom_fields"] = {code: was.get(code) for code in now_is if was.get(code) != now_is[code]}
    meta = {
        "action": change.action,
        "entity": change.kind,
        "entity_id": str(change.id),
        "company_id": str(world.company_id),
        "correlation_id": str(uuid.uuid4()),
        "id": str(uuid.uuid4()),
        "is_bulk_edit": False,
        "timestamp": change.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{change.at.microsecond // 1000:03d}Z",
        "type": "general",
        "user_id": str(change.by.user_id),
        "version": "2.0",
        "webhook_id": str(webhook["id"]),
        "webhook_owner_id": str(webhook["owner_id"]),
        "change_source": change.by.source,
        "host": f"{world.company_domain}.pipedrive.com",
        "permitted_user_ids": [str(id) for id in world.tables["user"]],
        **change.merged,
    }
    return Delivery(webhook, meta, after, previous, now)


def _told(world: World, kind: str, thing: Object | None) -> Object | None:
    if thing is None:
        return None
    told = {name: value for name, value in thing.items() if name != "is_deleted"}
    if "custom_fields" in told:
        told["custom_fields"] = fields.told(world, kind, told["custom_fields"])
    return told
