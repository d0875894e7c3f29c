"""Jobs of AI: fetch, delegate, nothing else."""

from typing import Any

from procrastinate import JobContext, RetryStrategy

from accounts.models import User
from ai import budget
from ai.analysis import running
from ai.chat import history
from ai.knowledge import preparing
from ai.models import AnalysisRun, ChatSession, Document, PromptVersion
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


# without a retry: the next message has it tried again
@jobs.task(queue="ai")
def sum_up_chat(session_id: str) -> None:
    session = ChatSession.objects.select_related("workspace", "user").filter(pk=session_id).first()
    if session:
        history.sum_up(session)


# without a retry: it would be paid for again
@jobs.task(queue="ai")
def evaluate_prompt(version_id: int, user_id: int) -> None:
    version = PromptVersion.objects.select_related("prompt__workspace").filter(pk=version_id).first()
    if version:
        evaluating.evaluate_or_note(version, by=User.objects.filter(pk=user_id).first())


class _Politely(RetryStrategy):
    """One that waits for its next try lets others of the same lock go first."""

    def get_retry_decision(self, **failure: Any) -> Any:
        decision = super().get_retry_decision(**failure)
        if decision is not None:
            decision.priority = -1
        return decision


_TRIES = 5  # the last comes after 23 minutes


# one at a time: so many calls at once and a minute are the key's, whoever's leads they are about
@jobs.task(queue="ai", lock="analysis", retry=_Politely(max_attempts=_TRIES, exponential_wait=4), pass_context=True)
def analyze_leads(context: JobContext, run_id: int) -> None:
    run = AnalysisRun.objects.select_related("workspace", "user").filter(pk=run_id).first()
    if run is None:  # its workspace is gone
        return
    seconds = running.work(run, is_last_try=context.job.attempts >= _TRIES, leave_off=context.should_abort)
    if seconds is not None:
        analyze_leads.configure(schedule_in={"seconds": seconds}).defer(run_id=run_id)


@jobs.task(queue="knowledge", retry=jobs.BACKOFF)  # with a lock of the workspace
def prepare_document(document_id: int, language: str) -> None:
    document = Document.objects.select_related("workspace", "user").filter(pk=document_id).first()
    if document:  # else somebody has deleted it
        preparing.prepare(document, language)


@jobs.task(queue="knowledge")  # with the same lock
def embed_rest(workspace_id: int) -> None:
    preparing.embed_rest(workspace_id)


@jobs.periodic(cron="*/10 * * * *")
@jobs.task(queue="knowledge", queueing_lock="embed-what-waits")
def embed_what_waits(timestamp: int) -> None:
    preparing.queue_rest()
