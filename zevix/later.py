"""Answers that take their time: the event loop waits for them, so that they hold no thread and no database connection meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

_Work = Callable[[], Awaitable[HttpResponseBase]]
_OF_THE_BODY = {"content-length", "content-type"}


class Later(HttpResponse):
    """Stands for an answer until it `arrives`; it keeps the headers that the middleware has given."""

    def __init__(self, work: _Work) -> None:
        super().__init__()
        self._work = work

    async def arrives(self) -> HttpResponseBase:
        answer = await self._work()
        for name, value in self.items():
            if name.lower() not in _OF_THE_BODY:
                answer.headers.setdefault(name, value)
        answer.cookies.update(self.cookies)
        answer._resource_closers.extend(self._resource_closers)  # type: ignore[attr-defined]  # what Django ends with an answer
        return answer


def answer_later(work: _Work, request: HttpRequest) -> HttpResponseBase:
    """What ``work`` answers, awaited by `zevix.asgi` outside of the thread; where nobody awaits anything (WSGI), at once and in one piece."""
    if isinstance(request, ASGIRequest):
        return Later(work)
    return async_to_sync(_in_one_piece)(work)


async def _in_one_piece(work: _Work) -> HttpResponseBase:
    answer: Any = await work()
    if isinstance(answer, StreamingHttpResponse):
        answer.streaming_content = [b"".join([piece async for piece in answer])]
    return answer
