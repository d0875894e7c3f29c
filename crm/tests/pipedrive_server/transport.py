"""The wire: HTTP/1.1 on loopback, connections kept, a thread for each, and whatever goes wrong on the way."""

import json
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from crm.tests.pipedrive_server import fields, pipelines, routes, users
from crm.tests.pipedrive_server.clock import Clock
from crm.tests.pipedrive_server.faults import AFTER, HTML, Fault
from crm.tests.pipedrive_server.hooks import Hooks
from crm.tests.pipedrive_server.limits import Hammered, Limits
from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World


class Request(NamedTuple):
    method: str
    path: str
    cost: int


@dataclass(frozen=True)
class Asked:
    """A request in full, and the status that it got (0: none)."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    end: str = ""
    """How it ends other than by being sent: "hang" and then hang up, "cut" in its midst."""


class Api:
    """Answers requests by the world, one at a time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.kill: Callable[[], None] = lambda: None
        self.waking = threading.Event()
        self.reset()

    def reset(self) -> None:
        self.waking.set()
        self.waking = threading.Event()
        self.token = "standin0123456789abcdef0123456789abcdef01"
        self.clock = Clock()
        self.world = _new_world(self.clock)
        self.limits = Limits(self.clock)
        self.hooks = Hooks(self.clock, self.lock)
        self.faults: list[Fault] = []
        self.under_way: list[Callable[[], Answer]] = []
        """Requests that nobody got an answer to, and that will have their effect yet."""
        self.broken: list[str] = []
        """Tracebacks of the stand-in itself."""
        self.requests: list[Request] = []
        self.log: list[Asked] = []
        self.search_lag = 0.0
        self.latency = 0.0
        self.hang_seconds = 0.3
        self.tells_limits = True

    def answer(self, method: str, target: str, headers: Any, raw: bytes) -> Answer:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if self.latency:
            self.waking.wait(self.latency)
        with self.lock:
            fault = next((each for each in self.faults if each.meets(f"{method} {url.path}")), None)
            answer = self._answer(method, url.path, query, headers, raw, fault)
            self.hooks.note(self.world)
            is_heard = not answer.end
            self.log.append(Asked(method, url.path, query, _loosely(raw), answer.status if is_heard else 0))
        if fault is not None and fault.how == "kill":
            self.kill()
        return answer

    def _answer(
        self, method: str, path: str, query: dict[str, str], headers: Any, raw: bytes, fault: Fault | None
    ) -> Answer:
        if fault is not None and fault.how not in AFTER:
            self.requests.append(Request(method, path, 0))
            if fault.how == "late":
                self.under_way.append(lambda: self._obey(method, path, query, headers, raw))
            return _instead(fault.how, self._limit_headers())
        try:
            answer = self._obey(method, path, query, headers, raw)
        except Hammered:
            return Answer(403, HTML, kind="text/html; charset=UTF-8")
        except Refused as refusal:
            return Answer(refusal.status, _json(refusal.body), self._limit_headers())
        except Exception:
            self.broken.append(traceback.format_exc())
            return Answer(500, b'{"success": false, "error": "The stand-in is broken."}')
        return answer if fault is None else _instead(fault.how, self._limit_headers())

    def arrive(self) -> None:
        """Do what is still under way; nobody waits for its answer any more."""
        with self.lock:
            late, self.under_way = self.under_way, []
            for act in late:
                with suppress(Refused):
                    act()
            self.hooks.note(self.world)

    def _obey(self, method: str, path: str, query: dict[str, str], headers: Any, raw: bytes) -> Answer:
        if headers.get("x-api-token") != self.token:
            self.requests.append(Request(method, path, 0))
            raise Refused("unauthorized access", status=401, errorCode=401)
        try:
            route, id = routes.find(method, path)
        except Refused:
            self.requests.append(Request(method, path, 0))
            raise
        self.requests.append(Request(method, path, route.cost))
        self.limits.take(route.cost, is_search=route.is_search)
        call = routes.Call(self.world, id, _query(route, query), _body(method, headers, raw), self.me, self.search_lag)
        data, additional = route.act(call)
        body: Object = {"success": True, "data": data}
        if "/webhooks" in path:
            body["status"] = "ok"
        if additional is not None:
            body["additional_data"] = additional
        return Answer(route.status, _json(body), self._limit_headers())

    @property
    def me(self) -> By:
        return By("api", 1)

    def _limit_headers(self) -> dict[str, str]:
        return self.limits.headers() if self.tells_limits else {}


def _new_world(clock: Clock) -> World:
    """A new account, as it stands before anybody worked in it: nobody is told of how it was made."""
    world = World(clock)
    users.add(world, "Ada Admin", "ada@standin.example")
    users.add(world, "Ben Seller", "ben@standin.example")
    fields.furnish(world)
    pipelines.create(world, "Pipeline", By("app", 1), pipelines.STAGES)
    world.changes.clear()
    return world


def _query(route: routes.Route, given: dict[str, str]) -> dict[str, Any]:
    for name in given:
        if name not in route.query:
            raise Refused(f"Validation failed: Unrecognized key(s) in query: '{name}'")
    return {name: route.query[name](value, name) for name, value in given.items()}


def _body(method: str, headers: Any, raw: bytes) -> Object:
    if method in ("GET", "DELETE"):
        return {}
    if "application/json" not in headers.get("Content-Type", ""):
        raise Refused("Unsupported media type: application/json is expected", status=415)
    try:
        body = json.loads(raw)
        # lone halves of characters are no text
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Refused("Request body is not valid JSON")
    if not isinstance(body, dict):
        raise Refused("Validation failed: body: Expected object")
    return body


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


def _loosely(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def _instead(how: str, headers: dict[str, str]) -> Answer:
    """What is answered in the place of the truth."""

    def refused(status: int, message: str, **more: Any) -> Answer:
        return Answer(status, _json(Refused(message, status=status, **more).body), headers)

    match how:
        case "timeout_after" | "timeout_before" | "late" | "kill":
            return Answer(0, b"", end="hang")
        case "cut" | "cut_before":
            return Answer(200, b'{"success": true, "data": {', end="cut")
        case "500" | "500_after":
            return refused(500, "Internal server error")
        case "504_after":
            return Answer(504, b"<html><body>Gateway time-out</body></html>", kind="text/html")
        case "503":
            return refused(503, "Service unavailable")
        case "503_html":
            return Answer(503, b"<html><body>Scheduled maintenance</body></html>", kind="text/html")
        case "429":
            return Answer(
                429,
                _json(Refused("request over limit", status=429, code="ERR_RATE_LIMIT").body),
                {**headers, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1", "retry-after": "1"},
            )
        case "429_bare":
            return Answer(429, b"")
        case "401":
            return refused(401, "unauthorized access", errorCode=401)
        case "402":
            return refused(
                402, "Company account is not open (possible reason: trial expired, payment details not entered)"
            )
        case "403":
            return refused(403, "You do not have permissions to do this.")
        case "feature_capping":
            return refused(403, "You have reached the limit of your plan", code="feature_capping_deals")
        case "403_html":
            return Answer(403, HTML, kind="text/html; charset=UTF-8")
        case "garbage":
            return Answer(200, b"<html>Welcome to the hotel's network</html>", kind="text/html")
        case "no_json":
            return Answer(200, b'{"success": true, "data": ')
        case _:
            return Answer(200, b'[{"success": "perhaps", "data": 5}]')


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    api: Api
    human: Callable[[str, str, bytes], Any]

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

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/people/"):
            answer = self._by_hand(raw)
        else:
            answer = self.server.api.answer(self.command, self.path, self.headers, raw)
        try:
            self._send(answer)
        except ConnectionError:
            self.close_connection = True

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: `Api.log` is the log."""

    def _by_hand(self, raw: bytes) -> Answer:
        try:
            return Answer(200, _json(self.server.human(self.command, self.path, raw)))
        except Refused as refusal:
            return Answer(refusal.status, _json(refusal.body))

    def _send(self, answer: Answer) -> None:
        api = self.server.api
        if answer.end == "hang":
            api.waking.wait(api.hang_seconds)
            self._hang_up()
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body) * (2 if answer.end == "cut" else 1)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.end == "cut":
            time.sleep(0.01)  # the half of it shall be read before the end is seen
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
