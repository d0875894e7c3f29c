"""A server of the bench's own: started, waited for, weighed, stopped by its own process id."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Server:
    """One that runs. ``seconds`` went by from its start to its first 200 of ``/health``."""

    port: int
    seconds: float
    process: subprocess.Popen[bytes]

    def memory(self, postgres: Path) -> float:
        """MiB of all its processes and of those of the PostgreSQL on ``postgres``; what several share is counted once."""
        roots = [self.process.pid, int((postgres / "postmaster.pid").read_text().split()[0])]
        processes = {process for pid in roots for process in _tree(psutil.Process(pid))}
        return sum(map(_proportional, processes)) / 1024**2


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Run ``command`` on a free port as long as the block lasts; its output goes to ``log``."""
    port = _free_port()
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**environment, "PORT": str(port)}, stdout=output, stderr=output, start_new_session=True
        )  # fmt: skip
        try:
            _wait_until_healthy(port, process, log)
            yield Server(port, time.perf_counter() - begun, process)
        finally:
            _stop(process)


def wait_until_stopped(postgres: Path) -> None:
    """Wait until the PostgreSQL on ``postgres`` has ended, as it does when its last user has."""
    deadline = time.monotonic() + 30
    while (postgres / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _proportional(process: psutil.Process) -> int:
    """Bytes held, of those that n processes share one n-th; none for a process that has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.02)
    raise RuntimeError(f"The server did not become healthy; {log} tells why.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
