"""What the project adds to the AI's own time: to the first word of a streamed answer, and to a whole one.

The AI is a server of the bench's own process, so that both ends are timed by one clock.
"""

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from script.benchmarks import installation
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import ROOT, Server, running, wait_until_stopped

_REQUESTS = 20  # a round
_SECONDS = 0.1  # that the AI thinks, and that it takes from its first word to its last
_COMMAND = [str(ROOT / "script" / "server")]
_STREAM = {"Accept": "text/event-stream"}


def measure() -> list[Row]:
    progress("chat: what is added to the AI's own time …")
    with (
        tempfile.TemporaryDirectory(dir=installation.DATA_DIR, prefix="chat-") as data_dir,
        _answering() as ai,
        _served(Path(data_dir), ai) as server,
    ):
        token = _token(server)
        asked = {"action": "chat", "data": {"messages": [{"role": "user", "content": "Hello"}]}}
        contenders: dict[str, Callable[[], float]] = {
            "first": lambda: _milliseconds(lambda: _first_word(server, ai)),
            "whole": lambda: _milliseconds(lambda: _whole(server, ai, "/api/chat", {"message": "Hello"}, token)),
            "ai": lambda: _milliseconds(lambda: _whole(server, ai, "/ai", asked, token)),
        }
        for warm_up in contenders.values():
            warm_up()
        rounds = take_turns(contenders)
    return [
        Row("chat, first word after the AI's", "", "ms", rounds["first"], at_most=50),
        Row("chat, beyond the AI's answer", "", "ms", rounds["whole"], at_most=30),
        Row("ai, beyond the AI's answer", "", "ms", rounds["ai"], at_most=30),
    ]


@contextmanager
def _served(data_dir: Path, ai: "_AI") -> Iterator[Server]:
    asked = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": f"http://127.0.0.1:{ai.port}/v1"}
    asked |= {
        "DJANGO_SETTINGS_MODULE": "zevix.settings",
        "CHAT_RATE": "1000000/hour",
        "CHAT_MEMBER_RATE": "1000000/hour",
    }
    with running(_COMMAND, installation.environment(data_dir) | asked, installation.DATA_DIR / "chat.log") as server:
        yield server
    wait_until_stopped(data_dir / "postgres")


def _milliseconds(seconds: Callable[[], float]) -> float:
    return median(seconds() for _ in range(_REQUESTS)) * 1_000


def _first_word(server: Server, ai: "_AI") -> float:
    answer = _ask(server, "/api/chat", {"message": "Hello"}, _STREAM)
    answer.read1(65_536)
    arrived = time.perf_counter()
    answer.read()
    return arrived - ai.first_word_at


def _whole(server: Server, ai: "_AI", path: str, body: dict[str, Any], token: str) -> float:
    begun = time.perf_counter()
    _ask(server, path, body, {"Authorization": f"Bearer {token}"}).read()
    return time.perf_counter() - begun - ai.took


def _token(server: Server) -> str:
    answer = _ask(server, "/api/auth/login", {"username": "admin", "password": "admin123"}, {})
    return str(json.loads(answer.read())["token"])


def _ask(server: Server, path: str, body: dict[str, Any], headers: dict[str, str]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(
        "POST", path, json.dumps(body), {"Content-Type": "application/json", "Connection": "close"} | headers
    )
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"The server answered {answer.status} {answer.read(2000).decode(errors='replace')}")
    return answer


# The AI ---------------------------------------------------------------------------------------------------------------------

_WORDS = ["This ", "is ", "an ", "answer."]
_TEXT = {"type": "output_text", "text": "".join(_WORDS), "annotations": []}
_RESPONSE = {
    "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o-mini",
    "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [_TEXT]}],
    "usage": {"input_tokens": 50, "output_tokens": 6, "total_tokens": 56},
}  # fmt: skip


class _AI(ThreadingHTTPServer):
    """Keeps of its last answer when its first word left, and how long it took as a whole."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = int(self.server_address[1])
        self.first_word_at = self.took = 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _AI

    def do_POST(self) -> None:
        begun = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(_SECONDS)
        self._stream() if body.get("stream") else self._whole()
        self.server.took = time.perf_counter() - begun

    def _whole(self) -> None:
        time.sleep(_SECONDS)
        text = json.dumps(_RESPONSE).encode()
        self._begin("application/json", "Content-Length", str(len(text)))
        self.wfile.write(text)

    def _stream(self) -> None:
        self._begin("text/event-stream", "Transfer-Encoding", "chunked")
        self.server.first_word_at = time.perf_counter()
        for number, word in enumerate(_WORDS):
            if number:
                time.sleep(_SECONDS / (len(_WORDS) - 1))
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
            self._event("response.output_text.delta", {"delta": word, **place})
        self._event("response.completed", {"response": _RESPONSE})
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, kind: str, header: str, value: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header(header, value)
        self.end_headers()

    def _event(self, kind: str, fields: dict[str, Any]) -> None:
        data = f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 0, **fields})}\n\n".encode()
        self.wfile.write(b"%X\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@contextmanager
def _answering() -> Iterator[_AI]:
    ai = _AI()
    thread = threading.Thread(target=ai.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield ai
    finally:
        ai.shutdown()
        thread.join()
        ai.server_close()
