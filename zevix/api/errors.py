"""One handler turns every refusal, validation error, 401, 403, 404, 429 and bug into the one error shape."""

import math
from collections.abc import Iterator
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils.translation import gettext as _
from rest_framework import exceptions, status
from rest_framework.response import Response

from zevix.api.json import dumps
from zevix.errors import (
    Forbidden,
    Malformed,
    NotFound,
    RateLimited,
    Refusal,
    TooLarge,
    Unauthenticated,
    ValidationFailed,
)

log = structlog.get_logger("zevix.errors")


def body(refusal: Refusal, request: HttpRequest) -> dict[str, Any]:
    """The contract's shape: ``success, error, message, [fields], …details, request_id``."""
    shape: dict[str, Any] = {"success": False, "error": refusal.code, "message": str(refusal)}
    if refusal.fields:
        shape["fields"] = {name: [str(sentence) for sentence in said] for name, said in refusal.fields.items()}
    return shape | refusal.details | {"request_id": request.META.get("ZEVIX_REQUEST_ID", "")}


def answer(refusal: Refusal, request: HttpRequest) -> HttpResponse:
    """The refusal as a plain Django response, for where REST framework is not at work."""
    return HttpResponse(
        dumps(body(refusal, request)),
        status=refusal.status,
        content_type="application/json",
        headers=refusal.headers,
    )


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's hook. None (a bug) goes on to Django, which logs it and asks `server_error`."""
    refusal = as_refusal(error)
    if refusal is None:
        return None
    return Response(body(refusal, context["request"]), status=refusal.status, headers=refusal.headers)


def as_refusal(error: Exception) -> Refusal | None:
    """The refusal that an exception of Django's or REST framework's stands for; None when it is a bug."""
    match error:
        case Refusal():
            return error
        case exceptions.ValidationError():
            return ValidationFailed(fields=flatten(error.detail))
        case exceptions.ParseError():
            return Malformed()
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Unauthenticated()
        case exceptions.PermissionDenied() | PermissionDenied():
            return Forbidden()
        case exceptions.NotFound() | Http404():
            return NotFound()
        case exceptions.Throttled():
            return RateLimited(seconds=math.ceil(getattr(error, "wait", None) or 1))
        case exceptions.APIException():
            return _by_status(error)
        case RequestDataTooBig():
            return _too_large()
        case SuspiciousOperation() | UnreadablePostError():
            return Malformed()
    return None


def flatten(detail: Any) -> dict[str, list[Any]]:
    """``{"a": {"b": ["…"]}}`` → ``{"a.b": ["…"]}``; sentences about the whole object stand under ``non_field_errors``."""
    found: dict[str, list[Any]] = {}
    for path, sentence in _leaves(detail):
        found.setdefault(path or "non_field_errors", []).append(sentence)
    return found


def _leaves(detail: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _leaves(inner, f"{path}.{index}" if nested and path else path)
    else:
        yield path, detail


_CODES = {
    status.HTTP_405_METHOD_NOT_ALLOWED: "method_not_allowed",
    status.HTTP_406_NOT_ACCEPTABLE: "not_acceptable",
    status.HTTP_415_UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}


def _by_status(error: exceptions.APIException) -> Refusal:
    refusal = Refusal(str(error.detail).replace("{", "{{").replace("}", "}}"))
    refusal.status = error.status_code
    refusal.code = _CODES.get(error.status_code, "malformed_request")
    return refusal


def _too_large() -> TooLarge:
    from django.conf import settings

    return TooLarge(limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


# Django's own handlers, named in zevix.urls -------------------------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(as_refusal(exception) or Malformed(), request)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(Forbidden(), request)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(NotFound(), request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Says nothing of the cause: that is in the log, under the same request id."""
    shape = {
        "success": False,
        "error": "internal_error",
        "message": _("Something went wrong on our side. It has been noted."),
        "request_id": request.META.get("ZEVIX_REQUEST_ID", ""),
    }
    return HttpResponse(dumps(shape), status=500, content_type="application/json")
