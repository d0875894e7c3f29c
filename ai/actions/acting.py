"""The act behind ``POST /ai``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.models import User, Workspace
from ai import asking
from ai.actions import answers, questions, tasks
from ai.actions.analysis import Analysis
from ai.asking import Purpose
from ai.prompts import versions


@dataclass(frozen=True)
class Reply:
    """What the AI said, in which language, told by which version of the prompt; ``analysis`` of analyze_lead only."""

    action: str
    reply: str
    language: str
    prompt_version: int
    analysis: Analysis | None


def act(action: str, data: Mapping[str, Any], *, workspace: Workspace, user: User) -> Reply:
    """Have the AI do one of the actions. Nothing is written but the call in the books.

    Raises NotFound for another workspace's lead, BudgetExceeded, NotConfigured, and UpstreamError.
    """
    version = versions.current(action, workspace, data.get("label", versions.PRODUCTION))
    task = tasks.task(action, data, workspace)
    question = questions.question(version, task)
    answer = asking.ask(question, Purpose(workspace, user, action, version))
    reply = answers.checked(answer, question)
    return Reply(action, reply, task.language, version.number, answer.form if question.form else None)
