"""The one way to the AI: each question is a call in the books, paid from the workspace's budget. No question is asked in a transaction."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asgiref.sync import sync_to_async

from accounts.models import User, Workspace
from ai import budget, openai_gateway
from ai.errors import AnswerRefused, AnswerUnusable, Unfinished
from ai.models import AICall, PromptVersion
from ai.openai_gateway import Answer, Delta, Question
from ai.prices import Tokens
from zevix.errors import UpstreamError

Outcome = AICall.Outcome
_OUTCOMES = {Unfinished: Outcome.INCOMPLETE, AnswerRefused: Outcome.REFUSED, AnswerUnusable: Outcome.FAILED}


@dataclass(frozen=True)
class Purpose:
    """For whom and for what something is asked."""

    workspace: Workspace
    user: User | None
    action: str
    version: PromptVersion | None = None


def ask(question: Question, purpose: Purpose) -> Answer:
    """The whole answer. Raises BudgetExceeded, and what `openai_gateway.ask` raises; then nothing is charged that was not used."""
    call = _reserve(question, purpose)
    with _booked(call):
        answer = openai_gateway.ask(question)
    budget.settle(call, Outcome.COMPLETED, answer.tokens, attempts=answer.attempts)
    return answer


async def stream(question: Question, purpose: Purpose) -> AsyncIterator[Delta | Answer]:
    """The answer as it comes, and whole at the end. Raises what `ask` does; who stops listening has it settled as abandoned later."""
    call = await sync_to_async(_reserve)(question, purpose)
    try:
        async for piece in openai_gateway.stream(question):
            if isinstance(piece, Answer):
                await sync_to_async(budget.settle)(call, Outcome.COMPLETED, piece.tokens, attempts=piece.attempts)
            yield piece
    except UpstreamError as error:
        await sync_to_async(_book)(call, error)
        raise


def embed(texts: list[str], *, dimensions: int, purpose: Purpose, model: str) -> list[list[float]]:
    """A vector for each text. Raises BudgetExceeded, and what `openai_gateway.embed` raises."""
    call = budget.reserve(
        {"model": model, "input": texts}, output=0, workspace=purpose.workspace, user=purpose.user, action=purpose.action
    )
    with _booked(call):
        vectors, tokens = openai_gateway.embed(texts, dimensions=dimensions)
    budget.settle(call, Outcome.COMPLETED, tokens)
    return vectors


def _reserve(question: Question, purpose: Purpose) -> AICall:
    openai_gateway.require_configured()
    return budget.reserve(
        question.as_body(),
        output=question.max_output_tokens,
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
    outcome = next((outcome for kind, outcome in _OUTCOMES.items() if isinstance(error, kind)), None)
    if outcome is None:
        budget.release(call, str(error))
        return
    tokens: Tokens | None = error.details.get("tokens")
    if tokens is None:
        budget.settle_in_full(call, outcome, error=str(error))
    else:
        budget.settle(call, outcome, tokens, error=str(error))
