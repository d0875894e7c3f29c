"""Tenancy: every tenant's table has ``workspace``, and every question about it starts with ``for_workspace``."""

from typing import Self, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class TenantQuerySet(models.QuerySet[Row]):
    """Rows that belong to a workspace; another workspace's row is as good as none."""

    def for_workspace(self, workspace: models.Model | int) -> Self:
        return self.filter(workspace=workspace)
