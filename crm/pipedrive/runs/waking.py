"""Has the job run that works off what waits: one at a time for each connection, and at most one more that waits its turn."""

from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued


def wake(connection_id: int) -> None:
    """Queue the drain of a connection, unless it is queued already. In a transaction it begins after the commit."""
    from crm.jobs import drain

    lock = f"pipedrive:{connection_id}"
    # mostly it is; the database would write each attempt into its log
    if ProcrastinateJob.objects.filter(queueing_lock=lock, status="todo").exists():
        return
    try:
        with transaction.atomic():
            drain.configure(lock=lock, queueing_lock=lock).defer(connection_id=connection_id)
    except AlreadyEnqueued:  # somebody was quicker
        return
