"""Having links looked at again by hand."""

from typing import Any

from django.db import transaction

from crm.models import Link
from crm.pipedrive.runs import waking
from crm.pipedrive.syncing import calling

_WAITING = {"state": Link.State.ACTIVE, "problem": "", "problem_at": None, "retry_at": None, "attempts": 0}


@transaction.atomic
def sync_soon(links: Any) -> int:
    """Have these read anew and brought into step; returns how many."""
    count = calling.call_for(links.filter(state=Link.State.ACTIVE))
    _wake(links)
    return count


@transaction.atomic
def send_again(links: Any) -> int:
    """Have the leads whose persons were deleted there made anew; returns how many."""
    deleted = Link.objects.filter(pk__in=list(links.filter(state=Link.State.DELETED).values_list("pk", flat=True)))
    ids = list(deleted.values_list("pk", flat=True))
    deleted.update(**_WAITING, person_id=None, organization_id=None, snapshot={}, pushed={}, sent_as="", seen_at=None)
    count = calling.call_for(Link.objects.filter(pk__in=ids))
    _wake(links)
    return count


def _wake(links: Any) -> None:
    for connection_id in set(links.order_by().values_list("connection_id", flat=True)):
        waking.wake(connection_id)
