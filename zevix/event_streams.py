"""Server-sent events. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar

from zevix.api.json import dumps

MEDIA_TYPE = "text/event-stream"
# a proxy that collects the answer before it passes it on would undo the stream
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
KEPT_ALIVE = b": still here\n\n"  # a comment, so that nobody takes the silence for an end

Piece = TypeVar("Piece")
_END: Any = object()


def event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), dumps(data))


async def with_patience(pieces: AsyncGenerator[Piece, None], seconds: float) -> AsyncGenerator[Piece | None, None]:
    """The pieces as they come, and None each time that nothing has come for so long. Closing it closes them."""
    waiting: asyncio.Queue[Any] = asyncio.Queue()
    taking = asyncio.create_task(_take(pieces, waiting))
    try:
        while (piece := await _next(waiting, seconds)) is not _END:
            yield piece
        await taking
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


async def _take(pieces: AsyncGenerator[Any, None], into: asyncio.Queue[Any]) -> None:
    # in one task: what began in one may not be allowed to end in another
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                into.put_nowait(piece)
    finally:
        into.put_nowait(_END)


async def _next(waiting: asyncio.Queue[Any], seconds: float) -> Any:
    try:
        return await asyncio.wait_for(waiting.get(), seconds)
    except TimeoutError:
        return None
