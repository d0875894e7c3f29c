"""Answers that are streamed, or awaited for long: Django's ASGI handler, with few threads and database connections for many of them."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import response_for_exception
from django.db import close_old_connections
from django.http.response import HttpResponseBase

from zevix.later import Later

Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Threads(ThreadPoolExecutor):
    """Threads that keep a database connection each; one that has died meanwhile is noticed before it is used."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(_with_a_sound_connection, function, *args, **kwargs)


def _with_a_sound_connection(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    close_old_connections()
    return function(*args, **kwargs)


class Streamed(ASGIHandler):
    """Django's, with all that is not awaited in a pool of threads that all its requests share.

    By itself it would give each request a thread and a database connection of its own, for as long as the answer takes.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._threads = _Threads(threads, thread_name_prefix="streamed")
        self._context = ThreadSensitiveContext()

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        SyncToAsync.context_to_thread_executor.setdefault(self._context, self._threads)
        SyncToAsync.thread_sensitive_context.set(self._context)
        await self.handle(scope, _no_longer_than(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1, receive), send)

    async def get_response_async(self, request: Any) -> HttpResponseBase:
        answer = await sync_to_async(self.get_response)(request)
        if not isinstance(answer, Later):
            return answer
        try:
            return await answer.arrives()
        except Exception as error:
            return await sync_to_async(response_for_exception)(request, error)


def _no_longer_than(limit: int, receive: Receive) -> Receive:
    """A body cut at the limit: Django would write the whole of it to the disk before anybody could refuse it."""
    taken = 0

    async def receive_on() -> Message:
        nonlocal taken
        message = dict(await receive())
        if body := message.get("body"):
            message["body"] = body[: max(limit - taken, 0)]
            taken += len(body)
        return message

    return receive_on
