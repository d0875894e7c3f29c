"""Stripe's side of the wire: keys, versions, forms, idempotency, faults, and a log of what was asked."""

import copy
import json
import socket
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from billing.tests.stripe_server import portal, routes
from billing.tests.stripe_server.checking import checked, decode
from billing.tests.stripe_server.refusals import Refused
from billing.tests.stripe_server.world import API_VERSION, World, expanded


class Request(NamedTuple):
    method: str
    path: str
    params: dict[str, Any]
    idempotency_key: str | None


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    is_saved: bool = True


class Saved(NamedTuple):
    what: tuple[str, str, str]
    answer: Answer


class Api:
    """Answers requests by the world, one at a time; how it fails next is set by the test."""

    def __init__(self, secret_key: str) -> None:
        self.secret_key = secret_key
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        self.world = World()
        # the operator has saved the portal's settings once; without that no session of it begins
        portal.create_configuration(self.world, {"features": {}})
        self.requests: list[Request] = []
        self.saved: dict[str, Saved] = {}
        self.at_work: set[str] = set()
        self.planned: list[Answer] = []
        self.faults: list[str] = []
        """Tracebacks of the stand-in itself."""
        self.answers_to_lose = 0
        self.delay = 0.0
        self.waking = threading.Event()
        self._count = 0

    def request_id(self) -> str:
        with self.lock:
            self._count += 1
            return f"req_{self._count:06d}"

    def answer(self, method: str, target: str, headers: Any, form: str) -> tuple[Answer, bool]:
        """The answer, and whether it is an old one played again."""
        url = urlsplit(target)
        key = headers.get("Idempotency-Key")
        try:
            self._authenticate(headers)
            params = decode(form if method == "POST" else url.query)
            with self.lock:
                self.requests.append(Request(method, url.path, copy.deepcopy(params), key))
            if key is None or method == "GET":
                return self._act(method, url.path, params), False
            return self._act_once(key, method, url.path, params)
        except Refused as refusal:
            return Answer(refusal.status, refusal.body), False

    def _authenticate(self, headers: Any) -> None:
        given = headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            raise Refused("You did not provide an API key.", status=401)
        if given != self.secret_key:
            raise Refused(f"Invalid API Key provided: {given[:7]}***", status=401)
        version = headers.get("Stripe-Version", API_VERSION)
        if version != API_VERSION:
            raise Refused(f"Invalid Stripe API version: {version}", status=400)

    def _act_once(self, key: str, method: str, path: str, params: dict[str, Any]) -> tuple[Answer, bool]:
        """Source: https://docs.stripe.com/api/idempotent_requests"""
        if len(key) > 255:
            raise Refused("Idempotency keys may be at most 255 characters long.", kind="idempotency_error")
        what = (method, path, json.dumps(params, sort_keys=True))
        with self.lock:
            if key in self.at_work:
                raise Refused(
                    f"There is currently another in-progress request using this Idempotency Key ({key}).",
                    code="idempotency_key_in_use",
                    status=409,
                    kind="idempotency_error",
                )
            if (saved := self.saved.get(key)) is not None:
                if saved.what != what:
                    raise Refused(
                        "Keys for idempotent requests can only be used with the same parameters they were first used with."
                        f" Try using a key other than '{key}' if you meant to execute a different request.",
                        kind="idempotency_error",
                    )
                return saved.answer, True
            self.at_work.add(key)
        try:
            answer = self._act(method, path, params)
            if answer.is_saved:
                with self.lock:
                    self.saved[key] = Saved(what, answer)
            return answer, False
        finally:
            with self.lock:
                self.at_work.discard(key)

    def _act(self, method: str, path: str, params: dict[str, Any]) -> Answer:
        world = self.world
        if self.delay:
            self.waking.wait(self.delay)
        with self.lock:
            if self.world is not world:
                return Answer(503, {"error": {"type": "api_error", "message": "The test is over."}}, is_saved=False)
            if self.planned:
                return self.planned.pop(0)
            before = copy.deepcopy(self.world) if method != "GET" else None
            try:
                return Answer(200, _acted(self.world, method, path, params))
            except Refused as refusal:
                if before is not None and not refusal.keeps_changes:
                    vars(self.world).update(vars(before))
                return Answer(refusal.status, refusal.body, refusal.is_saved)
            except Exception:
                self.faults.append(traceback.format_exc())
                return Answer(500, {"error": {"type": "api_error", "message": "The stand-in is broken."}})


def _acted(world: World, method: str, path: str, params: dict[str, Any]) -> dict[str, Any]:
    route, ids = routes.find(method, path)
    fitting = checked(params, route.params)
    body = route.act(world, fitting, **ids)
    return expanded(world, body, fitting.get("expand", []))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    api: Api

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up is no news here; a fault of the stand-in answers 500 in the handler."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: `Api.requests` is the log."""

    def _serve(self) -> None:
        api = self.server.api
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        answer, is_replayed = api.answer(self.command, self.path, self.headers, form)
        with api.lock:
            is_lost = api.answers_to_lose > 0
            api.answers_to_lose -= is_lost
        if is_lost:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        encoded = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.send_header("Request-Id", api.request_id())
        self.send_header("Stripe-Version", API_VERSION)
        if is_replayed:
            self.send_header("Idempotent-Replayed", "true")
        if self.headers.get("Idempotency-Key"):
            self.send_header("Idempotency-Key", self.headers["Idempotency-Key"])
        self.end_headers()
        self.wfile.write(encoded)
