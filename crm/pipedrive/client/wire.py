"""One request and its answer: at its turn, in time, tried again where that does no harm, and failing in our words."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from crm.errors import TokenRefused
from crm.pipedrive.client import answers
from crm.pipedrive.client.answers import NotUnderstood, Row
from crm.pipedrive.client.connections import pool
from crm.pipedrive.client.failures import Refused, failure
from crm.pipedrive.limits import Gate
from zevix.errors import NotConfigured, Rejected, Unanswered, Unreachable

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

_CONNECT = 5.0  # seconds
_LEAST = 0.3  # seconds; with less no request is begun
_LARGEST = 10 * 1024 * 1024  # bytes of an answer


@dataclass(frozen=True)
class Operation:
    """Something that the API does, and how many of the day's tokens it takes."""

    method: str
    path: str
    cost: int
    is_search: bool = False

    @property
    def changes(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    text: bytes


class _TooLarge(Exception):
    pass


class Wire:
    """To one account, for as many threads as like. ``patience``: seconds from now in which everything has to end."""

    def __init__(self, base_url: str, token: str, gate: Gate, *, patience: float | None) -> None:
        self._base_url = _checked(base_url)
        self._token = token
        self._gate = gate if patience is None else gate.until(time.monotonic() + patience)

    def until(self, deadline: float) -> Self:
        """The same, for what has to end by then (`time.monotonic`)."""
        sooner = copy(self)
        sooner._gate = self._gate.until(deadline)
        return sooner

    def ask(
        self,
        operation: Operation,
        *place: int | str,
        read: Callable[[Row], T],
        query: Mapping[str, str | int] | None = None,
        body: Row | None = None,
    ) -> T:
        """What ``read`` makes of the answer; ``place`` fills the path's gaps.

        Raises Unreachable (Unanswered where it may have been done, BudgetSpent), Rejected, TokenRefused.
        """
        request = self._request(operation, place, query, body)
        for wait in (*settings.PIPEDRIVE_PAUSES, None):
            self._gate.enter(operation.cost, is_search=operation.is_search)
            try:
                return self._asked(operation, request, body, read)
            except Unreachable as error:
                if wait is None or isinstance(error, Unanswered) or self._left() < wait + _LEAST:
                    raise
                time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _request(
        self,
        operation: Operation,
        place: tuple[int | str, ...],
        query: Mapping[str, str | int] | None,
        body: Row | None,
    ) -> dict[str, Any]:
        if not (self._token.isascii() and self._token.isprintable() and self._token.strip()):
            raise TokenRefused(vendor="Pipedrive", reason=_("the API token is not valid"), kind="token")
        headers = {"x-api-token": self._token, "accept": "application/json", "user-agent": "Zevix"}
        try:
            path = operation.path.format(*(quote(str(part), safe="") for part in place))
            content = None if body is None else orjson.dumps(body)
            "".join(str(value) for value in (query or {}).values()).encode()
        except (TypeError, UnicodeError) as error:  # half a character, a number too large
            raise Rejected(vendor="Pipedrive", reason=_("this can't be sent"), kind="bad_request") from error
        if content is not None:
            headers["content-type"] = "application/json"
        url = f"{self._base_url}{path}"
        return {"method": operation.method, "url": url, "params": query, "content": content, "headers": headers}

    def _asked(self, operation: Operation, request: dict[str, Any], body: Row | None, read: Callable[[Row], T]) -> T:
        with _failing(operation):
            answer = _sent(request, self._seconds())
        self._gate.told(answer.status, answer.headers, is_search=operation.is_search)
        if not 200 <= answer.status < 300:
            is_html = "html" in answer.headers.get("content-type", "")
            secrets = (self._token, (body or {}).get("http_auth_password") or "")
            raise failure(Refused(answer.status, answer.text, is_html, operation.changes, secrets))
        with _failing(operation):
            return read(answers.parsed(answer.text))

    def _seconds(self) -> float:
        """How long an answer may take. Raises Unreachable where too little time is left."""
        left = self._left()
        if left < _LEAST:
            raise Unreachable(vendor="Pipedrive", reason=_("no time is left"), kind="late")
        return min(left, settings.PIPEDRIVE_TIMEOUT)

    def _left(self) -> float:
        return float("inf") if self._gate.deadline is None else self._gate.deadline - time.monotonic()


def _sent(request: dict[str, Any], seconds: float) -> _Answer:
    import httpx2

    ends = time.monotonic() + seconds
    timeout = httpx2.Timeout(seconds, connect=min(_CONNECT, seconds))
    whole = pool().build_request(**request, timeout=timeout)
    whole.extensions["trace"] = _keeping_time(whole.extensions["timeout"], ends)
    with closing(pool().send(whole, stream=True)) as response:
        return _Answer(response.status_code, response.headers, b"".join(_pieces(response, ends)))


def _keeping_time(timeouts: dict[str, float], ends: float) -> Callable[[str, Any], None]:
    """Cuts, at each step of a request, the time that it may take to what is left; else each might take all of it."""

    def cut(step: str, _details: Any) -> None:
        left = max(0.001, ends - time.monotonic())
        timeouts.update({phase: min(left, seconds) for phase, seconds in timeouts.items()})

    return cut


def _pieces(response: "httpx2.Response", ends: float) -> Iterator[bytes]:
    """The body, which may neither go on for ever nor be larger than we want to hold."""
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > _LARGEST:
            raise _TooLarge
        if time.monotonic() > ends:
            raise TimeoutError
        yield piece


@contextmanager
def _failing(operation: Operation) -> Iterator[None]:
    """Turn what goes wrong on the way into our errors."""
    import httpx2

    in_doubt = Unanswered if operation.changes else Unreachable
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
        raise Unreachable(vendor="Pipedrive", reason=_("no connection"), kind="connection") from error
    except (httpx2.TimeoutException, TimeoutError) as error:
        raise in_doubt(vendor="Pipedrive", reason=_("no answer in time"), kind="timeout") from error
    except httpx2.HTTPError as error:
        raise in_doubt(vendor="Pipedrive", reason=_("the connection broke"), kind="connection") from error
    except NotUnderstood as error:
        raise in_doubt(vendor="Pipedrive", reason=_("its answer is not understood"), kind="answer") from error
    except _TooLarge as error:
        failed = Unanswered if operation.changes else Rejected
        raise failed(vendor="Pipedrive", reason=_("its answer is too large"), kind="too_large") from error
    except httpx2.InvalidURL as error:
        raise NotConfigured(setting="PIPEDRIVE_BASE_URL") from error


def _checked(base_url: str) -> str:
    """Raises NotConfigured where a token would travel in the open."""
    try:
        parts = urlsplit(base_url)
    except ValueError as error:
        raise NotConfigured(setting="PIPEDRIVE_BASE_URL") from error
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        return base_url.rstrip("/")
    raise NotConfigured(setting="PIPEDRIVE_BASE_URL")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
