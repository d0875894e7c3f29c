"""What a workspace's AI did and cost: by day, action, model and user."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection

from accounts.models import Workspace
from ai.budget import monthly
from ai.models import AIMonth
from leads.quotas import current_month

# every sum in one pass over the calls
_SUMS = """
    SELECT grouping(day, action, model, user_id), day, action, model, user_id, max(email), count(*), sum(input_tokens), sum(cached_tokens),
        sum(output_tokens), sum(cost), count(*) FILTER (WHERE outcome IN ('incomplete', 'refused', 'failed', 'abandoned'))
    FROM (
        SELECT (c.created_at AT TIME ZONE 'UTC')::date AS day, c.action, c.model, c.user_id, u.email, c.input_tokens, c.cached_tokens,
            c.output_tokens, c.cost, c.outcome
        FROM ai_aicall AS c LEFT JOIN accounts_user AS u ON u.id = c.user_id
        WHERE c.workspace_id = %s AND c.created_at >= %s AND c.created_at < %s
    ) AS calls
    GROUP BY GROUPING SETS ((), (day), (action), (model), (user_id))
    ORDER BY 1, sum(cost) DESC, day, action, model, user_id
"""
# the bits of grouping(): a column that is not grouped by has its bit set
_BY = {0b0111: "by_day", 0b1011: "by_action", 0b1101: "by_model", 0b1110: "by_user"}
_ALL = 0b1111


@dataclass(frozen=True)
class Budget:
    """Of a month, in millionths of a US dollar; ``reserved`` is held back for calls that are under way."""

    month: str
    amount: int
    spent: int
    reserved: int

    @property
    def remaining(self) -> int:
        return max(self.amount - self.spent - self.reserved, 0)


def dollars(millionths: int) -> str:
    """An exact number of US dollars, with its six decimals: ``0.001234``."""
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"


def budget(workspace: Workspace) -> Budget:
    """How the plan's budget of this month stands."""
    month = current_month()
    row = AIMonth.objects.for_workspace(workspace).filter(month=month).first()
    return Budget(month, monthly(workspace), row.spent if row else 0, row.reserved if row else 0)


def between(workspace: Workspace, first: date, last: date) -> dict[str, Any]:
    """The sums of the calls asked on these days (UTC, both included), as a whole and ``by_day``, ``by_action``, ``by_model`` and
    ``by_user``, the dearest first (days in their order)."""
    since = datetime.combine(first, time(), UTC)
    until = datetime.combine(last, time(), UTC) + timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [workspace.pk, since, until])
        rows = cursor.fetchall()
    found: dict[str, Any] = {name: [] for name in _BY.values()}
    for grouping, day, action, model, user_id, email, *sums in rows:
        if grouping == _ALL:
            found |= _figures(sums)
            continue
        named = {
            "by_day": {"day": day},
            "by_action": {"action": action},
            "by_model": {"model": model},
            "by_user": {"user_id": user_id, "email": email},
        }[_BY[grouping]]
        found[_BY[grouping]].append(named | _figures(sums))
    found["by_day"].sort(key=lambda row: row["day"])
    return found


def _figures(sums: list[Any]) -> dict[str, Any]:
    calls, tokens_in, cached, tokens_out, cost, failed = (int(figure or 0) for figure in sums)
    return {
        "calls": calls,
        "failed_calls": failed,
        "input_tokens": tokens_in,
        "cached_tokens": cached,
        "output_tokens": tokens_out,
        "cost": dollars(cost),
    }
