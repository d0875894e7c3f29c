"""Asking the stand-in as any client could, without ours."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from crm.tests.pipedrive_server import PipedriveServer

Ask = Callable[..., tuple[int, Any]]


def asking(server: PipedriveServer) -> Ask:
    """A function for a request: it answers the status, and the ``data`` of a good answer or the sentence of a bad one."""

    def ask(method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        status, _kind, text = answer_of(server, path, method, body, token)
        told = json.loads(text)
        return status, told["data"] if status < 400 else told["error"]

    return ask


def answer_of(
    server: PipedriveServer, path: str, method: str = "GET", body: Any = None, token: str | None = None
) -> tuple[int, str, bytes]:
    """Status, content type and body, as they came."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    headers = {"x-api-token": server.token if token is None else token, "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()
