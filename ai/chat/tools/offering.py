"""What a tool is: what it takes, what it does, and how its outcome is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ai.chat.runs import Run
from ai.openai_gateway import Tool
from ai.openai_gateway.reading import plain

# no lengths in the schema: OpenAI knows none there
Text = Annotated[str, AfterValidator(lambda text: plain(text).strip())]
LeadId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Arguments(BaseModel):
    """What the model gives; every field is required, None where it has nothing to say."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Told:
    """What comes of a tool: ``said`` in our words, ``data`` in those of others, by name; ``kept`` is for the chat's books alone."""

    said: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Offer:
    """A tool, and the act behind it."""

    name: str
    description: str
    arguments: type[Arguments]
    act: Callable[[Any, Run], Told]

    @property
    def tool(self) -> Tool:
        return Tool.taking(self.arguments, name=self.name, description=self.description)
