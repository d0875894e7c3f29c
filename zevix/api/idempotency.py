"""``Idempotency-Key``: the same key and body give the first answer again.

`Idempotent`: the key's row, the act and the kept answer are one transaction. A second request with the same key waits at the
unique constraint until the first has committed, and then reads its answer; a crash leaves neither act nor key. So it fits acts
that are pure database work.

`IdempotentAbroad` is for acts that call a vendor, which no transaction may wait for: the key is claimed, the act done and the
answer kept one after the other. What is known of an act that was broken off is its key's row, and the vendor gets a key that is
made of it: done again, it is the same act there.
"""

import hashlib
import uuid
from datetime import timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zevix.api.json import dumps
from zevix.errors import Conflict, Refusal, Unanswered, ValidationFailed
from zevix.models import IdempotentAnswer

KEPT_FOR = timedelta(hours=24)
AT_WORK_FOR = timedelta(minutes=1)
# answers that say nothing about the act: the client is to come again
_NOT_KEPT = {401, 413, 429}


class KeyReused(Refusal):
    code, status = "idempotency_key_reused", 422
    message = _("This Idempotency-Key came before with another request.")


class AtWork(Conflict):
    message = _("A request with this Idempotency-Key is being worked on.")

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class _Keyed(APIView):
    """Claims the key of a POST. An act without an answer is taken to be alive for ``at_work_for``."""

    at_work_for = AT_WORK_FOR
    _idempotent_answer: IdempotentAnswer | None = None  # none: no key, refused before the act, or replayed

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "POST" or (key := key_of(request)) is None:
            return
        with transaction.atomic():
            self._idempotent_answer = _claim(
                request.workspace.id,  # type: ignore[attr-defined]  # a SignedInRequest: all else was refused above
                key,
                self.fingerprint(request),
                at_work_for=self.at_work_for,
            )

    def fingerprint(self, request: Request) -> bytes:
        """SHA-256 of what was asked. Views that stream their body override this."""
        return hash_request(request, hashlib.sha256(request._request.body).digest())

    def handle_exception(self, error: Exception) -> Response:
        """A replay is raised, so that no handler runs; refusals of the act undo what it wrote, but not the key's row."""
        if isinstance(error, _Replay):
            return error.response
        return super().handle_exception(error)


class Idempotent(_Keyed):
    """For API views: POSTs with an ``Idempotency-Key`` are done once per workspace."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method != "POST" or "HTTP_IDEMPOTENCY_KEY" not in request.META:
            return super().dispatch(request, *args, **kwargs)
        with transaction.atomic():
            response: Any = super().dispatch(request, *args, **kwargs)
            kept = self._idempotent_answer
            if kept is None:
                return response
            if _is_worth_keeping(response):
                _keep(kept, response)
            else:
                transaction.set_rollback(True)
            return response


class IdempotentAbroad(_Keyed):
    """The same for acts that call a vendor. A second request while the first is at work is refused (409); one that was broken off
    can be taken up again, at once where it could tell that it was, else after ``at_work_for``."""

    _is_unanswered = False

    @property
    def act(self) -> str:
        """What the vendor is to know this act by: the same for each request with this key, another for every one without."""
        return str(self._idempotent_answer.pk) if self._idempotent_answer else uuid.uuid4().hex

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response: Any = super().dispatch(request, *args, **kwargs)
        kept = self._idempotent_answer
        if kept is None:
            return response
        if _is_worth_keeping(response):
            _keep(kept, response)
        elif self._is_unanswered:
            IdempotentAnswer.objects.filter(pk=kept.pk).update(created_at=timezone.now() - self.at_work_for)
        else:
            kept.delete()
        return response

    def handle_exception(self, error: Exception) -> Response:
        self._is_unanswered = isinstance(error, Unanswered)
        return super().handle_exception(error)


def _is_worth_keeping(response: Response) -> bool:
    return response.status_code < 500 and response.status_code not in _NOT_KEPT


def _keep(kept: IdempotentAnswer, response: Response) -> None:
    IdempotentAnswer.objects.filter(pk=kept.pk).update(status=response.status_code, body=dumps(response.data))


def key_of(request: Request) -> str | None:
    """The request's key, if it has one. Raises ValidationFailed."""
    if "HTTP_IDEMPOTENCY_KEY" not in request.META:
        return None
    key = _read(request.META["HTTP_IDEMPOTENCY_KEY"])
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise ValidationFailed(fields={"Idempotency-Key": [_("A text of 1 to 255 characters.")]})
    return key


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
        super().__init__(
            orjson.loads(bytes(answer.body or b"null")),
            status=answer.status,
            headers={"Idempotent-Replayed": "true"},
        )


def _claim(workspace_id: int, key: str, fingerprint: bytes, *, at_work_for: timedelta) -> IdempotentAnswer:
    IdempotentAnswer.objects.filter(
        workspace_id=workspace_id, key=key, created_at__lt=timezone.now() - KEPT_FOR
    ).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO zevix_idempotentanswer AS kept (workspace_id, key, fingerprint, created_at) VALUES (%s, %s, %s, clock_timestamp())"
            " ON CONFLICT (workspace_id, key) DO UPDATE SET created_at = clock_timestamp()"
            " WHERE kept.status IS NULL AND kept.fingerprint = excluded.fingerprint AND kept.created_at <= clock_timestamp() - %s * interval '1 second'"
            " RETURNING id",
            [workspace_id, key, fingerprint, at_work_for.total_seconds()],
        )
        row = cursor.fetchone()
    if row:
        return IdempotentAnswer.objects.get(pk=row[0])
    found = IdempotentAnswer.objects.filter(workspace_id=workspace_id, key=key).first()
    if found is None:  # let go at this very moment
        return _claim(workspace_id, key, fingerprint, at_work_for=at_work_for)
    if bytes(found.fingerprint) != fingerprint:
        raise KeyReused
    if found.status is None:
        raise AtWork
    raise _Replay(found)
