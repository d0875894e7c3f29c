"""The prompts that every installation begins with; the operator changes them in the admin."""

from pathlib import Path
from typing import Any

from django.db import connections, transaction

from ai.models import Prompt, PromptRelease, PromptVersion
from ai.prompts.keys import KEYS

_TEXTS = Path(__file__).parent / "texts"
# tokens out at most, temperature
_SETTINGS = {
    "chat": (800, 0.4),
    "generate_message": (600, 0.7),
    "follow_up": (600, 0.6),
    "analyze_lead": (500, 0.0),
    "summarize": (500, 0.2),
    "assistant": (1_000, 0.3),
    "visitor": (600, 0.3),
    "chat_summary": (500, 0.2),
}


def text(name: str, language: str) -> str:
    """One of our own texts, as it is delivered."""
    return (_TEXTS / f"{name}.{language}.md").read_text(encoding="utf-8").strip()


def seed(using: str, **kwargs: Any) -> None:
    """Add everybody's prompts that are missing; run after every migration. One that is there keeps what the operator made of it."""
    if PromptRelease._meta.db_table not in connections[using].introspection.table_names():
        return  # only some other app was migrated
    for key in KEYS:
        with transaction.atomic(using):
            prompt, is_new = Prompt.objects.using(using).get_or_create(workspace=None, key=key)
            if is_new:
                _publish_first(prompt, using)


def _publish_first(prompt: Prompt, using: str) -> None:
    tokens, temperature = _SETTINGS[prompt.key]
    version = PromptVersion.objects.using(using).create(
        prompt=prompt,
        number=1,
        status=PromptVersion.Status.PUBLISHED,
        english=text(prompt.key, "en"),
        german=text(prompt.key, "de"),
        temperature=temperature,
        max_output_tokens=tokens,
    )
    PromptRelease.objects.using(using).create(prompt=prompt, version=version)
