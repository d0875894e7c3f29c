"""Leads by their e-mail address, where no second one with it may come."""

from django.db import connection

from accounts.models import Workspace
from leads.models import Lead


def hold(email: str, workspace: Workspace) -> int | None:
    """The oldest lead with an e-mail address, in any case. Nobody else who holds the address adds one until the transaction ends."""
    if not email:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('leads.addresses:' || %s || ':' || lower(%s), 0))",
            [workspace.pk, email],
        )
    found = Lead.objects.for_workspace(workspace).with_email(email)
    lead_id: int | None = found.order_by("pk").values_list("pk", flat=True).first()
    return lead_id
