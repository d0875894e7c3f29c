"""What the model answers, as the API's `Response`."""

import json
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

from openai.types.responses import Response

_numbers = count(1)


@dataclass(frozen=True)
class Answer:
    """What the model says and does, and how the server's answer ends. ``tokens`` are (in, of these cached, out)."""

    text: str | None = None
    refusal: str | None = None
    call: tuple[str, str] | None = None
    tokens: tuple[int, int, int] | None = None
    incomplete: str | None = None
    failure: str | None = None
    error_event: str | None = None
    cut_after: int | None = None
    is_cut_cleanly: bool = False

    @property
    def status(self) -> str:
        return "incomplete" if self.incomplete else "failed" if self.failure else "completed"


def response(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    """The whole of it, checked by the package's model."""
    made = {
        "id": f"resp_{next(_numbers):06d}",
        "object": "response",
        "created_at": int(time.time()),
        "status": answer.status,
        "background": False,
        "error": {"code": "server_error", "message": answer.failure} if answer.failure else None,
        "incomplete_details": {"reason": answer.incomplete} if answer.incomplete else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": [] if answer.failure else _output(answer),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, **body.get("text", {})},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if answer.failure else _usage(answer, body),
        "user": None,
    }
    Response.model_validate(made)
    return made


def _output(answer: Answer) -> list[dict[str, Any]]:
    number = next(_numbers)
    if answer.call is not None:
        name, arguments = answer.call
        return [
            {
                "id": f"fc_{number:06d}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{number:06d}",
                "name": name,
                "arguments": arguments,
            }
        ]
    if answer.refusal is not None:
        part: dict[str, Any] = {"type": "refusal", "refusal": answer.refusal}
    else:
        part = {"type": "output_text", "text": answer.text or "", "annotations": [], "logprobs": []}
    state = "incomplete" if answer.incomplete else "completed"
    return [
        {"id": f"msg_{number:06d}", "type": "message", "status": state, "role": "assistant", "content": [part]}
    ]  # fmt: skip


def _usage(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    said = answer.text or answer.refusal or (answer.call or ("", ""))[1]
    taken = tokens_of(f"{body.get('instructions') or ''}{json.dumps(body['input'], ensure_ascii=False)}")
    fresh, cached, out = answer.tokens or (taken, 0, tokens_of(said))
    return {
        "input_tokens": fresh,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": fresh + out,
    }


def tokens_of(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // 4 + 1
