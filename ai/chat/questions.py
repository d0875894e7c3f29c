"""What goes to the AI in a talk: our text as instructions, the messages as they were said, and all else that others wrote as fenced data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils import timezone

from ai import fences
from ai.actions import manners
from ai.actions.questions import named
from ai.models import PromptVersion
from ai.openai_gateway import Question
from ai.prompts import templates
from ai.prompts.seeding import text


@dataclass(frozen=True)
class Talk:
    """``messages`` are ``{"role", "content"}``, the oldest first; ``data`` is what is known beside them, ``lead`` and ``passages`` by these names."""

    language: str
    company: str
    messages: Sequence[Mapping[str, str]]
    data: Mapping[str, Any]
    fence: str = field(default_factory=fences.new)


def question(version: PromptVersion, talk: Talk) -> Question:
    """What a version of a prompt asks in a talk. The data stand before the last message, so that what is before them stays as it was."""
    language = "de" if talk.language == "de" and version.german else "en"
    told = templates.render(version.german if language == "de" else version.english, _words(talk, language))
    rules = {"fence": talk.fence, "language": manners.name_of(talk.language, language)}
    return Question(
        model=version.model or settings.OPENAI_MODEL,
        instructions=f"{told}\n\n{templates.render(text('chat_rules', language), rules)}",
        input=_input(talk),
        max_output_tokens=version.max_output_tokens,
        temperature=version.temperature,
    )


def _words(talk: Talk, language: str) -> dict[str, str]:
    return {
        "language": manners.name_of(talk.language, language),
        "today": timezone.now().date().isoformat(),
        "company": talk.company,
    } | {name: named(name, bool(talk.data.get(name)), language) for name in ("lead", "passages")}


def _input(talk: Talk) -> list[dict[str, Any]]:
    said = [dict(message) for message in talk.messages]
    data = fences.around(talk.data, talk.fence)
    return [*said[:-1], *([{"role": "user", "content": data}] if data else []), *said[-1:]]
