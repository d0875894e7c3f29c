"""Whoever reads a streamed answer: the server learns that they went away, the thread that writes it has to be told."""

import threading
from collections.abc import Iterator
from typing import Any, Self

from django.http import HttpRequest

_KEY = "zevix.reader_gone"  # in the request's ASGI scope


class ReaderGone(Exception):
    """Nobody takes the rest of the answer. Raised where it is written, so that it ends at once."""


def expect(scope: dict[str, Any]) -> threading.Event:
    """An event to be set once the reader of this request's answer is gone."""
    gone: threading.Event = scope.setdefault(_KEY, threading.Event())
    return gone


class WhileRead:
    """The pieces of an answer, as long as somebody takes them. Closing it closes them."""

    def __init__(self, pieces: Any, request: HttpRequest) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._gone = expect(request.META.get("asgi.scope", {}))
        self.close = pieces.close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._gone.is_set():
            raise ReaderGone
        return next(self._pieces)
