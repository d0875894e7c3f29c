"""Which of a lead's deals leads its status: one that is open keeps that place, one that opens takes it from none but closed ones."""

from crm.models import Connection, Deal, Link
from crm.pipedrive.syncing import calling


def settle(lead_id: int, connection: Connection, *, opened: Deal | None = None) -> None:
    """Have the right deal lead. ``opened`` is one that is open since a moment ago, if any. The caller keeps others from it meanwhile."""
    deals = Deal.objects.filter(connection=connection, lead=lead_id)
    keeps = deals.filter(is_leading=True).exclude(status=Deal.Status.DELETED)
    if (keeps.filter(status=Deal.Status.OPEN) if opened else keeps).exists():
        return
    following = opened or deals.filter(status=Deal.Status.OPEN).order_by("-remote_id").first()
    deals.filter(is_leading=True).update(is_leading=False)
    if following is not None:
        deals.filter(pk=following.pk).update(is_leading=True)


def call_for_sync(lead_id: int, connection: Connection) -> None:
    """Within the transaction that changes what leads a lead: it is to be compared anew, whatever becomes of this process."""
    calling.call_for(Link.objects.filter(connection=connection, lead=lead_id))
