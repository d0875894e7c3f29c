"""``Idempotency-Key``: the same key and body give the first answer again.

The key's row, the act and the kept answer are one transaction. A second request with the same key waits at the unique constraint
until the first has committed, and then reads its answer; a crash leaves neither act nor key. So this fits acts that are pure
database work; one that calls a vendor must keep its own record of what it has done.
"""

import hashlib
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from zevix.api.json import dumps
from zevix.errors import Refusal, ValidationFailed
from zevix.models import IdempotentAnswer

KEPT_FOR = timedelta(hours=24)
# answers that say nothing about the act: the client is to come again
_NOT_KEPT = {401, 413, 429}


class KeyReused(Refusal):
    code, status = "idempotency_key_reused", 422
    message = _("This Idempotency-Key came before with another request.")


class Idempotent:
    """For API views: POSTs with an ``Idempotency-Key`` are done once per workspace."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method != "POST" or "HTTP_IDEMPOTENCY_KEY" not in request.META:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # a mixin before APIView
        with transaction.atomic():
            response = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
            kept = getattr(self, "_idempotent_answer", None)
            if kept is None:  # refused before the act, or replayed
                return response
            if response.status_code >= 500 or response.status_code in _NOT_KEPT:
                transaction.set_rollback(True)
                return response
            kept.status, kept.body = response.status_code, dumps(response.data)
            kept.save(update_fields=["status", "body"])
            return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if request.method != "POST" or "HTTP_IDEMPOTENCY_KEY" not in request.META:
            return
        key = _read(request.META["HTTP_IDEMPOTENCY_KEY"])
        if not 1 <= len(key) <= 255 or not key.isprintable():
            raise ValidationFailed(fields={"Idempotency-Key": [_("A text of 1 to 255 characters.")]})
        self._idempotent_answer = _claim(request.workspace.id, key, self.fingerprint(request))  # type: ignore[attr-defined]

    def fingerprint(self, request: Request) -> bytes:
        """SHA-256 of what was asked. Views that stream their body override this."""
        return hash_request(request, hashlib.sha256(request._request.body).digest())

    def handle_exception(self, error: Exception) -> Response:
        """A replay is raised, so that no handler runs; refusals of the act undo what it wrote, but not the key's row."""
        if isinstance(error, _Replay):
            return error.response
        return super().handle_exception(error)  # type: ignore[misc]


def _read(header: str) -> str:
    """The header's text: servers hand the bytes over as Latin-1, clients mean UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def hash_request(request: Request, body_digest: bytes) -> bytes:
    kind = (request.content_type or "").partition(";")[0]  # a form's boundary is another each time
    asked = f"{request.method} {request.get_full_path()} {kind}".encode()
    return hashlib.sha256(asked + b"\n" + body_digest).digest()


def forget_old() -> int:
    """Delete answers past their 24 hours; returns how many."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]


class _Replay(Exception):
    def __init__(self, answer: IdempotentAnswer) -> None:
        super().__init__()
        self.response = _KeptResponse(answer)


class _KeptResponse(Response):
    def __init__(self, answer: IdempotentAnswer) -> None:
        import orjson

        super().__init__(
            orjson.loads(bytes(answer.body or b"null")),
            status=answer.status,
            headers={"Idempotent-Replayed": "true"},
        )


def _claim(workspace_id: int, key: str, fingerprint: bytes) -> IdempotentAnswer:
    IdempotentAnswer.objects.filter(
        workspace_id=workspace_id, key=key, created_at__lt=timezone.now() - KEPT_FOR
    ).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO zevix_idempotentanswer (workspace_id, key, fingerprint, created_at) VALUES (%s, %s, %s, now())"
            " ON CONFLICT (workspace_id, key) DO NOTHING RETURNING id",
            [workspace_id, key, fingerprint],
        )
        row = cursor.fetchone()
    if row:
        return IdempotentAnswer.objects.get(pk=row[0])
    found = IdempotentAnswer.objects.get(workspace_id=workspace_id, key=key)
    if bytes(found.fingerprint) != fingerprint:
        raise KeyReused
    raise _Replay(found)
