"""What becomes of the leads of somebody who leaves a workspace."""

from django.db import transaction

from accounts.models import Membership
from leads import editing, history
from leads.models import Lead

_PIECE = 1_000  # leads that one transaction holds


def release(user_id: int, workspace_id: int) -> int:
    """Take their leads off somebody who is a member no more, piece by piece; returns how many.

    Who has come back meanwhile keeps what they still have. A change that gives them a lead at the very moment at which they leave
    may be written after this: then the lead is theirs, and any manager can give it to somebody else.
    """
    count = 0
    while released := _release_some(user_id, workspace_id):
        count += released
    return count


@transaction.atomic
def _release_some(user_id: int, workspace_id: int) -> int:
    if Membership.objects.of(user_id=user_id, workspace_id=workspace_id):
        return 0
    # held first: whom somebody gives a lead at this moment keeps it
    theirs = Lead.objects.for_workspace(workspace_id).filter(assigned_user=user_id).order_by("workspace_id", "pk")
    ids = list(theirs.select_for_update().values_list("pk", flat=True)[:_PIECE])
    return editing.update_all(Lead.objects.filter(pk__in=ids), {"assigned_user_id": None}, by=history.SYSTEM)
