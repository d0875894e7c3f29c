"""The AI's server: OpenAI, or any that speaks its Responses API. Nothing else imports its package.

A call succeeds only when the server says that the answer is complete. It is tried again only where the server can't have worked:
no connection, too many requests, or a fault that it reports; never after a time-out, since that answer may have been paid for.
"""

import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx2
import openai
import structlog
from django.conf import settings
from openai.types.responses import Response
from pydantic import BaseModel, ValidationError

from ai.errors import AnswerRefused, AnswerUnusable, Unfinished
from ai.prices import Tokens
from zevix.errors import NotConfigured, Rejected, Unreachable, UpstreamError

log = structlog.get_logger("ai")

VENDOR = "OpenAI"
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)  # seconds; within what a request may take
_TRIES, _LONGEST_WAIT = 3, 20.0  # seconds


@dataclass(frozen=True)
class Tool:
    """Something that the model may ask for; ``parameters`` is a strict JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked. ``instructions`` are ours; ``input`` are the Responses API's items, data and words of others among them."""

    model: str
    instructions: str
    input: Sequence[dict[str, Any]]
    max_output_tokens: int
    temperature: float | None = None
    form: type[BaseModel] | None = None
    tools: Sequence[Tool] = ()

    def as_body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "instructions": self.instructions,
            "input": list(self.input),
            "max_output_tokens": self.max_output_tokens,
            "store": False,
        }
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.form is not None:
            schema = self.form.model_json_schema()
            body["text"] = {
                "format": {"type": "json_schema", "name": self.form.__name__, "strict": True, "schema": schema}
            }
        if self.tools:
            body["tools"] = [
                {"type": "function", "name": tool.name, "description": tool.description, "strict": True, "parameters": tool.parameters}
                for tool in self.tools
            ]  # fmt: skip
        return body


@dataclass(frozen=True)
class ToolCall:
    """What the model wants done; ``arguments`` is the JSON text that it wrote."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """A complete answer. ``items`` are its parts as the API takes them back in the next question of the same run."""

    text: str
    tokens: Tokens
    attempts: int = 1
    form: Any = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Delta:
    """The next piece of an answer's text."""

    text: str


def is_configured() -> bool:
    return bool(settings.OPENAI_API_KEY)


def ask(question: Question) -> Answer:
    """The whole answer. Raises NotConfigured, Unreachable, Rejected, Unfinished, AnswerRefused, AnswerUnusable."""
    client = _client()
    for attempt in _attempts():
        with attempt:
            return _read(client.responses.create(**question.as_body()), question, attempt.number)
    raise AssertionError("unreachable")


async def stream(question: Question) -> AsyncIterator[Delta | Answer]:
    """The answer's text as it comes, and last of all the answer. Raises what `ask` does; Unfinished where the end never came."""
    client = _async_client()
    for attempt in _attempts():
        with attempt:
            events = await client.responses.create(**question.as_body(), stream=True)
            break
    async with events:
        try:
            async for event in events:
                match event.type:
                    case "response.output_text.delta":
                        yield Delta(event.delta)
                    case "response.completed" | "response.incomplete" | "response.failed":
                        yield _read(event.response, question, attempt.number)
                        return
                    case "error":
                        raise Unfinished(vendor=VENDOR, reason=event.message, tokens=None)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise Unfinished(vendor=VENDOR, reason=type(error).__name__, tokens=None) from error
    raise Unfinished(vendor=VENDOR, reason="the stream ended early", tokens=None)


def embed(texts: Sequence[str], *, dimensions: int) -> tuple[list[list[float]], Tokens]:
    """A vector for each text, in order, and what that took. Raises NotConfigured, Unreachable, Rejected, AnswerUnusable."""
    client = _client()
    for attempt in _attempts():
        with attempt:
            found = client.embeddings.create(
                model=settings.OPENAI_EMBEDDING_MODEL, input=list(texts), dimensions=dimensions, encoding_format="float"
            )
            vectors = [row.embedding for row in sorted(found.data, key=lambda row: row.index)]
            if [len(vector) for vector in vectors] != [dimensions] * len(texts):
                raise AnswerUnusable(vendor=VENDOR, reason="vectors of another number or length")
            return vectors, Tokens(input=found.usage.prompt_tokens)
    raise AssertionError("unreachable")


# Connections --------------------------------------------------------------------------------------------------------------


def _settings() -> dict[str, Any]:
    if not is_configured():
        raise NotConfigured(setting="OPENAI_API_KEY")
    return {
        "api_key": settings.OPENAI_API_KEY,
        "base_url": settings.OPENAI_BASE_URL or None,
        "timeout": _TIMEOUT,
        "max_retries": 0,  # ours know what can't have been paid for
    }


def _client() -> openai.OpenAI:
    wanted = _settings()
    return _kept(wanted["api_key"], wanted["base_url"])


@lru_cache(maxsize=2)
def _kept(api_key: str, base_url: str | None) -> openai.OpenAI:
    return openai.OpenAI(**_settings())


def _async_client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**_settings())


# Tries --------------------------------------------------------------------------------------------------------------------


class _Attempt:
    """One try: swallows a failure that is worth another, after a wait, and turns every other into ours."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> "_Attempt":
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        if not isinstance(error, openai.OpenAIError):
            return False
        wait = _wait(error, self.number)
        if wait is None or self.number >= _TRIES:
            raise _ours(error) from error
        log.info("ai_tried_again", attempt=self.number, seconds=round(wait, 1), reason=type(error).__name__)
        time.sleep(wait)
        return True


def _attempts() -> Iterator[_Attempt]:
    for number in range(1, _TRIES + 1):
        yield _Attempt(number)


def _wait(error: openai.OpenAIError, number: int) -> float | None:
    """Seconds until the next try; None where there must be none."""
    if isinstance(error, openai.APITimeoutError):
        return None
    if isinstance(error, openai.APIStatusError):
        worth_it = error.status_code >= 500 or (error.status_code == 429 and error.code != "insufficient_quota")
        if not worth_it:
            return None
        told = _seconds(error.response.headers.get("retry-after"))
        if told is not None:
            return told if told <= _LONGEST_WAIT else None
    elif not isinstance(error, openai.APIConnectionError):
        return None
    return float(min(0.5 * 2**number, _LONGEST_WAIT) * random.uniform(0.5, 1))


def _seconds(text: str | None) -> float | None:
    try:
        return max(float(text), 0) if text else None
    except ValueError:
        return None


def _ours(error: openai.OpenAIError) -> UpstreamError:
    if isinstance(error, openai.APIStatusError):
        passing = error.status_code >= 500 or error.status_code == 429
        failure = Unreachable if passing and error.code != "insufficient_quota" else Rejected
        return failure(vendor=VENDOR, reason=_reason(error), kind=error.code or str(error.status_code))
    if isinstance(error, openai.APIConnectionError):
        return Unreachable(vendor=VENDOR, reason=type(error).__name__, kind="connection")
    return Rejected(vendor=VENDOR, reason=type(error).__name__, kind="answer")


def _reason(error: openai.APIStatusError) -> str:
    # of a refused key the server repeats the key
    if error.status_code in (401, 403):
        return "OPENAI_API_KEY is not accepted"
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or f"HTTP {error.status_code}")[:300]


# Answers ------------------------------------------------------------------------------------------------------------------


def _read(response: Response, question: Question, attempts: int) -> Answer:
    tokens = _tokens(response)
    if response.status == "incomplete":
        reason = (response.incomplete_details and response.incomplete_details.reason) or "incomplete"
        raise Unfinished(vendor=VENDOR, reason=reason, tokens=tokens)
    if response.status != "completed":
        reason = response.error.message if response.error else str(response.status)
        raise Unfinished(vendor=VENDOR, reason=reason, tokens=tokens)
    for item in response.output:
        for part in getattr(item, "content", None) or []:
            if part.type == "refusal":
                raise AnswerRefused(vendor=VENDOR, reason=part.refusal, tokens=tokens)
    calls = [
        ToolCall(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"
    ]
    items = [item.model_dump(mode="json", exclude_none=True) for item in response.output]
    text = response.output_text
    form = None if question.form is None or calls else _form(text, question.form, tokens)
    return Answer(text, tokens, attempts, form, calls, items)


def _form(text: str, form: type[BaseModel], tokens: Tokens) -> BaseModel:
    try:
        return form.model_validate_json(text)
    except ValidationError as error:
        reason = f"{error.error_count()} faults, the first at {error.errors()[0]['loc']}"
        raise AnswerUnusable(vendor=VENDOR, reason=reason, tokens=tokens) from None


def _tokens(response: Response) -> Tokens | None:
    usage = response.usage
    if usage is None:
        return None
    cached = usage.input_tokens_details.cached_tokens if usage.input_tokens_details else 0
    return Tokens(usage.input_tokens, cached or 0, usage.output_tokens)
