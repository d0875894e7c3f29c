"""When to try again, and the package's errors in our words. What was asked, what was answered and keys never get into them."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
import openai
import structlog
from django.utils.translation import gettext as _

from zevix.errors import Rejected, Unanswered, Unreachable, UpstreamError

log = structlog.get_logger("ai")

VENDOR = "OpenAI"
_TRIES, _LONGEST_WAIT = 3, 10.0  # seconds
_UNSENT = (
    httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)  # fmt: skip
_GATEWAY_TIMEOUTS = (504, 524)  # of a proxy, behind which the server works on

T = TypeVar("T")


def insist(send: Callable[[], T], *, tries: int = _TRIES) -> tuple[T, int]:
    """What comes of sending, at the try that it came of. Raises Unreachable (Unanswered: it may have been worked on) and Rejected."""
    attempt = 1
    while True:
        try:
            return send(), attempt
        except openai.OpenAIError as error:
            time.sleep(_pause(error, attempt, tries))
        attempt += 1


async def insist_async(send: Callable[[], Awaitable[T]]) -> tuple[T, int]:
    """As `insist`, with the event loop free meanwhile."""
    attempt = 1
    while True:
        try:
            return await send(), attempt
        except openai.OpenAIError as error:
            await asyncio.sleep(_pause(error, attempt))
        attempt += 1


def slug(value: Any) -> str:
    """A code of the vendor's; nothing where it is none, since anything may stand in its place."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.\[\]-]{1,80}", value) else ""


def _pause(error: openai.OpenAIError, attempt: int, tries: int = _TRIES) -> float:
    """Seconds until the next try. Raises ours where there must be none."""
    failure = _ours(error, attempt)
    told = _retry_after(error)
    if attempt == tries or not _is_undone(error) or (told or 0) > _LONGEST_WAIT:
        raise failure from None  # a job that fails writes the whole chain to the log, with the sentences over there
    seconds = told if told is not None else 0.5 * 2**attempt * random.uniform(0.5, 1)
    log.info("ai_tried_again", attempt=attempt, seconds=round(seconds, 1), kind=failure.details["kind"])
    return seconds


def _is_undone(error: openai.OpenAIError) -> bool:
    """Whether the server can't have worked, and may do so the next time."""
    if isinstance(error, openai.APIStatusError):
        return _is_passing(error) and error.status_code not in _GATEWAY_TIMEOUTS
    return isinstance(error, openai.APIConnectionError) and isinstance(error.__cause__, _UNSENT)


def _is_passing(error: openai.APIStatusError) -> bool:
    return error.status_code >= 500 or (error.status_code in (408, 409, 429) and error.code != "insufficient_quota")


def _ours(error: openai.OpenAIError, attempt: int) -> UpstreamError:
    kind, reason = _reason(error)
    details: dict[str, Any] = {"vendor": VENDOR, "reason": reason, "kind": kind, "attempts": attempt}
    if isinstance(error, openai.APIStatusError):
        if error.status_code in _GATEWAY_TIMEOUTS:
            return Unanswered(**details)
        return Unreachable(**details) if _is_passing(error) else Rejected(**details)
    if isinstance(error, openai.APIConnectionError):
        return Unreachable(**details) if _is_undone(error) else Unanswered(**details)
    return Rejected(**details)


def _reason(error: openai.OpenAIError) -> tuple[str, str]:
    """A code for the books, and words for people. Never the server's own sentences: they repeat keys, and what was sent."""
    if isinstance(error, openai.APIStatusError):
        if error.status_code in (401, 403):
            return "authentication", _("OPENAI_API_KEY is not accepted")
        codes = [found for found in (slug(error.code) or slug(error.type), slug(error.param)) if found]
        return (codes or [str(error.status_code)])[0], ", ".join([f"HTTP {error.status_code}", *codes])
    if isinstance(error, openai.APITimeoutError):
        return "timeout", _("no answer in time")
    if isinstance(error, openai.APIConnectionError):
        return "connection", _("no connection, or it broke")
    return type(error).__name__, type(error).__name__


def _retry_after(error: openai.OpenAIError) -> float | None:
    """Source: RFC 9110, 10.2.3: seconds, or a date."""
    text = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return None
