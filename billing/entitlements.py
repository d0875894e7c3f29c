"""What a workspace's plan allows. Everybody who needs to know asks here."""

from django.db.models import Subquery
from django.db.models.functions import Coalesce

from accounts.models import Workspace
from billing.models import FREE, Plan, Subscription


def plan_of(workspace: Workspace) -> Plan:
    """The plan that the workspace has now; the free one where none was given. One query."""
    given = Subscription.objects.filter(workspace=workspace).values("plan")
    free = Plan.objects.filter(code=FREE).values("pk")
    return Plan.objects.get(pk=Coalesce(Subquery(given), Subquery(free)))
