"""A first pass over many leads against a Pipedrive that takes its time and has its limits, beside the most that these allow; and how long
its webhook waits for its answer.

Pipedrive is the tests' stand-in, in the bench's own process. Run as a module this is the process that does the backfill:
``python -m script.benchmarks.crm TOKEN`` prints its figures as JSON.
"""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from script.benchmarks import installation, load
from script.benchmarks.report import Row, progress
from script.benchmarks.server import ROOT, running, wait_until_stopped

_LEADS = 600
_BURST, _WINDOW = 120, 2.0  # the limit of Pipedrive's largest plan
_LATENCY = 0.1  # seconds
_EVENTS = 400
_COMMAND = [str(ROOT / "script" / "server")]


def measure() -> list[Row]:
    progress(f"crm: {_LEADS:,} leads to Pipedrive, {_BURST} requests in two seconds …")
    with tempfile.TemporaryDirectory(dir=installation.DATA_DIR, prefix="crm-") as data_dir, _pipedrive() as pipedrive:
        environment = installation.environment(Path(data_dir)) | {
            "DJANGO_SETTINGS_MODULE": "zevix.settings",
            "PIPEDRIVE_BASE_URL": pipedrive.url,
        }
        done = _backfill(environment, pipedrive)
        asked, tokens = len(pipedrive.requests) - done["asked_before"], pipedrive.tokens_spent - done["spent_before"]
        with running(_COMMAND, environment, installation.DATA_DIR / "crm.log") as server:
            answered = _webhook_milliseconds(server.port, done)
        wait_until_stopped(Path(data_dir) / "postgres")
    return [
        Row("crm, requests of a backfill", "Pipedrive's limit", "/s", [asked / done["seconds"]], [_BURST / _WINDOW], at_least=0.8),
        Row("crm, refused by the limit", "", "calls", [float(pipedrive.limits.refused)], at_most=0),
        Row("crm, tokens of a lead", "", "tokens", [tokens / _LEADS]),
        Row("crm, webhook", "", "ms", [median(answered)], at_most=50),
        Row("crm, webhook, 95 of 100", "", "ms", [quantiles(answered, n=20)[-1]], at_most=50),
    ]  # fmt: skip


@contextmanager
def _pipedrive() -> Iterator[Any]:
    from crm.tests.pipedrive_server import PipedriveServer

    server = PipedriveServer()
    server.limits.burst, server.limits.daily = _BURST, 10_000_000
    server.slow(_LATENCY)
    try:
        yield server
    finally:
        server.stop()


def _backfill(environment: dict[str, str], pipedrive: Any) -> dict[str, Any]:
    subprocess.run([sys.executable, "manage.py", "prepare"], cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
    command = [sys.executable, "-m", "script.benchmarks.crm", pipedrive.token]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None and process.stdout is not None
        told = json.loads(process.stdout.readline())
        before = {"asked_before": len(pipedrive.requests), "spent_before": pipedrive.tokens_spent}
        process.stdin.write(b"go\n")
        process.stdin.flush()
        figures = json.loads(process.stdout.readline())
    return {**told, **before, **figures}


def _webhook_milliseconds(port: int, connection: dict[str, Any]) -> list[float]:
    requests = [_event(connection, number) for number in range(_EVENTS)]
    load.ask(port, requests.pop())  # the first one of a process takes longer
    return [_milliseconds(port, request) for request in requests]


def _milliseconds(port: int, request: bytes) -> float:
    begun = time.perf_counter()
    load.ask(port, request)
    return (time.perf_counter() - begun) * 1000


def _event(connection: dict[str, Any], number: int) -> bytes:
    person = {"id": number + 1, "name": f"Person {number}", "emails": [], "phones": [], "org_id": None, "owner_id": 1}
    meta = {
        "action": "change", "entity": "person", "entity_id": str(number + 1), "id": str(uuid.uuid4()), "attempt": 1, "version": "2.0",
        "company_id": str(connection["company_id"]), "user_id": "2", "change_source": "app", "timestamp": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    body = json.dumps({"meta": meta, "data": person, "previous": {"name": "Before"}}).encode()
    password = b64encode(f"{connection['user']}:{connection['password']}".encode()).decode()
    return load.post_with_password(connection["path"], password, body)


# In the process -------------------------------------------------------------------------------------------------------------


def main() -> None:
    import django

    django.setup()
    from crm.models import TokenMeter
    from crm.pipedrive import accounts
    from crm.pipedrive.events import hooks
    from crm.pipedrive.runs import backfilling
    from leads.models import Lead
    from zevix.sealing import unseal

    member = installation.passing_workspace()
    Lead.objects.bulk_create(_leads(member.workspace_id))
    connection = accounts.connect(member.workspace, token=sys.argv[1], by=member.user)
    TokenMeter.objects.filter(connection=connection).update(daily_limit=10_000_000)
    path, password = (
        f"/api/crm/webhooks/pipedrive/{connection.webhook_secret}",
        unseal(connection.sealed_webhook_password),
    )
    _say({"path": path, "user": hooks.USER, "password": password, "company_id": connection.company_id})
    sys.stdin.readline()
    run = backfilling.take_up(connection)
    begun = time.perf_counter()
    backfilling.go_on(run)
    seconds = time.perf_counter() - begun
    run.refresh_from_db()
    if (run.created_count, run.failed_count) != (_LEADS, 0):
        raise RuntimeError(f"{run.created_count} were created, {run.failed_count} failed: {run.failure}")
    _say({"seconds": seconds})


def _leads(workspace_id: int) -> list[Any]:
    from leads.models import Lead

    return [
        Lead(
            workspace_id=workspace_id,
            name=f"Person {number}",
            email=f"person{number}@practice.example",
            company=f"Practice {number // 2}",
            phone=f"+1 330 779 {number:04d}",
            website=f"https://practice{number // 2}.example",
        )
        for number in range(_LEADS)
    ]


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
