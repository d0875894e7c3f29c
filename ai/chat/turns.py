"""One turn of a talk: what is known is gathered, the AI asked, its tools used, and its answer passed on as it comes.

While the AI works, nothing holds a transaction or a database connection.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
from asgiref.sync import sync_to_async
from django.utils.translation import gettext as _

from ai import asking
from ai.chat import claims, gathering, replies, tools
from ai.chat.claims import Turn
from ai.chat.replies import Reply
from ai.chat.runs import Run
from ai.chat.secrecy import Guard
from ai.errors import AnswerUnusable, BudgetExceeded, ChatUnpaid
from ai.openai_gateway import VENDOR, Answer, Delta, ToolCall

_ROUNDS = 4  # in which tools are used; one more has to answer without
_CALLS = 8  # tools used in one round


async def answer(turn: Turn) -> AsyncGenerator[Delta | Reply, None]:
    """The answer's text as it comes, and last of all the whole. Raises BudgetExceeded, and what `openai_gateway.stream` raises.

    Close it (`contextlib.aclosing`) where it is not read to its end. What was passed on by then is kept, as broken off.
    """
    if turn.answered:
        yield replies.of(turn)
        return
    said = _Said(turn)
    try:
        async with _held(turn), aclosing(_words(said)) as words:
            async for text in words:
                said.text += text
                yield Delta(text)
        if not said.text.strip():
            raise AnswerUnusable(vendor=VENDOR, reason=_("it is empty"))
        await asyncio.shield(sync_to_async(said.keep)(is_whole=True))
    except BudgetExceeded:
        await sync_to_async(said.keep)(is_whole=False)
        if turn.caller.member:
            raise
        raise ChatUnpaid
    except BaseException:  # cancelled and closed, too
        await asyncio.shield(sync_to_async(said.keep)(is_whole=False))
        raise
    yield said.reply()


@dataclass
class _Said:
    """What has been said so far, and in which run."""

    turn: Turn
    run: Run | None = None
    text: str = ""

    def keep(self, *, is_whole: bool) -> None:
        sources = replies.cited(self.text, self.run.sources) if self.run else []
        claims.let_go(self.turn, self.run, self.text.strip(), sources=sources, is_whole=is_whole)

    def reply(self) -> Reply:
        return replies.of(self.turn)


async def _words(said: _Said) -> AsyncGenerator[str, None]:
    """The text of all rounds, without a passage of the instructions."""
    said.run, question, purpose = await sync_to_async(gathering.gather)(said.turn)
    guard, offered = Guard(question.instructions), tools.offered(said.run)
    for rounds_left in range(_ROUNDS, -1, -1):
        asked = replace(question, tools=offered if rounds_left else ())
        calls: list[ToolCall] = []
        async with aclosing(asking.stream(asked, purpose)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    calls, items = piece.tool_calls, piece.items
                elif text := guard.pass_on(piece.text):
                    yield text
        if not calls or not rounds_left:
            break
        question = replace(question, input=[*question.input, *items, *await _used(calls, said.run)])
        if said.text.strip() and (text := guard.pass_on("\n\n")):
            yield text
    if text := guard.rest():
        yield text


async def _used(calls: list[ToolCall], run: Run) -> list[dict[str, Any]]:
    """What comes of the tools that the AI wants used, as it is told."""
    outputs = [await sync_to_async(tools.use)(call, run) for call in calls[:_CALLS]]
    refused = orjson.dumps({"error": f"At most {_CALLS} tools are used at once."}).decode()
    outputs += [refused] * (len(calls) - len(outputs))
    return [
        {"type": "function_call_output", "call_id": call.id, "output": output}
        for call, output in zip(calls, outputs, strict=True)
    ]


@asynccontextmanager
async def _held(turn: Turn) -> AsyncGenerator[None, None]:
    """Hold the chat as long as the block lasts."""

    over = asyncio.Event()

    async def extend() -> None:
        while True:
            try:
                await asyncio.wait_for(over.wait(), claims.HELD_FOR.total_seconds() / 3)
                return
            except TimeoutError:
                await sync_to_async(claims.extend)(turn)

    extending = asyncio.create_task(extend())
    try:
        yield
    finally:
        over.set()
        await extending  # not cancelled: the hold's moment must be known to whoever ends it
