"""Jobs of billing: fetch, delegate, nothing else."""

from billing import webhooks
from billing.converging import overdue, reconciling
from zevix import jobs


@jobs.task(queue="billing", retry=jobs.BACKOFF)  # with a lock of the customer
def process_event(event_pk: int) -> None:
    webhooks.process_waiting(event_pk)


@jobs.periodic(cron="23 2 * * *")
@jobs.task(queue="billing", queueing_lock="reconcile-stripe", lock="reconcile-stripe", retry=jobs.BACKOFF)
def reconcile(timestamp: int) -> None:
    reconciling.reconcile_all()


@jobs.task(queue="billing", retry=jobs.BACKOFF)
def end_grace(subscription_id: int, since: str) -> None:
    overdue.end(subscription_id, since)


@jobs.task(queue="mail", retry=jobs.BACKOFF)
def mail_overdue(subscription_id: int, user_id: int, since: str) -> None:
    overdue.mail_begin(subscription_id, user_id, since)


@jobs.task(queue="mail", retry=jobs.BACKOFF)
def mail_grace_over(subscription_id: int, user_id: int, since: str) -> None:
    overdue.mail_end(subscription_id, user_id, since)
