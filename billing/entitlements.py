"""What a workspace's plan allows. Everybody who needs to know asks here."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.models import Workspace
from billing.models import FREE, Plan, Subscription


def plan_of(workspace: Workspace) -> Plan:
    """The plan that the workspace has now; the free one where none is in force. One query."""
    bought = Subscription.objects.in_force().filter(workspace=workspace).values("plan")
    free = Plan.objects.filter(code=FREE).values("pk")
    return Plan.objects.get(pk=Coalesce(Subquery(bought), Subquery(free)))


def seats_of(workspace: Workspace) -> int | None:
    """How many members the workspace may have: what its plan includes, or the more that were bought; None for as many as it likes."""
    plan = plan_of(workspace)
    bought = Subscription.objects.in_force().filter(workspace=workspace).values_list("seats", flat=True).first()
    return None if plan.seats is None else max(plan.seats, bought or 0)


def ai_budget_of(workspace: Workspace) -> int:
    """What AI may cost the workspace in a month, in US cents."""
    return plan_of(workspace).ai_budget


def with_plans(workspaces: QuerySet[Workspace]) -> QuerySet[Any]:
    """The same workspaces with the plan that each has now, as ``plan_name`` and ``monthly_leads``."""
    bought = Subscription.objects.in_force().filter(workspace=OuterRef("pk"))
    free = Plan.objects.filter(code=FREE)
    return workspaces.annotate(
        plan_name=Coalesce(Subquery(bought.values("plan__name")), Subquery(free.values("name"))),
        monthly_leads=Coalesce(Subquery(bought.values("plan__monthly_leads")), Subquery(free.values("monthly_leads"))),
    )
