"""The one way to the AI: each question is a call in the books, paid from the workspace's budget. No question is asked in a transaction."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import User, Workspace
from ai import budget, openai_gateway
from ai.errors import AnswerRefused, Unfinished, Worked
from ai.models import AICall, PromptVersion
from ai.openai_gateway import Answer, Delta, Question
from zevix.errors import Unanswered, UpstreamError

Outcome = AICall.Outcome
_OUTCOMES = {Unfinished: Outcome.INCOMPLETE, AnswerRefused: Outcome.REFUSED}  # the rest failed


@dataclass(frozen=True)
class Purpose:
    """For whom and for what something is asked."""

    workspace: Workspace
    user: User | None
    action: str
    version: PromptVersion | None = None


def ask(
    question: Question,
    purpose: Purpose,
    *,
    booked: Callable[[AICall], None] = lambda call: None,
    turn: AbstractContextManager[Any] | None = None,
) -> Answer:
    """The whole answer. Raises BudgetExceeded, and what `openai_gateway.ask` raises; then nothing is charged that was not used.

    ``booked`` is told of the call's row before anything is asked, so that also one that fails can be named. ``turn`` is held as long as
    the server is asked, for those who ask only so many at once.
    """
    call = _reserve(question.as_body(), purpose, output=question.max_output_tokens)
    booked(call)
    with _booked(call), turn or nullcontext():
        call.created_at = timezone.now()  # what it waited for its turn is not the server's time
        answer = openai_gateway.ask(question)
    budget.settle(call, Outcome.COMPLETED, answer.tokens, attempts=answer.attempts)
    return answer


async def stream(question: Question, purpose: Purpose) -> AsyncGenerator[Delta | Answer, None]:
    """The answer as it comes, and whole at the end. Raises what `ask` does.

    Close it (`contextlib.aclosing`) where it is not read to its end; then all that was held back is charged, since the server may have worked on.
    One cancelled while its money is being held back is left to `budget.end_abandoned`.
    """
    call = await sync_to_async(_reserve)(question.as_body(), purpose, output=question.max_output_tokens)
    try:
        async with aclosing(openai_gateway.stream(question)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    settle = sync_to_async(budget.settle)
                    await settle(call, Outcome.COMPLETED, piece.tokens, attempts=piece.attempts)
                yield piece
    except UpstreamError as error:
        await sync_to_async(_book)(call, error)
        raise
    except (GeneratorExit, asyncio.CancelledError):
        await asyncio.shield(sync_to_async(budget.settle)(call, Outcome.ABANDONED, None))
        raise


def embed(texts: Sequence[str], purpose: Purpose, *, patience: float | None = None) -> list[list[float]]:
    """A vector for each text, in order; with ``patience`` each batch is tried once, for so many seconds.

    Raises BudgetExceeded, and what `openai_gateway.embed` raises; batches before are paid for.
    """
    return [vector for batch in openai_gateway.batches(texts) for vector in _embed(batch, purpose, patience)]


def _embed(batch: list[str], purpose: Purpose, patience: float | None) -> list[list[float]]:
    call = _reserve(openai_gateway.body_of(batch, dimensions=openai_gateway.DIMENSIONS), purpose, output=0)
    with _booked(call):
        vectors, tokens, attempts = openai_gateway.embed(batch, dimensions=openai_gateway.DIMENSIONS, patience=patience)
    budget.settle(call, Outcome.COMPLETED, tokens, attempts=attempts)
    return vectors


def _reserve(body: dict[str, Any], purpose: Purpose, *, output: int) -> AICall:
    openai_gateway.require_configured()
    return budget.reserve(
        body,
        output=output,
        workspace=purpose.workspace,
        user=purpose.user,
        action=purpose.action,
        version=purpose.version,
    )


@contextmanager
def _booked(call: AICall) -> Iterator[None]:
    try:
        yield
    except UpstreamError as error:
        _book(call, error)
        raise


def _book(call: AICall, error: UpstreamError) -> None:
    """What failed may have been worked on: then it costs what the server says, or, where it says nothing, what was held back."""
    told = {"attempts": error.details["attempts"], "error": f"{type(error).__name__}: {error.details['kind']}"}
    outcome = next((outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), Outcome.FAILED)
    if isinstance(error, Worked):
        budget.settle(call, outcome, error.tokens, **told)
    elif isinstance(error, Unanswered):
        budget.settle(call, outcome, None, **told)
    else:
        budget.release(call, **told)
