"""A light load: ready-made requests over a few connections that stay open, and how long the answers took."""

import http.client
import socket
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

CONNECTIONS = 4
_PATIENCE = 300  # seconds; a slow answer is measured, too
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


def get(path: str, token: str) -> bytes:
    """A request, as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def post(path: str, token: str, body: bytes) -> bytes:
    return _with_body("POST", path, f"Authorization: Bearer {token}", body)


def post_signed(path: str, signature: str, body: bytes) -> bytes:
    """As Stripe sends its events."""
    return _with_body("POST", path, f"Stripe-Signature: {signature}", body)


def post_with_password(path: str, password: str, body: bytes) -> bytes:
    """As Pipedrive does; the password is that of Basic authentication, encoded."""
    return _with_body("POST", path, f"Authorization: Basic {password}", body)


def patch(path: str, token: str, body: bytes) -> bytes:
    return _with_body("PATCH", path, f"Authorization: Bearer {token}", body)


def _with_body(method: str, path: str, header: str, body: bytes) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True)
class Answered:
    """How many requests were answered, in which time."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds


def send(port: int, requests: Iterable[bytes], *, at_most_seconds: float, connections: int = CONNECTIONS) -> Answered:
    """Send ``requests`` until there are none left or the time is up; each answer must be a 200."""
    waiting = deque(requests)
    number = len(waiting)
    begun = time.perf_counter()
    with ThreadPoolExecutor(connections) as threads:
        workers = [threads.submit(_send, port, waiting, begun + at_most_seconds) for _ in range(connections)]
        for worker in workers:
            worker.result()
    return Answered(number - len(waiting), time.perf_counter() - begun)


def ask(port: int, request: bytes) -> bytes:
    """The body of one answer."""
    with _connect(port) as connection:
        connection.sendall(request)
        return _read(connection, bytearray(4 << 20))


def read(port: int, path: str, token: str) -> int:
    """Read a file to its end and keep none of it; returns how many bytes it has."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"The server answered {answer.status} {answer.read(2000).decode(errors='replace')}")
        return sum(map(len, iter(lambda: answer.read(1 << 20), b"")))
    finally:
        connection.close()


def _send(port: int, waiting: deque[bytes], deadline: float) -> None:
    buffer = bytearray(4 << 20)
    with _connect(port) as connection:
        while time.perf_counter() < deadline:
            try:
                request = waiting.popleft()
            except IndexError:
                return
            connection.sendall(request)
            _read(connection, buffer)


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _read(connection: socket.socket, buffer: bytearray) -> bytes:
    """Read one answer into ``buffer``; returns its body. Raises RuntimeError unless it is a 200 of a told length."""
    view = memoryview(buffer)
    filled, end = 0, -1
    while end < 0:
        filled += _receive(connection, view[filled:])
        end = buffer.find(_END_OF_HEAD, 0, filled)
    head = bytes(view[:end])
    at = head.lower().find(_LENGTH)
    if not head.startswith(b"HTTP/1.1 200 ") or at < 0:
        raise RuntimeError(f"The server answered {bytes(view[: min(filled, 2000)]).decode(errors='replace')}")
    begin = end + len(_END_OF_HEAD)
    whole = begin + int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
    while filled < whole:
        filled += _receive(connection, view[filled:])
    return bytes(view[begin:whole])


def _receive(connection: socket.socket, into: memoryview) -> int:
    count = connection.recv_into(into)
    if not count:
        raise RuntimeError("The server closed the connection.")
    return count
