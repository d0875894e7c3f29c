"""Registering webhooks, by v1. Delivering them is told in `hooks`."""

from typing import Any
from urllib.parse import urlsplit

from crm.tests.pipedrive_server.checking import an_object, integer, nullable, one_of, text
from crm.tests.pipedrive_server.clock import written
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import Object, World

MOST = 40
ACTIONS = ("create", "change", "delete", "*")
KINDS = ("activity", "deal", "lead", "note", "organization", "person", "pipeline", "product", "stage", "user", "*")
_NEW = an_object(
    {
        "subscription_url": text(shortest=1),
        "event_action": one_of(*ACTIONS),
        "event_object": one_of(*KINDS),
        "name": text(255, 1),
        "user_id": integer,
        "http_auth_user": nullable(text(255)),
        "http_auth_password": nullable(text(255)),
        "version": one_of("1.0", "2.0"),
    },
    ["subscription_url", "event_action", "event_object", "name"],
)


def create(world: World, body: Object, me: int) -> Object:
    _NEW(body, "")
    url = urlsplit(body["subscription_url"])
    if url.scheme not in ("http", "https") or not url.hostname or "pipedrive.com" in url.hostname:
        raise _refused("subscription_url", "must be a full, publicly accessible URL")
    if body.get("version", "2.0") != "2.0":
        raise _refused("version", "the stand-in speaks 2.0 alone")
    world.must_know("user", body.get("user_id", me), "user_id")
    if len(world.tables["webhook"]) >= MOST:
        raise Refused("Webhooks limit reached", status=403)
    webhook = {
        "id": world.new_id("webhook"),
        "company_id": world.company_id,
        "owner_id": me,
        "user_id": body.get("user_id", me),
        "event_action": body["event_action"],
        "event_object": body["event_object"],
        "subscription_url": body["subscription_url"],
        "version": "2.0",
        "is_active": 1,
        "add_time": written(world.clock.now()),
        "remove_time": None,
        "type": "general",
        "http_auth_user": body.get("http_auth_user"),
        "http_auth_password": body.get("http_auth_password"),
        "remove_reason": None,
        "last_delivery_time": None,
        "last_http_status": None,
        "admin_id": me,
        "name": body["name"],
    }
    world.tables["webhook"][webhook["id"]] = webhook
    return webhook


def delete(world: World, id: int) -> None:
    if world.tables["webhook"].pop(id, None) is None:
        raise Refused("Webhook not found", status=404, status_text="error", errors={"id": ["not found"]})


def fits(webhook: Object, action: str, kind: str) -> bool:
    return webhook["event_action"] in ("*", action) and webhook["event_object"] in ("*", kind)


def _refused(name: str, why: str) -> Refused:
    more: dict[str, Any] = {"errors": {name: [why]}}
    return Refused(f"{name}: {why}", **more)
