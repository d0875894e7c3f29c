"""Which of a lead's deals leads its status: one that is open keeps that place, one that opens takes it from none but closed ones."""

from django.utils import timezone

from crm.models import ChangedLead, Connection, Deal, Link
from leads.models import Lead


def settle(lead_id: int, connection: Connection, *, opened: Deal | None = None) -> None:
    """Have the right deal lead. ``opened`` is one that is open since a moment ago, if any. The caller keeps others from it meanwhile."""
    deals = Deal.objects.filter(connection=connection, lead=lead_id)
    leader = deals.filter(is_leading=True).first()
    if (
        leader is not None
        and leader.status != Deal.Status.DELETED
        and (leader.status == Deal.Status.OPEN or not opened)
    ):
        return
    following = opened or deals.filter(status=Deal.Status.OPEN).order_by("-remote_id").first()
    deals.filter(is_leading=True).update(is_leading=False)
    if following is not None:
        deals.filter(pk=following.pk).update(is_leading=True)


def leader(lead_id: int, connection: Connection) -> Deal | None:
    found: Deal | None = Deal.objects.filter(connection=connection, lead=lead_id, is_leading=True).first()
    return found


def call_for_sync(lead_id: int, connection: Connection) -> None:
    """Within the transaction that changes what leads a lead: it is to be compared anew, whatever becomes of this process."""
    Link.objects.filter(connection=connection, lead=lead_id).update(woken_at=timezone.now())
    lead = Lead.objects.filter(pk=lead_id).values("workspace_id", "version").first()
    if lead is not None:
        noted = {**lead, "changed_at": timezone.now(), "retry_at": None}
        ChangedLead.objects.update_or_create(lead_id=lead_id, defaults=noted)
