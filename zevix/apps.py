from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.db.backends.signals import connection_created


class ZevixConfig(AppConfig):
    name = "zevix"

    def ready(self) -> None:
        connection_created.connect(_plan_whole_sorts)


def _plan_whole_sorts(connection: Any, **_signal: Any) -> None:
    """Pages are ordered by the workspace first. Sorting only within it, the planner takes the rows for those of as many workspaces
    as there are, and reads all of a workspace where a walk along an index ends after a page (`docs/decisions/0007…`)."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_incremental_sort = off")


class AdminConfig(DjangoAdminConfig):
    default_site = "zevix.admin_site.ZevixAdminSite"
