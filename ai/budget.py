"""What AI may cost a workspace in a month: held back before a call, settled after it, given back where nothing was done."""

import hashlib
from datetime import timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User, Workspace
from ai import prices
from ai.errors import BudgetExceeded
from ai.models import AICall, AIMonth, PromptVersion
from ai.prices import Tokens
from billing import entitlements
from leads.quotas import current_month

_CENT = 10_000  # millionths of a dollar
ALIVE_FOR = timedelta(minutes=15)  # a call without an end is taken to be under way


@transaction.atomic(durable=True)  # who asks the AI waits, and must hold no lock meanwhile
def reserve(
    body: dict[str, Any],
    *,
    output: int,
    workspace: Workspace,
    user: User | None,
    action: str,
    version: PromptVersion | None = None,
) -> AICall:
    """The call's row, with the most that it can cost held back. Raises BudgetExceeded.

    ``body`` is what is sent: a text has at most as many tokens as bytes. ``output`` is how many tokens may come back.
    """
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    amount = prices.cost(body["model"], Tokens(input=len(text), output=output))
    budget = monthly(workspace)  # before the month, which others wait for
    month = _lock(workspace.pk)
    if not budget or month.spent + month.reserved + amount > budget:
        raise BudgetExceeded(budget=f"{budget / 100 / _CENT:.2f}")
    call: AICall = AICall.objects.create(
        workspace=workspace,
        user=user,
        action=action,
        prompt_version=version,
        model=body["model"],
        input_hash=hashlib.sha256(text).hexdigest(),
        month=month.month,
        reserved=amount,
    )
    return call


def monthly(workspace: Workspace) -> int:
    """What the plan lets AI cost in a month, in millionths of a US dollar."""
    return entitlements.ai_budget_of(workspace) * _CENT


def settle(call: AICall, outcome: str, tokens: Tokens | None, *, attempts: int = 1, error: str = "") -> None:
    """Write down what the call took, and give back what it did not; all of what was held back is taken where the server does not say."""
    cost = call.reserved if tokens is None else prices.cost(call.model, tokens)
    _end(call, outcome, cost, tokens or Tokens(), attempts, error)


def release(call: AICall, *, attempts: int = 1, error: str = "") -> None:
    """Give all of it back: the server did nothing that it will be paid for."""
    _end(call, AICall.Outcome.FAILED, 0, Tokens(), attempts, error)


def end_abandoned() -> int:
    """Settle the calls whose process was killed, at what was held back: the server may have worked. Returns how many."""
    old = AICall.objects.filter(outcome=AICall.Outcome.RUNNING, created_at__lt=timezone.now() - ALIVE_FOR)
    return sum(_end(call, AICall.Outcome.ABANDONED, call.reserved, Tokens(), call.attempts, "") for call in old)


def _end(call: AICall, outcome: str, cost: int, tokens: Tokens, attempts: int, error: str) -> int:
    """Returns 1, or 0 where the call had ended before."""
    now = timezone.now()
    ended: int = AICall.objects.filter(pk=call.pk, outcome=AICall.Outcome.RUNNING).update(
        outcome=outcome,
        cost=cost,
        reserved=0,
        input_tokens=tokens.input,
        cached_tokens=tokens.cached,
        output_tokens=tokens.output,
        attempts=attempts,
        error=error[:1_000],
        duration_ms=round((now - call.created_at).total_seconds() * 1_000),
        finished_at=now,
    )
    return ended


def _lock(workspace_id: int) -> AIMonth:
    """The month's row, with every other reservation kept waiting until this transaction ends."""
    month = current_month()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ai_aimonth (workspace_id, month) VALUES (%s, %s) ON CONFLICT (workspace_id, month) DO NOTHING",
            [workspace_id, month],
        )
    found: AIMonth = AIMonth.objects.select_for_update().get(workspace=workspace_id, month=month)
    return found
