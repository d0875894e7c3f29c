"""The running server, started as users start it: bodies, disconnects, signals, and what survives a kill."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


class Server:
    """`python -m zevix.server` on a free port, with data of its own and an embedded PostgreSQL of its own."""

    def __init__(self, data_dir):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "DEBUG"}}
        self.log = (data_dir / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zevix.server"],
            cwd=ROOT,
            env=environment | {"DATA_DIR": str(data_dir), "PORT": str(self.port), "LOGIN_FAILURE_LIMIT": "1000"},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            # a shell that runs the tests in the background has it ignored, and who is started by them would ignore it as well
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._wait_until_healthy()

    def _wait_until_healthy(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.call("GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start: {Path(self.log.name).read_text()[-3000:]}")

    def call(self, method, path, body=None, token=None, **headers):
        """Status, headers and body (JSON where it is some) of one request."""
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), _content(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, dict(refused.headers), _content(refused.read())

    def sign_in(self, name="admin"):
        status, _headers, body = self.call("POST", "/api/auth/login", {"username": name, "password": "admin123"})
        assert status == 200, body
        return body["token"]

    def processes(self):
        """The server's own and all below it; PostgreSQL runs apart from them."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def postgres(self):
        data_dir = str(Path(self.log.name).parent / "postgres")
        return [
            process
            for process in psutil.process_iter(["name", "cmdline", "status"])
            if process.info["name"] == "postgres" and data_dir in (process.info["cmdline"] or [])
        ]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
        self.log.close()

    def kill(self):
        """What a power cut does: everything is gone at once, PostgreSQL too."""
        for process in [*self.processes(), *self.postgres()]:
            process.kill()
        self.process.wait(10)
        self.log.close()


def _content(body):
    try:
        return json.loads(body)
    except ValueError:
        return body


@contextmanager
def connected(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield connection


@pytest.fixture(scope="module")
def started_once(tmp_path_factory):
    """The data of a first start, which takes ten seconds."""
    data_dir = tmp_path_factory.mktemp("first")
    Server(data_dir).stop()
    return data_dir


@pytest.fixture(scope="module")
def server(tmp_path_factory, started_once):
    running = Server(_copy(started_once, tmp_path_factory.mktemp("server")))
    yield running
    running.stop()


@pytest.fixture
def data_dir(started_once, tmp_path):
    return _copy(started_once, tmp_path)


def _copy(data, to):
    """With its owners: PostgreSQL is not root."""
    subprocess.run(["cp", "-a", f"{data}/.", to], check=True)
    return to


@pytest.fixture(scope="module")
def token(server):
    return server.sign_in()


def test_health_tells_of_database_and_jobs(server):
    status, headers, body = server.call("GET", "/health", **{"X-Request-ID": "abc-1"})

    assert status == 200
    assert body["checks"] == {"database": "ok", "jobs": "ok"}
    assert headers["x-request-id"] == "abc-1"


def test_a_first_start_makes_a_demo_to_look_at(server, token):
    _status, _headers, catalogue = server.call("GET", "/api/v1/catalogue?count=true", token=token)
    _status, _headers, leads = server.call("GET", "/api/v1/leads?count=true&assigned_to=none", token=token)

    assert catalogue["count"] == 400
    assert leads["count"] == 10


def test_the_documentation_and_the_admin_are_served_with_their_files(server):
    status, _headers, page = server.call("GET", "/api/docs")
    css = server.call("GET", "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css")
    admin = server.call("GET", "/admin/login/")

    assert (status, css[0], admin[0]) == (200, 200, 200)
    assert b"/static/drf_spectacular_sidecar" in page
    assert len(css[2]) > 100_000


def test_a_body_of_megabytes_arrives_whole(server, token):
    rows = "".join(f"Practice {number},office{number}@big.example,{'note ' * 25}\n" for number in range(15_000))

    status, _headers, body = server.call(
        "POST", "/import/leads", f"company,email,notes\n{rows}".encode(), token, **{"Content-Type": "text/csv"}
    )

    assert status == 200, body
    assert body["created_count"] == 15_000


def test_a_body_above_the_limit_is_refused_and_the_server_goes_on(server, token):
    status, _headers, body = server.call("POST", "/api/v1/leads", b"[" + b" " * 3_000_000 + b"]", token,
                                         **{"Content-Type": "application/json"})  # fmt: skip

    assert (status, body["error"]) == (413, "payload_too_large")
    assert server.call("GET", "/health")[0] == 200


def test_a_client_that_goes_away_in_the_midst_of_an_upload_leaves_nothing(server, token):
    head = (
        "POST /import/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\n"
    )
    with connected(server) as connection:
        connection.sendall(head.encode() + b"company,email\n" + b"Half,half@gone.example\n" * 1000)
        time.sleep(0.5)

    time.sleep(1)
    _status, _headers, found = server.call("GET", "/api/v1/leads?search=half@gone.example", token=token)
    assert found["results"] == []


def test_a_body_of_unknown_length_is_refused_with_a_reason(server, token):
    with connected(server) as connection:
        connection.sendall(
            b"POST /import/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n"
            + f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
            + b"7\r\ncompany\r\n0\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 411")
    assert b'"error":"length_required"' in answer


def test_requests_over_one_connection_are_answered_in_turn(server):
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(65536)
            while b'"jobs"' not in answer:
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_websocket_to_nowhere_is_turned_away(server):
    with connected(server) as connection:
        connection.sendall(
            b"GET /ws/nowhere HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 403")
    assert server.call("GET", "/health")[0] == 200


def test_the_path_that_streams_refuses_in_the_same_shape(server):
    status, _headers, body = server.call("GET", "/api/chat")

    assert (status, body["error"]) == (405, "method_not_allowed")


def test_a_killed_server_has_lost_nothing_that_it_answered_and_charges_nothing_twice(data_dir):
    server = Server(data_dir)
    token = server.sign_in()
    _give_business_plan(server)
    ids = [f"P{number:04d}" for number in range(1, 401)]
    answered = []

    def export_one_by_one(share):
        for lead_id in share:
            try:
                status, _headers, body = server.call("POST", "/zevix/export-lead", {"lead_id": lead_id}, token)
            except OSError:
                return
            if status == 200:
                answered.extend(body["new_ids"])

    threads = [threading.Thread(target=export_one_by_one, args=(ids[part::8],)) for part in range(8)]
    for thread in threads:
        thread.start()
    while len(answered) < 40:
        time.sleep(0.01)
    server.kill()
    for thread in threads:
        thread.join()

    revived = Server(data_dir)
    try:
        token = revived.sign_in()
        before = revived.call("POST", "/zevix/refresh-token", {}, token)[2]["used"]
        _status, _headers, rest = revived.call("POST", "/zevix/export-leads-batch", {"lead_ids": ids}, token)
        _status, _headers, owned = revived.call("GET", "/api/v1/leads?count=true&source=catalogue", token=token)
    finally:
        revived.stop()

    assert 40 <= len(answered) < 400
    assert set(answered) <= set(rest["duplicate_ids"])
    assert before == len(rest["duplicate_ids"])
    assert len(rest["new_ids"]) + len(rest["duplicate_ids"]) == rest["used"] == owned["count"] == 400


def _give_business_plan(server):
    """By the database itself, as the operator would in the admin."""
    import psycopg

    socket_dir = (Path(server.log.name).parent / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    with psycopg.connect(host=socket_dir, user="postgres", dbname="zevix") as connection:
        connection.execute(
            "INSERT INTO billing_subscription (workspace_id, plan_id, created_at, updated_at)"
            " SELECT m.workspace_id, p.id, now(), now() FROM accounts_user u JOIN accounts_membership m ON m.user_id = u.id,"
            " billing_plan p WHERE u.username = 'admin' AND p.code = 'business'"
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process(data_dir, number):
    server = Server(data_dir)
    processes = [*server.processes(), *server.postgres()]

    server.process.send_signal(number)
    server.process.wait(30)
    server.log.close()

    left = [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert len(processes) >= 5
    assert left == []


def test_the_web_servers_death_ends_the_rest(data_dir):
    server = Server(data_dir)
    web = next(process for process in server.processes() if "granian" in " ".join(process.cmdline()))

    web.kill()

    assert server.process.wait(30) == 1
    server.log.close()


def test_a_taken_port_is_told_at_once(server):
    answer = subprocess.run(
        [sys.executable, "-m", "zevix.server"],
        cwd=ROOT, env=os.environ | {"PORT": str(server.port)}, capture_output=True, text=True, timeout=20,
    )  # fmt: skip

    assert answer.returncode == 1
    assert f"Port {server.port} on 127.0.0.1 can't be used" in answer.stderr
