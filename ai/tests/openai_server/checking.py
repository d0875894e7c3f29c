"""Whether OpenAI would take a request: the package's own types say what fits, and a few rules what they leave out."""

import re
from typing import Any

from openai.types import EmbeddingCreateParams
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter, ValidationError

from ai.tests.openai_server.refusals import Refused, refused
from ai.tests.openai_server.schemas import check_strict

_WHOLE = TypeAdapter(ResponseCreateParamsNonStreaming)
_STREAMED = TypeAdapter(ResponseCreateParamsStreaming)
_EMBEDDING: TypeAdapter[Any] = TypeAdapter(EmbeddingCreateParams)

MODELS = {"gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4o", "gpt-4.1-mini", "gpt-4.1"}
EMBEDDING_MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check_response(body: dict[str, Any]) -> None:
    """Raise Refused where the Responses API would refuse the body."""
    _check_types(_STREAMED if body.get("stream") else _WHOLE, body)
    _check_model(body.get("model"), MODELS)
    if "input" not in body:
        raise refused("missing_required_parameter", "Missing required parameter: 'input'.", "input")
    if body.get("max_output_tokens", 16) < 16:
        raise refused("integer_below_min_value", "Expected a value >= 16.", "max_output_tokens")
    if not 0 <= body.get("temperature", 1) <= 2:
        raise refused("decimal_above_max_value", "Expected a value between 0 and 2.", "temperature")
    _check_format(body.get("text", {}).get("format", {}))
    for tool in body.get("tools", []):
        _check_tool(tool)
    _check_outputs_have_calls(body["input"])


def check_embedding(body: dict[str, Any]) -> None:
    """Raise Refused where the embeddings API would refuse the body."""
    _check_types(_EMBEDDING, body)
    _check_model(body["model"], set(EMBEDDING_MODELS))
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not texts or len(texts) > 2048 or not all(isinstance(text, str) for text in texts):
        raise Refused("'$.input' is invalid: 1 to 2048 strings.", param="input")
    if any(not text or len(text) // 4 > 8192 for text in texts) or sum(len(text) for text in texts) // 4 > 300_000:
        raise Refused("This model's maximum context length is 8192 tokens, and no input may be empty.", param="input")
    own = EMBEDDING_MODELS[body["model"]]
    if "dimensions" in body and not (body["model"].startswith("text-embedding-3") and 1 <= body["dimensions"] <= own):
        raise Refused("This model does not support specifying dimensions.", param="dimensions")


def _check_types(adapter: TypeAdapter[Any], body: dict[str, Any]) -> None:
    try:
        taken = _plain(adapter.validate_python(body))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"][:2]))
        raise refused("invalid_type", f"Invalid type for '{where}': {error.errors()[0]['msg']}.", where)
    # what the types do not know is dropped, and what only resembles them is converted
    for name in body:
        if name not in taken:
            raise refused("unknown_parameter", f"Unknown parameter: '{name}'.", name)
        if taken[name] != body[name]:
            raise refused("unknown_parameter", f"Something in '{name}' is unknown, or of another type.", name)


def _plain(value: Any) -> Any:
    """Without the iterators that validate only as they are read."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return [_plain(inner) for inner in value]


def _check_model(model: str | None, known: set[str]) -> None:
    if model not in known:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise refused("model_not_found", message, status=404)


def _check_format(form: dict[str, Any]) -> None:
    if form.get("type") != "json_schema":
        return
    if not _NAME.fullmatch(form["name"]):
        raise refused("invalid_value", "Expected a string that matches '^[a-zA-Z0-9_-]+$'.", "text.format.name")
    if form.get("strict"):
        check_strict(form["schema"], form["name"], "text.format.schema")


def _check_tool(tool: dict[str, Any]) -> None:
    if tool["type"] != "function":
        raise Refused(f"The stand-in has no tools of the type {tool['type']}.", param="tools")
    if not _NAME.fullmatch(tool["name"]):
        raise refused("invalid_value", "Expected a string that matches '^[a-zA-Z0-9_-]+$'.", "tools.name")
    if tool.get("strict"):
        check_strict(tool["parameters"], tool["name"], "tools.parameters")


def _check_outputs_have_calls(items: Any) -> None:
    if isinstance(items, str):
        return
    called = {item["call_id"] for item in items if item.get("type") == "function_call"}
    for item in items:
        if item.get("type") == "function_call_output" and item["call_id"] not in called:
            raise Refused(f"No tool call found for function call output with call_id {item['call_id']}.", param="input")
