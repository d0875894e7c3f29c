"""What every request passes: its id, its line in the log, and a check that the text around the body is text."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation

from zevix.api.errors import answer
from zevix.errors import LengthRequired, Malformed, Refusal

log = structlog.get_logger("zevix.requests")

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_Next = Callable[[HttpRequest], HttpResponseBase]


class RequestLog:
    """Names the request (``X-Request-ID``, the client's own where it is sane) and writes its line.

    The line has the route, not the path: paths may hold secrets.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        request.META["ZEVIX_REQUEST_ID"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()

        response = self.get_response(request)

        response["X-Request-ID"] = request_id
        log.info(
            "request",
            method=request.method,
            route=request.resolver_match.route if request.resolver_match else None,
            status=response.status_code,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return response


class CleanInput:
    """Refuses what no handler could read: NUL in the path or the query, bodies of unknown length."""

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return self._refuse(Malformed(), request)
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "") and not request.META.get("CONTENT_LENGTH"):
            return self._refuse(LengthRequired(), request)
        return self.get_response(request)

    def _refuse(self, refusal: Refusal, request: HttpRequest) -> HttpResponseBase:
        # nobody has chosen the language yet: the thread still speaks that of its last request
        with translation.override(translation.get_language_from_request(request)):
            return answer(refusal, request)
