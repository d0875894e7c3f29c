"""An installed checkout's start: how long until it answers, and what it weighs at rest."""

import tempfile
import time
from pathlib import Path

from script.benchmarks import installation
from script.benchmarks.report import ROUNDS, Row, progress
from script.benchmarks.server import ROOT, running, wait_until_stopped

_REST = 3.0  # seconds
_COMMAND = [str(ROOT / "script" / "server")]


def measure() -> list[Row]:
    progress("start: the second start of a fresh installation …")
    seconds, memory = [], []
    with tempfile.TemporaryDirectory(dir=installation.DATA_DIR, prefix="start-") as data_dir:
        _start(Path(data_dir), rest=0)
        for _ in range(ROUNDS):
            took, weighed = _start(Path(data_dir), rest=_REST)
            seconds.append(took)
            memory.append(weighed)
    return [
        Row("start", "first answer", "s", seconds, at_most=5),
        Row("start", "memory at rest", "MiB", memory, at_most=400),
    ]


def _start(data_dir: Path, *, rest: float) -> tuple[float, float]:
    """Start, let it rest, weigh it, stop it: (seconds, MiB)."""
    postgres = data_dir / "postgres"
    environment = installation.environment(data_dir) | {"DJANGO_SETTINGS_MODULE": "zevix.settings"}
    with running(_COMMAND, environment, installation.DATA_DIR / "start.log") as server:
        time.sleep(rest)
        weighed = server.memory(postgres)
    wait_until_stopped(postgres)
    return server.seconds, weighed
