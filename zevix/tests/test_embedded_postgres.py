"""The embedded PostgreSQL, as a process that starts it finds it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SESSION = """
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from zevix import embedded_postgres

url = urlsplit(embedded_postgres.start(Path(sys.argv[1])))
socket_dir = unquote(url.path.removesuffix("/zevix")[1:])
with psycopg.connect(host=socket_dir, user="postgres", dbname="zevix", autocommit=True) as connection:
    for statement in sys.argv[2:]:
        asked = connection.execute(statement)
        if asked.description:
            print(asked.fetchone()[0])
"""


def session(data_dir, *statements):
    """What a process of its own, which starts the server and ends it, is answered."""
    command = [sys.executable, "-c", SESSION, str(data_dir), *statements]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60).stdout.split()


def test_its_checkpoints_are_far_apart_and_what_somebody_set_stays(tmp_path):
    first = session(tmp_path, "SHOW max_wal_size", "SHOW checkpoint_timeout", "ALTER SYSTEM SET max_wal_size = '2GB'")
    second = session(tmp_path, "SHOW max_wal_size", "SHOW checkpoint_timeout")

    assert (first, second) == (["4GB", "15min"], ["2GB", "15min"])
