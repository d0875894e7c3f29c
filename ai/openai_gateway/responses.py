"""Asking a question, for the whole answer or for its text as it comes."""

import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai
from django.utils.translation import gettext as _

from ai.errors import Unfinished
from ai.openai_gateway import reading
from ai.openai_gateway.connections import async_client, client
from ai.openai_gateway.insisting import VENDOR, insist, insist_async, slug
from ai.openai_gateway.questions import Answer, Delta, Question

_LONGEST = 300.0  # seconds for a stream, whose pieces may come as slowly as the time-out lets them
_LAST = ("response.completed", "response.incomplete", "response.failed")


def ask(question: Question) -> Answer:
    """The whole answer. Raises NotConfigured, Unreachable, Rejected, Unfinished, AnswerRefused, AnswerUnusable."""
    server, body = client(), question.as_body()
    # read by ourselves: the package builds its objects of whatever comes
    response, attempts = insist(lambda: server.responses.with_raw_response.create(**body))
    return reading.answer(response.content, question, attempts)


async def stream(question: Question) -> AsyncGenerator[Delta | Answer, None]:
    """The answer's text as it comes, and last of all the answer. Raises what `ask` does; Unfinished where the end never came.

    Close it (`contextlib.aclosing`) where it is not read to its end.
    """
    server, body = await async_client(), question.as_body()
    events, attempts = await insist_async(lambda: server.responses.create(**body, stream=True))
    latest = time.monotonic() + _LONGEST
    async with events:
        try:
            async for event in events:
                kind = getattr(event, "type", None)
                if kind in _LAST:
                    yield reading.answer(_response(event), question, attempts)
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


def _response(event: Any) -> Any:
    return event.to_dict(mode="json", warnings=False).get("response")


def _unfinished(kind: str, attempts: int) -> Unfinished:
    reason = {"connection": _("no connection, or it broke"), "timeout": _("no answer in time")}.get(kind, kind)
    return Unfinished(vendor=VENDOR, reason=reason, kind=kind, attempts=attempts, tokens=None)
