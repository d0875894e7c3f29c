"""How many leads a workspace may export this month, and how many it has."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection

from accounts.models import Workspace
from billing import entitlements


@dataclass(frozen=True)
class Standing:
    """The quota of a workspace in a month.

    ``from_credit`` of the ``used`` leads came from credit beyond the plan, of which ``credit`` is left. ``used`` may be above
    ``limit`` after a change to a smaller plan.
    """

    used: int
    from_credit: int
    credit: int
    monthly_leads: int
    month: str
    plan: str

    @property
    def limit(self) -> int:
        return limit(self.monthly_leads, self.from_credit, self.credit)

    @property
    def left_in_plan(self) -> int:
        return max(self.monthly_leads - (self.used - self.from_credit), 0)

    @property
    def remaining(self) -> int:
        return self.left_in_plan + self.credit

    @property
    def ceiling(self) -> int:
        """The highest ``used`` that the workspace can reach: the limit, or what was used beyond it and the credit that is left."""
        return self.used + self.remaining

    def figures(self) -> dict[str, Any]:
        """The contract's ``used, remaining, limit, month``."""
        return {"used": self.used, "remaining": self.remaining, "limit": self.limit, "month": self.month}

    def credit_needed(self, leads: int) -> int:
        """How many of so many more leads the plan has no room for."""
        return max(leads - self.left_in_plan, 0)

    def after(self, charged: int) -> "Standing":
        drawn = self.credit_needed(charged)
        return replace(self, used=self.used + charged, from_credit=self.from_credit + drawn, credit=self.credit - drawn)


def limit(monthly_leads: int, from_credit: int, credit: int) -> int:
    """What can be used in a month in all: the plan's leads, and the credit that was drawn on or is left."""
    return monthly_leads + from_credit + credit


def current_month() -> str:
    """The calendar month in UTC, as ``YYYY-MM``."""
    return datetime.now(UTC).strftime("%Y-%m")


def resets_at(month: str) -> datetime:
    """The moment when a month (``YYYY-MM``) is over, and the plan's leads are counted anew."""
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def last_day(month: str) -> date:
    return (resets_at(month) - timedelta(days=1)).date()


def standing(workspace: Workspace) -> Standing:
    """The quota as it stands. Two queries."""
    month = current_month()
    return _standing(workspace, month, _read(workspace.pk, month) or (0, 0, _credit(workspace.pk) or 0))


def lock_month(workspace: Workspace) -> Standing:
    """The quota as it stands, with every other act upon it kept waiting until this transaction ends."""
    month = current_month()
    found = _read(workspace.pk, month, locking=True)
    if found is None:
        _begin_month(workspace.pk, month)
        found = _read(workspace.pk, month, locking=True)
    used, from_credit, credit = found or (0, 0, None)
    if credit is not None:
        # at the turn of the month an export of the month before may be drawing on it still
        credit = _credit(workspace.pk, locking=True)
    return _standing(workspace, month, (used, from_credit, credit))


def _standing(workspace: Workspace, month: str, found: tuple[int, int, int | None]) -> Standing:
    plan = entitlements.plan_of(workspace)
    used, from_credit, credit = found
    return Standing(used, from_credit, credit or 0, plan.monthly_leads, month, plan.code)


def _read(workspace_id: int, month: str, *, locking: bool = False) -> tuple[int, int, int | None] | None:
    return _one(
        "SELECT used, from_credit, (SELECT balance FROM leads_leadcredit WHERE workspace_id = u.workspace_id)"
        " FROM leads_usage AS u WHERE workspace_id = %s AND month = %s" + " FOR UPDATE" * locking,
        [workspace_id, month],
    )


def _credit(workspace_id: int, *, locking: bool = False) -> int | None:
    found = _one(
        "SELECT balance FROM leads_leadcredit WHERE workspace_id = %s" + " FOR UPDATE" * locking, [workspace_id]
    )
    return found and found[0]


def _one(statement: str, parameters: list[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()


def _begin_month(workspace_id: int, month: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_usage (workspace_id, month) VALUES (%s, %s) ON CONFLICT (workspace_id, month) DO NOTHING",
            [workspace_id, month],
        )
