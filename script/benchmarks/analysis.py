"""The analysis of a thousand leads, asked of a server that takes 200 ms for each, beside the most that its limit allows.

Run as a module this is the process that does it: ``python -m script.benchmarks.analysis`` prints its figure as JSON. The server is the
bench's own process, so that neither takes the other's time.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from script.benchmarks import installation
from script.benchmarks.report import Row, progress
from script.benchmarks.server import ROOT

_LEADS, _AT_ONCE, _SECONDS = 1_000, 10, 0.2
_ROUNDS = 3
_ANALYSIS = {
    "status": "CONTACTED", "needs_action": True, "next_action_at": None, "next_action_description": "Call her.",
    "last_contact": None, "score": 70, "reason": "She asked for a price.",
}  # fmt: skip


def measure() -> list[Row]:
    progress(f"analysis: {_LEADS:,} leads, {_AT_ONCE} at once …")
    url = installation.small_database()
    rates, in_flight = [], []
    for _ in range(_ROUNDS):
        with _answering() as server:
            rates.append(_LEADS / _in_a_process(url, server.port))
            in_flight.append(server.in_flight())
    bound = [_AT_ONCE / _SECONDS] * _ROUNDS
    return [
        Row("analysis", f"{_AT_ONCE} at once, {_SECONDS * 1000:.0f} ms each", "/s", rates, bound, at_least=0.8),
        Row("analysis, calls in flight", "", "calls", in_flight, at_least=8),
    ]


def _in_a_process(url: str, port: int) -> float:
    asked = {
        "DATABASE_URL": url,
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "AI_ANALYSIS_PARALLEL": str(_AT_ONCE),
        "AI_ANALYSIS_PER_MINUTE": "0",
    }
    command = [sys.executable, "-m", "script.benchmarks.analysis"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **asked}, check=True, stdout=subprocess.PIPE)
    return float(json.loads(done.stdout)["seconds"])


# The server -----------------------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = int(self.server_address[1])
        self.calls: list[tuple[float, float]] = []

    def in_flight(self) -> float:
        """How many calls were under way at once, over the middle four fifths of the time: at least so many in nine tenths of it."""
        moments = sorted([(begun, 1) for begun, _ended in self.calls] + [(ended, -1) for _begun, ended in self.calls])
        first, last = moments[0][0], moments[-1][0]
        since, until = first + (last - first) / 10, last - (last - first) / 10
        spans: dict[int, float] = {}
        there, before = 0, first
        for moment, change in moments:
            lasted = min(moment, until) - max(before, since)
            if lasted > 0:
                spans[there] = spans.get(there, 0) + lasted
            there, before = there + change, moment
        left = (until - since) / 10
        for count in sorted(spans):
            left -= spans[count]
            if left < 0:
                return float(count)
        return 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        begun = time.perf_counter()
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(_SECONDS)
        self.server.calls.append((begun, time.perf_counter()))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_BODY)))
        self.end_headers()
        self.wfile.write(_BODY)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


_TEXT = {"type": "output_text", "text": json.dumps(_ANALYSIS), "annotations": []}
_BODY = json.dumps(
    {
        "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o-mini",
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [_TEXT]}],
        "usage": {"input_tokens": 500, "output_tokens": 60, "total_tokens": 560},
    }
).encode()  # fmt: skip


@contextmanager
def _answering() -> Iterator[_Server]:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# In the process -------------------------------------------------------------------------------------------------------------


def main() -> None:
    import django

    django.setup()
    from ai.analysis import running, starting
    from billing.models import Plan
    from leads.models import Lead
    from leads.selections import Selection

    member = installation.passing_workspace()
    Plan.objects.filter(code="bench").update(ai_budget=1_000_000)
    Lead.objects.bulk_create(
        Lead(workspace=member.workspace, company=f"Practice {number}", notes="She asked for a price. " * 20)
        for number in range(_LEADS)
    )
    run = starting.start(Selection(filter={}), workspace=member.workspace, by=member.user)
    begun = time.perf_counter()
    while running.work(run, is_last_try=True, leave_off=lambda: False) is not None:
        pass
    seconds = time.perf_counter() - begun
    run.refresh_from_db()
    if (run.status, run.analyzed_count) != ("completed", _LEADS):
        raise RuntimeError(f"The run is {run.status}, with {run.analyzed_count} leads: {run.failure}")
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
