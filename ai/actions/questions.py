"""What goes to the AI: our text as instructions, and all that others wrote as data in a fence that nobody can guess.

However it is worded, what a lead's notes or a message say never gets among the instructions, and can't close the fence.
"""

from typing import Any

from django.conf import settings
from django.utils import timezone

from ai import fences
from ai.actions import manners
from ai.actions.analysis import Analysis
from ai.actions.tasks import Task
from ai.models import PromptVersion
from ai.openai_gateway import Question
from ai.prompts import templates
from ai.prompts.seeding import text

_FORMS = {"analyze_lead": Analysis}


def question(version: PromptVersion, task: Task) -> Question:
    """What a version of a prompt asks about a task."""
    language = "de" if task.language == "de" and version.german else "en"
    fence = fences.new()
    told = templates.render(version.german if language == "de" else version.english, _words(task, language))
    rules = templates.render(
        text("rules", language), {"fence": fence, "language": manners.name_of(task.language, language)}
    )
    return Question(
        model=version.model or settings.OPENAI_MODEL,
        instructions=f"{told}\n\n{rules}",
        input=[{"role": "user", "content": fences.around(_data(task), fence)}],
        max_output_tokens=version.max_output_tokens,
        temperature=version.temperature,
        form=_FORMS.get(task.action),
    )


def _words(task: Task, language: str) -> dict[str, str]:
    return {
        "language": manners.name_of(task.language, language),
        "today": timezone.now().date().isoformat(),
        "channel": manners.channel(task.lead, language),
        "tone": manners.tone(task.lead, language),
    } | {name: named(name, bool(value), language) for name, value in _data(task).items()}


def named(name: str, is_given: bool, language: str) -> str:
    """What a prompt says in the place of data, which follow apart."""
    if language == "de":
        return f"„{name}“" if is_given else f"„{name}“ (nicht angegeben)"
    return f"“{name}”" if is_given else f"“{name}” (not given)"


def _data(task: Task) -> dict[str, Any]:
    return {"lead": task.lead, "messages": list(task.messages)}
