"""Jobs of AI: fetch, delegate, nothing else."""

from ai import budget
from zevix import jobs


@jobs.periodic(cron="*/5 * * * *")
@jobs.task(queue="housekeeping", queueing_lock="end-abandoned-ai-calls")
def end_abandoned_calls(timestamp: int) -> None:
    budget.end_abandoned()
