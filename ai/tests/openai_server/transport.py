"""The wire: HTTP/1.1 on loopback, connections kept as OpenAI keeps them, a thread for each."""

import json
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ai.tests.openai_server import answers, checking, embedding, streaming
from ai.tests.openai_server.answers import Answer
from ai.tests.openai_server.refusals import Refused, refused

Body = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """An HTTP answer that is none of the API's."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"


@dataclass
class Script:
    """What to answer to requests that ``when`` holds of: so many times, or always."""

    act: Callable[[Body], Answer | Failure]
    when: Callable[[Body], bool] | None = None
    left: int | None = None

    def fits(self, body: Body) -> bool:
        return self.left != 0 and (self.when is None or self.when(body))


class Api:
    """Answers requests by the test's scripts: those for so many times first, in their order, then the latest of the others."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        self.requests: list[tuple[str, Body]] = []
        self.scripts: list[Script] = []
        self.faults: list[str] = []
        """Tracebacks of the stand-in itself, and scripts that OpenAI would never follow."""
        self.delay = 0.0
        self.delay_between_deltas = 0.0
        self.waking = threading.Event()

    def take(self, path: str, authorization: str, text: bytes) -> tuple[Body, Answer | Failure | Body]:
        """The request's body, and what to do about it: a body of ours is an embedding's answer. Raises Refused."""
        if authorization != f"Bearer {self.key}":
            given = authorization.removeprefix("Bearer ")
            raise refused("invalid_api_key", f"Incorrect API key provided: {given}.", status=401)
        if path not in ("/v1/responses", "/v1/embeddings"):
            raise Refused(f"Invalid URL (POST {path})", status=404)
        body = self._read(text)
        with self.lock:
            self.requests.append((path, json.loads(text)))
            script = self._script(body)
            if script is not None and script.left is not None:
                script.left -= 1
        if self.delay:
            self.waking.wait(self.delay)
        if path == "/v1/embeddings":
            checking.check_embedding(body)
            planned = script and script.act(body)
            return body, planned if isinstance(planned, Failure) else embedding.embedded(body)
        checking.check_response(body)
        return body, script.act(body) if script else _unscripted(body)

    def _read(self, text: bytes) -> Body:
        try:
            body = json.loads(text)
        except ValueError:
            raise Refused("We could not parse the JSON body of your request.")
        if not isinstance(body, dict):
            raise Refused("The body must be an object.")
        return body

    def _script(self, body: Body) -> Script | None:
        passing = [script for script in self.scripts if script.left is not None]
        lasting = [script for script in reversed(self.scripts) if script.left is None]
        return next((script for script in passing + lasting if script.fits(body)), None)


def _unscripted(body: Body) -> Answer:
    if body.get("text", {}).get("format", {}).get("type") == "json_schema":
        raise AssertionError("An answer of a form has to be scripted: `openai_server.reply({...})`.")
    return Answer(text="All right.")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128  # by default five may knock at once, and the sixth is turned away
    api: Api

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Kept connections too."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the caller was faster
                pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up is no news here; a fault of the stand-in answers 500 in the handler."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        api = self.server.api
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body, planned = api.take(self.path, self.headers.get("Authorization", ""), text)
            if isinstance(planned, Answer):
                self._answer(planned, body)
            elif isinstance(planned, Failure):
                self._send(planned.status, planned.body, planned.kind, planned.headers)
            else:
                self._send(200, json.dumps(planned).encode())
        except Refused as refusal:
            self._send(refusal.status, json.dumps(refusal.body).encode())
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            api.faults.append(traceback.format_exc())
            broken = Refused(f"The stand-in can't answer: {error}", status=500)
            self._send(500, json.dumps(broken.body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: `Api.requests` is the log."""

    def _answer(self, answer: Answer, body: Body) -> None:
        whole = answers.response(answer, body)
        if body.get("stream"):
            self._stream(answer, whole)
        elif answer.cut_after is not None:
            self._hang_up()
        else:
            self._send(200, json.dumps(whole).encode())

    def _stream(self, answer: Answer, whole: dict[str, Any]) -> None:
        api = self.server.api
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deltas = 0
        for event in streaming.events(answer, whole):
            if streaming.is_delta(event):
                if deltas == answer.cut_after:
                    break
                if deltas and api.delay_between_deltas:
                    api.waking.wait(api.delay_between_deltas)
                deltas += 1
            elif answer.cut_after is not None and event["type"].endswith((".done", ".completed")):
                break
            self._chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        if answer.cut_after is not None and not answer.is_cut_cleanly:
            self._hang_up()
        else:
            self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%X\r\n%s\r\n" % (len(data), data))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(
        self, status: int, text: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)
