"""The inbox: what Pipedrive tells is kept once, answered at once, and worked off by a job that reads the object anew.

Events come late, twice and out of order, and tell nothing that could be relied upon, except that something happened.
https://pipedrive.readme.io/docs/guide-for-webhooks-v2
"""

import hmac
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.errors import WrongPassword
from crm.models import Connection, InboxEvent
from crm.pipedrive.events import hooks
from crm.pipedrive.runs.waking import wake
from zevix import sealing
from zevix.errors import Malformed, NotFound

# the account itself changed: it is read anew
OF_THE_ACCOUNT = ("pipeline", "stage", "user")
_OF_INTEREST = ("person", "organization", "deal", *OF_THE_ACCOUNT)
_ACTIONS = ("create", "change", "delete")
_KEPT_FOR = timedelta(days=7)
_LARGEST_ID = 2**63 - 1


def keep(secret: str, authorization: str, body: bytes) -> bool:
    """Keep the event of a webhook's body, once, and have it worked off; returns whether it is of interest.

    ``secret`` is the last part of its path, ``authorization`` the header. Raises NotFound, WrongPassword, Malformed.
    """
    connection = Connection.objects.filter(webhook_secret=secret).first() if secret else None
    if connection is None:
        raise NotFound
    _check_password(connection, authorization)
    event = _event(connection, body)
    if event is None:
        return False
    InboxEvent.objects.bulk_create([event], ignore_conflicts=True)
    if connection.state != Connection.State.PAUSED:
        wake(connection.pk)
    return True


def queue_again(events: QuerySet[InboxEvent]) -> int:
    """Have these worked off once more, whatever became of them before. How many they are."""
    with transaction.atomic():
        connections = set(events.order_by().values_list("connection_id", flat=True))
        count = InboxEvent.objects.filter(pk__in=list(events.order_by().values_list("pk", flat=True))).update(
            outcome=InboxEvent.Outcome.WAITING, problem="", attempts=0, retry_at=None, done_at=None
        )
        for connection_id in connections:
            wake(connection_id)
    return count


def forget_old() -> int:
    """Delete what was worked off and came more than seven days ago; returns how many."""
    old = InboxEvent.objects.filter(received_at__lt=timezone.now() - _KEPT_FOR)
    return old.exclude(outcome=InboxEvent.Outcome.WAITING).delete()[0]


def _check_password(connection: Connection, authorization: str) -> None:
    try:
        wanted = f"{hooks.USER}:{sealing.unseal(connection.sealed_webhook_password)}".encode()
        scheme, _, given = authorization.partition(" ")
        is_right = scheme.lower() == "basic" and hmac.compare_digest(b64decode(given, validate=True), wanted)
    except ValueError:  # no base64; or sealed with a key that is gone
        is_right = False
    if not is_right:
        raise WrongPassword


def _event(connection: Connection, body: bytes) -> InboxEvent | None:
    """Not saved yet; None for what is of no interest. Raises Malformed for what is no event."""
    try:
        payload = orjson.loads(body)
        meta = payload["meta"]
        if not _concerns(connection, meta):
            return None
        return InboxEvent(
            workspace_id=connection.workspace_id,
            connection=connection,
            event_id=_name(meta["id"]),
            entity=meta["entity"],
            entity_id=_number(meta["entity_id"]),
            action=meta["action"],
            body={"meta": _storable(meta)} | {part: _object(payload.get(part)) for part in ("data", "previous")},
            sent_at=_moment(meta.get("timestamp")),
        )
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise Malformed from error


def _concerns(connection: Connection, meta: dict[str, Any]) -> bool:
    if not isinstance(meta["entity"], str) or not isinstance(meta["action"], str):
        raise ValueError("no event")
    is_ours = connection.company_id is None or str(meta.get("company_id")) == str(connection.company_id)
    return is_ours and meta["entity"] in _OF_INTEREST and meta["action"] in _ACTIONS


def _object(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise ValueError("no object")
    kept: dict[str, Any] | None = _storable(value)
    return kept


def _storable(value: Any) -> Any:
    """The same without NUL, which PostgreSQL's JSON can't hold."""
    match value:
        case str():
            return value.replace("\x00", "")
        case list():
            return [_storable(one) for one in value]
        case dict():
            return {_storable(name): _storable(one) for name, one in value.items()}
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 255 or "\x00" in value:
        raise ValueError("no name")
    return value


def _number(value: Any) -> int:
    """An id, which comes as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not 0 < value <= _LARGEST_ID:
        raise ValueError("no id")
    return value


def _moment(value: Any) -> datetime | None:
    """Told as text or in seconds; whatever else it is tells nothing."""
    try:
        if isinstance(value, str) and not value.isdigit():
            found = parse_datetime(value)
            return found and (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        return None if isinstance(value, bool) else datetime.fromtimestamp(float(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
