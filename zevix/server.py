"""Runs Zevix: the embedded PostgreSQL where no other is named, the preparations, the web server, and a worker beside it.

It ends everything on Ctrl-C or SIGTERM. When one of its processes dies it ends the others too, so that whatever keeps services
alive sees it. It loads no Django itself, so it weighs little.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

import environ

from zevix import embedded_postgres

ROOT = Path(__file__).resolve().parent.parent
GRACE = 10  # seconds that a process has to end by itself

env = environ.Env()


def main() -> None:
    env.read_env(ROOT / ".env")
    host, port = env.str("HOST", default="127.0.0.1"), env.int("PORT", default=8000)
    _refuse_taken_port(host, port)
    signal.signal(signal.SIGTERM, _interrupt)
    if not env.str("DATABASE_URL", default=""):
        data_dir = Path(env.str("DATA_DIR", default="var"))
        os.environ["DATABASE_URL"] = embedded_postgres.start(ROOT / data_dir / "postgres")

    processes: list[subprocess.Popen[bytes]] = []
    try:
        hints = subprocess.run([sys.executable, "manage.py", "prepare"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        processes += [_start(_worker()), _start(_web(host, port))]
        _wait_until_healthy(host, port, processes)
        _say_where(host, port, hints.stdout.decode())
        _wait_for_the_first_to_end(processes)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        print("Stopping …")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(processes)


def _web(host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "zevix.asgi:application", "--interface", "asgi",
        "--host", host, "--port", str(port), "--workers", env.str("WEB_PROCESSES", default="1"),
        "--ws", "--log-level", "warning", "--workers-kill-timeout", str(GRACE - 2),
        "--backlog", "1024",
    ]  # fmt: skip


def _worker() -> list[str]:
    return [
        sys.executable, "manage.py", "procrastinate", "worker", "--concurrency", env.str("WORKER_JOBS", default="4"),
        "--shutdown-graceful-timeout", str(GRACE - 2), "--delete-jobs", "successful",
    ]  # fmt: skip


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    # in a session of its own, so that Ctrl-C reaches this process alone, which then ends the others in order
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, preexec_fn=_die_with_parent)


def _die_with_parent() -> None:
    """Should this supervisor be killed outright, the kernel ends its children (Linux; elsewhere there is no such promise)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            sys.exit(f"Port {port} on {host} can't be used ({error.strerror}). Choose another: PORT=8001 script/server")


def _wait_until_healthy(host: str, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    # asked at its own address, under a name that it answers to
    name = next((name.lstrip(".") for name in env.list("ALLOWED_HOSTS", default=[]) if name != "*"), "localhost")
    health = urllib.request.Request(f"{_url(host, port)}/health", headers={"Host": name})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        _end_if_dead(processes)
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit("The server did not become healthy within a minute.")


def _say_where(host: str, port: int, hints: str) -> None:
    url = _url(host, port)
    print(f"\nZevix is running at {url}\n")
    print(f"  API      {url}/api/docs")
    print(f"  Admin    {url}/admin/")
    print(f"\n{hints}Ctrl-C stops it.\n", flush=True)


def _url(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{port}"


def _wait_for_the_first_to_end(processes: list[subprocess.Popen[bytes]]) -> None:
    while True:
        _end_if_dead(processes)
        time.sleep(0.2)


def _end_if_dead(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is not None:
            sys.exit(f"{' '.join(map(str, process.args[1:4]))} ended with {process.returncode}.")  # type: ignore[index]  # a list, as they were started


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask each process group to end, and kill what has not after the grace."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # it has ended already


if __name__ == "__main__":
    main()
