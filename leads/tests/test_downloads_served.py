"""Downloads from the running server: slow readers, readers who go away, and a database that fails in the midst."""

import http.client
import time
from pathlib import Path

import psycopg
import pytest

from zevix.tests.test_server import Server

LEADS = 20_000
PATIENCE = 4  # seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOWNLOAD_PATIENCE", str(PATIENCE))
        running = Server(tmp_path_factory.mktemp("downloads"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def database(server):
    socket_dir = (Path(server.log.name).parent / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    with psycopg.connect(host=socket_dir, user="postgres", dbname="zevix", autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def export(database):
    """The id of an export of many leads of a kilobyte each, in the workspace of the demo's admin."""
    (workspace,) = database.execute(
        "SELECT workspace_id FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id WHERE u.username = 'admin'"
    ).fetchone()
    (export,) = database.execute(
        """
        WITH leads AS (
            INSERT INTO leads_lead (workspace_id, company, notes)
            SELECT %(workspace)s, 'Practice ' || n, repeat(md5(n::text), 32) FROM generate_series(1, %(leads)s) AS n RETURNING id
        ), export AS (
            INSERT INTO leads_export (workspace_id, month, leads, new_count, duplicate_count, not_exported_count, unknown_count,
                                      used, "limit", created_at)
            SELECT %(workspace)s, '2026-01', array_agg(id), count(*), 0, 0, 0, 0, 0, now() FROM leads RETURNING id
        ), charged AS (
            INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id)
            SELECT %(workspace)s, leads.id, export.id FROM leads, export
        )
        SELECT id FROM export
        """,
        {"workspace": workspace, "leads": LEADS},
    ).fetchone()
    return export


@pytest.fixture
def begin(server, export):
    """Ask for a file and read none of it yet."""
    opened = []

    def ask(format="json"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        opened.append(connection)
        path = f"/api/v1/exports/{export}/download?format={format}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.sign_in()}"})
        answer = connection.getresponse()
        assert answer.status == 200
        return connection, answer

    yield ask
    for connection in opened:
        connection.close()


def downloads_going(database):
    """How many of the server's slots for downloads are taken."""
    return database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()[0]


def wait_until_none_is_going(database):
    deadline = time.monotonic() + 30
    while downloads_going(database) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert downloads_going(database) == 0


def test_a_slow_reader_costs_little_memory_and_no_transaction(server, begin, database):
    server.sign_in()  # the first one loads what stays, and hashes a password, which takes memory of its own
    before = memory(server)
    _connection, answer = begin()
    time.sleep(1.5)

    held = memory(server) - before
    open_transactions = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND query LIKE 'SELECT string_agg%%'"
    ).fetchone()[0]
    content = answer.read()

    assert len(content) > 30_000_000
    assert held < 15_000_000
    assert open_transactions == 0
    wait_until_none_is_going(database)


def test_a_reader_who_goes_away_ends_the_download(begin, database):
    connection, answer = begin()
    answer.read(1000)
    going = downloads_going(database)

    answer.close()
    connection.close()

    assert going == 1
    wait_until_none_is_going(database)


def test_a_reader_who_takes_nothing_for_long_has_the_file_broken_off(begin, database):
    _connection, answer = begin()
    answer.read(1000)
    going = downloads_going(database)

    wait_until_none_is_going(database)

    assert going == 1
    with pytest.raises(http.client.IncompleteRead):
        answer.read()


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_database_that_fails_in_the_midst_breaks_the_file_off_and_the_next_one_is_whole(begin, database, format):
    _connection, answer = begin(format)
    answer.read(1000)

    time.sleep(0.5)  # the server waits for the reader now
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%' OR query LIKE 'SELECT string_agg%'"
    )
    with pytest.raises(http.client.IncompleteRead):
        answer.read()

    wait_until_none_is_going(database)
    assert len(begin(format)[1].read()) > 20_000_000


def memory(server):
    """Bytes that the web server holds of its own."""
    return sum(
        process.memory_full_info().uss for process in server.processes() if "granian" in " ".join(process.cmdline())
    )
