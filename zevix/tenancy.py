"""Tenancy: every tenant's table has ``workspace``, and every question about it starts with ``for_workspace``."""

from typing import Any, Self, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import models

Row = TypeVar("Row", bound=models.Model)


class TenantQuerySet(models.QuerySet[Row]):
    """Rows that belong to a workspace; another workspace's row is as good as none."""

    def for_workspace(self, workspace: models.Model | int) -> Self:
        workspace_id = workspace if isinstance(workspace, int) else workspace.pk
        return self.filter(_among(models.Value([workspace_id], ArrayField(models.BigIntegerField()))))

    def for_workspaces(self, workspaces: models.QuerySet[Any]) -> Self:
        """The same, for those that a query finds."""
        return self.filter(_among(ArraySubquery(workspaces.values("pk"))))


def _among(workspace_ids: Any) -> models.Func:
    """``workspace_id = ANY (…)``, also for a single one.

    After ``workspace_id = 7`` the planner leaves workspace_id out of an order by workspace_id and id, and may walk the primary key
    past the rows of every other workspace.
    """
    return models.Func(
        models.F("workspace_id"),
        workspace_ids,
        template="%(expressions)s)",
        arg_joiner=" = ANY(",
        output_field=models.BooleanField(),
    )
