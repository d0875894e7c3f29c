"""What a workspace's plan allows. Everybody who needs to know asks here."""

from typing import Any

from django.db.models import QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.models import Workspace
from billing.models import FREE, Plan, Subscription


def plan_of(workspace: Workspace) -> Plan:
    """The plan that the workspace has now; the free one where none was given. One query."""
    given = Subscription.objects.filter(workspace=workspace).values("plan")
    free = Plan.objects.filter(code=FREE).values("pk")
    return Plan.objects.get(pk=Coalesce(Subquery(given), Subquery(free)))


def with_plans(workspaces: QuerySet[Workspace]) -> QuerySet[Any]:
    """The same workspaces with the plan that each has now, as ``plan_name`` and ``monthly_leads``."""
    free = Plan.objects.filter(code=FREE)
    return workspaces.annotate(
        plan_name=Coalesce("subscription__plan__name", Subquery(free.values("name"))),
        monthly_leads=Coalesce("subscription__plan__monthly_leads", Subquery(free.values("monthly_leads"))),
    )
