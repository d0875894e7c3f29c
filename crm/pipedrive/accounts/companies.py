"""Whose account it is. What was linked in one company's must never be taken for another's, whose ids mean other things."""

from django.utils import timezone

from crm.models import Conflict, Connection, Creation, Deal, InboxEvent, Link


def belong_to(connection: Connection, company_id: int) -> None:
    """Note the company. Links, objects and deals of another one are forgotten; deals that are still to be made stay."""
    if connection.company_id == company_id:
        return
    if connection.company_id is not None:
        _forget(connection)
    connection.company_id = company_id
    connection.save(update_fields=["company_id"])


def _forget(connection: Connection) -> None:
    of_workspace = {"workspace": connection.workspace_id, "connection": connection}
    for model in (Link, Creation, Conflict, InboxEvent):
        model.objects.filter(**of_workspace).delete()
    deals = Deal.objects.filter(**of_workspace)
    deals.exclude(status=Deal.Status.QUEUED).delete()
    deals.update(person_id=None, organization_id=None, pipeline_id=None, stage_id=None, problem="", retry_at=None)
    connection.pipeline_id, connection.stages = None, {}
    connection.webhook_id, connection.swept_until, connection.connected_at = None, None, timezone.now()
    connection.save(update_fields=["pipeline_id", "stages", "webhook_id", "swept_until", "connected_at"])
