"""How many leads a workspace may export this month, and how many it has."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from accounts.models import Workspace
from billing import entitlements
from leads.models import Usage


@dataclass(frozen=True)
class Standing:
    """The quota of a workspace in a month. ``used`` may be above ``limit`` after a change to a smaller plan."""

    used: int
    limit: int
    month: str
    plan: str

    @property
    def remaining(self) -> int:
        return max(self.limit - self.used, 0)

    def figures(self) -> dict[str, Any]:
        """The contract's ``used, remaining, limit, month``."""
        return {"used": self.used, "remaining": self.remaining, "limit": self.limit, "month": self.month}

    def after(self, charged: int) -> "Standing":
        return Standing(**{**asdict(self), "used": self.used + charged})


def current_month() -> str:
    """The calendar month in UTC, as ``YYYY-MM``."""
    return datetime.now(UTC).strftime("%Y-%m")


def standing(workspace: Workspace) -> Standing:
    """The quota as it stands. Two queries."""
    month = current_month()
    used = Usage.objects.for_workspace(workspace).filter(month=month).values_list("used", flat=True).first()
    return _standing(workspace, month, used or 0)


def lock_month(workspace: Workspace) -> Standing:
    """The quota as it stands, with every other export of the workspace kept waiting until this transaction ends."""
    month = current_month()
    used = _lock(workspace.pk, month)
    if used is None:
        _begin_month(workspace.pk, month)
        used = _lock(workspace.pk, month) or 0
    return _standing(workspace, month, used)


def _standing(workspace: Workspace, month: str, used: int) -> Standing:
    plan = entitlements.plan_of(workspace)
    return Standing(used=used, limit=plan.monthly_leads, month=month, plan=plan.code)


def _lock(workspace_id: int, month: str) -> int | None:
    row = Usage.objects.select_for_update().filter(workspace=workspace_id, month=month).values_list("used").first()
    return row and row[0]


def _begin_month(workspace_id: int, month: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_usage (workspace_id, month, used, limit_when_charged) VALUES (%s, %s, 0, 0)"
            " ON CONFLICT (workspace_id, month) DO NOTHING",
            [workspace_id, month],
        )
