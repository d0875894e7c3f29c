"""Jobs of AI: fetch, delegate, nothing else."""

from accounts.models import User
from ai import budget
from ai.models import PromptVersion
from ai.prompts import evaluating
from ai.proposals import deciding
from zevix import jobs


@jobs.periodic(cron="*/5 * * * *")
@jobs.task(queue="housekeeping", queueing_lock="end-abandoned-ai-calls")
def end_abandoned_calls(timestamp: int) -> None:
    budget.end_abandoned()


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queue="housekeeping", queueing_lock="expire-proposals")
def expire_proposals(timestamp: int) -> None:
    deciding.expire()


# without a retry: it would be paid for again
@jobs.task(queue="ai")
def evaluate_prompt(version_id: int, user_id: int) -> None:
    version = PromptVersion.objects.select_related("prompt__workspace").filter(pk=version_id).first()
    if version:
        evaluating.evaluate_or_note(version, by=User.objects.filter(pk=user_id).first())
