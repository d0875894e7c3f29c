"""Events as Pipedrive posts them, and the jobs that work them off."""

import base64
import json
import uuid
from typing import Any

from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from crm.models import Connection
from crm.pipedrive.events import hooks
from crm.tests.pipedrive_server.hooks import through
from zevix.sealing import seal, unseal

PASSWORD = "a-password"


def make_quiet_connection(workspace: Any, **fields: Any) -> Connection:
    """A connection with a webhook, of an account that nobody asks anything."""
    fields = {
        "webhook_secret": uuid.uuid4().hex,
        "company_id": 77,
        "user_id": 5,
        "webhook_id": 3,
        "sealed_token": seal("a-token"),
        **fields,
    }
    made: Connection = Connection.objects.create(workspace=workspace, sealed_webhook_password=seal(PASSWORD), **fields)
    return made


def event(entity: str = "person", entity_id: Any = 12, action: str = "change", **more: Any) -> dict[str, Any]:
    parts = {
        name: more.pop(name, default) for name, default in (("data", {"id": entity_id}), ("previous", {"name": "Old"}))
    }
    meta = {
        "id": str(uuid.uuid4()),
        "entity": entity,
        "entity_id": str(entity_id),
        "action": action,
        "company_id": "77",
        "user_id": "9",
        "change_source": "app",
        "timestamp": "2026-03-01T10:20:30.500Z",
    }
    return {"meta": meta | more, **parts}


def post(connection: Connection, body: Any, *, password: str | None = None, user: str = hooks.USER, **more: Any) -> Any:
    """Post an event as the connection's webhook would, or bytes as they are."""
    password = unseal(connection.sealed_webhook_password) if password is None else password
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Basic {pair}"} | more.pop("headers", {})
    secret = more.pop("secret", connection.webhook_secret)
    client = Client(raise_request_exception=False)
    return client.post(f"{hooks.PATH}{secret}", raw, content_type="application/json", headers=headers)


def deliver(server: Any, **how: Any) -> Any:
    """What is due, to the view, without a server."""
    return server.deliver(post=through(Client(raise_request_exception=False)), **how)


def drains() -> Any:
    return ProcrastinateJob.objects.filter(task_name="crm.jobs.drain")
