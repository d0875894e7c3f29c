"""Asking a question, for the whole answer or for its text as it comes."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai
import structlog
from django.utils.translation import gettext as _

from ai.errors import Unfinished
from ai.openai_gateway import reading
from ai.openai_gateway.connections import async_client, client
from ai.openai_gateway.insisting import VENDOR, insist, insist_async, slug
from ai.openai_gateway.questions import Answer, Delta, Question

log = structlog.get_logger("ai")

_LEFT_OVER = 0.5  # seconds
_LONGEST = 300.0  # seconds for a stream, whose pieces may come as slowly as the time-out lets them
_LAST = ("response.completed", "response.incomplete", "response.failed")


def ask(question: Question) -> Answer:
    """The whole answer. Raises NotConfigured, Unreachable, Rejected, Unfinished, AnswerRefused, AnswerUnusable."""
    server, body = client(), question.as_body()
    # sent as it is, since the package would walk through all of it in search of what to convert; and read by ourselves, since it builds
    # its objects of whatever comes
    response, attempts = insist(lambda: server.responses.with_raw_response.create(extra_body=body))
    return reading.answer(response.content, question, attempts)


async def stream(question: Question) -> AsyncGenerator[Delta | Answer, None]:
    """The answer's text as it comes, and last of all the answer. Raises what `ask` does; Unfinished where the end never came.

    Close it (`contextlib.aclosing`) where it is not read to its end.
    """
    server, body = await async_client(), question.as_body()
    events: Any  # of a hundred kinds
    events, attempts = await insist_async(lambda: server.responses.create(extra_body=body, stream=True))
    latest = time.monotonic() + _LONGEST
    async with events:
        try:
            async for event in events:
                kind = getattr(event, "type", None)
                if kind in _LAST:
                    yield reading.answer(_response(event), question, attempts)
                    await _read_out(events)
                    return
                if kind == "error":
                    raise _unfinished(slug(getattr(event, "code", None)) or "error", attempts)
                if kind == "response.output_text.delta" and isinstance(event.delta, str):
                    yield Delta(reading.plain(event.delta))
                if time.monotonic() > latest:
                    raise _unfinished("timeout", attempts)
        except (openai.OpenAIError, httpx2.HTTPError, ValueError):  # ValueError: an event that is no JSON
            raise _unfinished("connection", attempts) from None
    raise _unfinished("connection", attempts)


async def _read_out(events: Any) -> None:
    """Past the answer's end nothing is said any more; but a stream that is read out leaves its connection to the next question."""
    try:
        async with asyncio.timeout(_LEFT_OVER):
            async for _event in events:
                pass
    except (openai.OpenAIError, httpx2.HTTPError, ValueError, TimeoutError):
        log.info("ai_stream_not_read_out")


def _response(event: Any) -> Any:
    return event.to_dict(mode="json", warnings=False).get("response")


def _unfinished(kind: str, attempts: int) -> Unfinished:
    reason = {"connection": _("no connection, or it broke"), "timeout": _("no answer in time")}.get(kind, kind)
    return Unfinished(vendor=VENDOR, reason=reason, kind=kind, attempts=attempts, tokens=None)
