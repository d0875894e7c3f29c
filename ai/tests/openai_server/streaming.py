"""A `Response` as the events that it is streamed in."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from ai.tests.openai_server.answers import Answer

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
Event = dict[str, Any]


def events(answer: Answer, whole: dict[str, Any]) -> Iterator[Event]:
    """All events of a real stream, numbered, each checked by the package's model."""
    for number, event in enumerate(_events(answer, whole)):
        event["sequence_number"] = number
        _EVENT.validate_python(event)
        yield event


def is_delta(event: Event) -> bool:
    return event["type"].endswith(".delta")


def _events(answer: Answer, whole: dict[str, Any]) -> Iterator[Event]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index}
        empty = {**item, "status": "in_progress", **({"content": []} if "content" in item else {"arguments": ""})}
        yield {"type": "response.output_item.added", "item": empty, **place}
        inner = {**place, "item_id": item["id"]}
        yield from _message(item, inner) if item["type"] == "message" else _call(item, inner)
        yield {"type": "response.output_item.done", "item": item, **place}
    if answer.error_event is not None:
        yield {"type": "error", "code": "server_error", "message": answer.error_event, "param": None}
    else:
        yield {"type": f"response.{whole['status']}", "response": whole}


def _message(item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
    for index, part in enumerate(item["content"]):
        here = {**place, "content_index": index}
        field, kind = ("text", "output_text") if part["type"] == "output_text" else ("refusal", "refusal")
        more: Event = {"logprobs": []} if field == "text" else {}
        yield {"type": "response.content_part.added", "part": {**copy.deepcopy(part), field: ""}, **here}
        for piece in _pieces(part[field]):
            yield {"type": f"response.{kind}.delta", "delta": piece, **more, **here}
        yield {"type": f"response.{kind}.done", field: part[field], **more, **here}
        yield {"type": "response.content_part.done", "part": part, **here}


def _call(item: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
    for piece in _pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": piece, **place}
    yield {
        "type": "response.function_call_arguments.done",
        "arguments": item["arguments"],
        "name": item["name"],
        **place,
    }


def _pieces(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)
