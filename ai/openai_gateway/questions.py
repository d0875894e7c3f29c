"""What is asked, and what comes back, in our words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import openai
from pydantic import BaseModel

from ai.prices import Tokens


@dataclass(frozen=True)
class Tool:
    """Something that the model may ask for; ``parameters`` is a strict JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]

    @classmethod
    def taking(cls, arguments: type[BaseModel], *, name: str, description: str) -> "Tool":
        """A tool whose arguments are the fields of a model; all of them are demanded."""
        return cls(name, description, _schema(arguments))


@dataclass(frozen=True)
class Question:
    """What is asked. ``instructions`` are ours; ``input`` are the Responses API's items, data and words of others among them.

    ``form`` is what the answer has to be. OpenAI knows no lengths of strings and no defaults there: those are for validators.
    """

    model: str
    instructions: str
    input: Sequence[dict[str, Any]]
    max_output_tokens: int
    temperature: float | None = None
    form: type[BaseModel] | None = None
    tools: Sequence[Tool] = ()

    def as_body(self) -> dict[str, Any]:
        """As it goes over the wire."""
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
            form = {"type": "json_schema", "name": self.form.__name__, "strict": True, "schema": _schema(self.form)}
            body["text"] = {"format": form}
        if self.tools:
            body["tools"] = [
                {"type": "function", "name": tool.name, "description": tool.description, "strict": True, "parameters": tool.parameters}
                for tool in self.tools
            ]  # fmt: skip
        return body


@lru_cache(maxsize=100)
def _schema(form: type[BaseModel]) -> Any:
    # the package's one public way to a schema as strict as OpenAI demands
    return openai.pydantic_function_tool(form)["function"]["parameters"]


@dataclass(frozen=True)
class ToolCall:
    """What the model wants done; ``arguments`` is the JSON text that it wrote, and may be broken."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """A complete answer. ``tokens`` is None where the server did not say. ``form`` is an instance of the question's, unless tools are called.

    ``items`` are its parts as the API takes them back in the next question of the same run.
    """

    text: str
    tokens: Tokens | None
    attempts: int = 1
    form: Any = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Delta:
    """The next piece of an answer's text."""

    text: str
