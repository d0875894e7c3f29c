"""Time that passes here: all that happened is moved back. Triggers are off meanwhile, or it would be a change."""

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from accounts.models import Workspace
from crm.models import TokenMeter
from leads.models import Lead, LeadVersion


def age(workspace: Workspace, seconds: float) -> None:
    tables: list[type[models.Model]] = [*apps.get_app_config("crm").get_models(), Lead, LeadVersion]
    told: dict[str, Any] = {"gone": timedelta(seconds=seconds), "workspace": workspace.pk}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in tables:
            columns = [field.column for field in table._meta.concrete_fields if _is_moment(field)]
            if columns and any(field.name == "workspace" for field in table._meta.concrete_fields):
                moved = ", ".join(f"{column} = {column} - %(gone)s" for column in columns)
                cursor.execute(f"UPDATE {table._meta.db_table} SET {moved} WHERE workspace_id = %(workspace)s", told)
    TokenMeter.objects.for_workspace(workspace).update(requested=[], searched=[])


def _is_moment(field: Any) -> bool:
    return isinstance(field, models.DateTimeField)
