"""One port for everything: WebSockets to Channels, streamed answers to Django's ASGI handler, all else to its WSGI handler.

The WSGI handler in a small pool of threads answers about four times as many requests as the ASGI handler.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from a2wsgi import WSGIMiddleware
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "zevix.settings")

# the three servers behind this one name the same dicts differently
Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STREAMED_PATHS = {"/api/chat"}
THREADS = int(os.environ.get("WEB_THREADS", "8"))


class NoSuchSocket(AsyncWebsocketConsumer):
    """Turns away a WebSocket to a path that has none."""

    async def connect(self) -> None:
        await self.close()


class Disconnected(OSError):
    """The client went away before it had sent its whole body; Django takes it as a body that can't be read."""


streamed = get_asgi_application()
wsgi: Any = get_wsgi_application()
requests = WSGIMiddleware(wsgi, workers=THREADS)
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
    else:
        receiving = receive_whole if scope["type"] == "http" else receive
        await requests(scope, receiving, send_on)
