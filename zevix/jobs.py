"""Jobs, in PostgreSQL. A job is queued in the transaction that needs it, so it is neither lost nor early.

It runs at least once, so it is safe to repeat. Each app keeps its jobs in ``<app>/jobs.py``: fetch, delegate, nothing else.
"""

from django.db import connection
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from zevix.api import idempotency

# waits of 4, 16, 64, … seconds; the last try comes about six hours after the first
BACKOFF = RetryStrategy(max_attempts=8, exponential_wait=4)

task = app.task
periodic = app.periodic

_SILENT_FOR = "60 seconds"  # a worker's heart beats every 10 seconds


def worker_alive() -> bool:
    """Whether some worker has been heard of lately."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM procrastinate_workers WHERE last_heartbeat > now() - %s::interval)",
            [_SILENT_FOR],
        )
        return bool(cursor.fetchone()[0])


@periodic(cron="*/5 * * * *")
@task(queue="housekeeping", queueing_lock="retry-stalled")
async def retry_stalled(timestamp: int) -> None:
    """Take up again the jobs whose worker was killed in their midst."""
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)


@periodic(cron="41 * * * *")
@task(queue="housekeeping", queueing_lock="forget-answers")
def forget_old_answers(timestamp: int) -> None:
    idempotency.forget_old()
