"""Rows for the tests of AI, and questions for its server."""

from typing import Any

from accounts.models import Membership, Workspace
from ai.asking import Purpose
from ai.openai_gateway import Question
from billing.models import Subscription
from leads.tests.factories import give_plan


def give_budget(workspace: Workspace, cents: int) -> None:
    """Let AI cost the workspace so much in a month."""
    found = Subscription.objects.filter(workspace=workspace).first()
    plan = found.plan if found else give_plan(workspace, 50)
    plan.ai_budget = cents
    plan.save(update_fields=["ai_budget"])


def make_question(text: str = "Who are you?", **fields: Any) -> Question:
    asked: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "instructions": "Answer in one sentence.",
        "input": [{"role": "user", "content": text}],
        "max_output_tokens": 100,
    }
    return Question(**asked | fields)


def make_purpose(member: Membership, action: str = "chat") -> Purpose:
    return Purpose(member.workspace, member.user, action)
