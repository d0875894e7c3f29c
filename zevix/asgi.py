"""One port for everything: WebSockets to Channels, streamed answers to Django's ASGI handler, all else to its WSGI handler.

The WSGI handler in a small pool of threads answers about four times as many requests as the ASGI handler. A download holds its thread
for as long as its reader takes, so downloads have a pool of their own: slow readers keep nobody waiting but each other.
"""

import asyncio
import gc
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import django
from a2wsgi import WSGIMiddleware
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.core.wsgi import get_wsgi_application
from django.urls import re_path

from zevix import readers
from zevix.streamed import Streamed

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zevix.settings")
gc.disable()  # nothing of what is loaded goes again, and looking through it takes a tenth of the start
django.setup(set_prefix=False)
gc.enable()

# the three servers behind this one name the same dicts differently
Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STREAMED_PATHS = {"/api/chat"}
DOWNLOADS = re.compile(r"/api/v1/exports/\d+/download|/admin/leads/export/\d+/download/\w+")
THREADS = int(os.environ.get("WEB_THREADS", "8"))
DOWNLOAD_THREADS = int(os.environ.get("DOWNLOAD_THREADS", "4"))
CHAT_THREADS = int(os.environ.get("CHAT_THREADS", "8"))
PATIENCE = float(os.environ.get("DOWNLOAD_PATIENCE", "60"))  # seconds in which a reader takes the next 64 KiB


class NoSuchSocket(AsyncWebsocketConsumer):
    """Turns away a WebSocket to a path that has none."""

    async def connect(self) -> None:
        await self.close()


class Disconnected(OSError):
    """The client went away before it had sent its whole body; Django takes it as a body that can't be read."""


streamed = Streamed(CHAT_THREADS)
wsgi: Any = get_wsgi_application()
requests = WSGIMiddleware(wsgi, workers=THREADS)
downloads = WSGIMiddleware(wsgi, workers=DOWNLOAD_THREADS, send_queue_size=2)
websockets = URLRouter([re_path(r"", NoSuchSocket.as_asgi())])


async def application(scope: Message, receive: Receive, send: Send) -> None:
    # Granian's own callables are no coroutine functions, and a2wsgi needs such
    async def receive_whole() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            # else half an upload would look like a whole one
            raise Disconnected
        return message

    async def send_on(message: Message) -> None:
        await send(message)

    if scope["type"] == "websocket":
        await websockets(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] in STREAMED_PATHS:
        await streamed(scope, receive, send)
    elif scope["type"] == "http" and scope["method"] == "GET" and DOWNLOADS.fullmatch(scope["path"]):
        await _download(scope, receive, send)
    else:
        receiving = receive_whole if scope["type"] == "http" else receive
        await requests(scope, receiving, send_on)


async def _download(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with a file that ends, thread and all, when its reader goes away or takes nothing for too long."""
    gone = readers.expect(scope)

    async def no_body() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async def send_on(message: Message) -> None:
        await send(message)

    async def send_in_time(message: Message) -> None:
        if not gone.is_set():
            try:
                await asyncio.wait_for(send_on(message), PATIENCE)
            except TimeoutError:
                # from now on nothing is sent, so a2wsgi's queue is never full and the thread comes to see it
                gone.set()

    watching = asyncio.create_task(watch())
    try:
        await downloads(scope, no_body, send_in_time)
    except readers.ReaderGone:
        pass
    finally:
        watching.cancel()
