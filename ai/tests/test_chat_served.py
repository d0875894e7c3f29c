"""The chat from the running server: streams, readers who go away, many at once, and what they hold meanwhile."""

import http.client
import json
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest

from ai.tests.openai_server import OpenAIServer
from zevix.tests.test_server import Server

WORDS = [f"word{number} " for number in range(20)]
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def openai():
    running = OpenAIServer()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, openai):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", openai.key)
        environment.setenv("OPENAI_BASE_URL", openai.url)
        running = Server(tmp_path_factory.mktemp("chat"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def database(server):
    socket_dir = (Path(server.log.name).parent / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    with psycopg.connect(host=socket_dir, user="postgres", dbname="zevix", autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def slow_answer(openai):
    openai.reset()
    openai.reply("".join(WORDS).strip())
    openai.slow(0, between_deltas=0.1)
    yield
    openai.slow(0)


def begin(server, message="Hello", headers=None, **body):
    """Say something and read none of the answer yet."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    text = json.dumps({"message": message, **body})
    connection.request("POST", "/api/chat", text, {"Content-Type": "application/json", **(headers or {})})
    return connection


def messages_after(database, message):
    return database.execute(
        "SELECT role, text, is_broken_off FROM ai_chatmessage WHERE session_id = (SELECT session_id FROM ai_chatmessage WHERE text = %s)"
        " ORDER BY seq",
        [message],
    ).fetchall()


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def test_words_are_passed_on_as_they_come(server):
    connection = begin(server, headers=STREAM)
    answer = connection.getresponse()

    begun = time.monotonic()
    first = answer.read1(65_536)
    waited = time.monotonic() - begun
    rest = answer.read()
    connection.close()

    whole = json.loads(rest.decode().rstrip().rsplit("data: ", 1)[1])
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-cache, no-transform", "no")
    assert first.startswith(b'event: delta\ndata: {"text":"word0 ')
    assert waited < 1
    assert whole["reply"] == "".join(WORDS).strip()
    assert server.call("GET", f"/api/session/{whole['session_id']}")[2]["messages"][1]["content"] == whole["reply"]


def test_without_a_stream_the_whole_comes_with_its_status(server, openai):
    whole = server.call("POST", "/api/chat", {"message": "Hello"})
    openai.fail(400)
    failed = server.call("POST", "/api/chat", {"message": "Hello"})

    assert (whole[0], whole[2]["reply"]) == (200, "".join(WORDS).strip())
    assert (failed[0], failed[2]["error"]) == (502, "upstream_error")
    assert failed[2]["request_id"] == failed[1]["x-request-id"]


def test_what_is_refused_before_a_stream_is_json_with_its_status(server):
    asked = [
        ({"message": ""}, {}),
        ({"message": "Hello", "session_id": "nobody"}, {}),
        ({"message": "Hello"}, {"Authorization": "Bearer nonsense"}),
    ]

    answers = [server.call("POST", "/api/chat", body, **STREAM, **headers) for body, headers in asked]
    other_kind = server.call("POST", "/api/chat", {"message": "Hello"}, Accept="text/html")

    assert [(status, headers["content-type"], body["error"]) for status, headers, body in answers] == [
        (400, "application/json", "validation_error"),
        (404, "application/json", "not_found"),
        (401, "application/json", "token_invalid"),
    ]
    assert (other_kind[0], other_kind[2]["error"]) == (406, "not_acceptable")


def test_a_page_of_an_allowed_origin_may_read_the_stream(server):
    connection = begin(server, headers=STREAM | {"Origin": "http://localhost:3000", "Accept-Language": "de"})
    answer = connection.getresponse()
    headers = answer.headers
    answer.read()
    connection.close()

    assert headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert headers["X-Request-ID"]


def test_many_readers_at_once_hold_few_connections(server, database):
    def connections():
        return database.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = 'zevix'").fetchone()[0]

    before, most, statuses = connections(), 0, []

    def read(number):
        connection = begin(server, headers=STREAM if number % 2 else None)
        answer = connection.getresponse()
        statuses.append((answer.status, b"word19" in answer.read()))
        connection.close()

    readers = [threading.Thread(target=read, args=(number,)) for number in range(50)]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        most = max(most, connections())
        time.sleep(0.1)

    assert statuses == [(200, True)] * 50
    assert most - before <= 8


def test_a_reader_who_goes_away_ends_the_question(server, database):
    connection = begin(server, "I go away", headers=STREAM)
    answer = connection.getresponse()
    answer.read1(10)

    answer.close()
    connection.close()

    wait_for(lambda: len(messages_after(database, "I go away")) == 2)
    _said, (role, text, is_broken_off) = messages_after(database, "I go away")
    outcome = database.execute("SELECT outcome FROM ai_aicall ORDER BY id DESC LIMIT 1").fetchone()[0]
    assert (role, is_broken_off, outcome) == ("assistant", True, "abandoned")
    assert text.startswith("word0") and "word19" not in text


def test_one_who_waits_for_the_whole_and_goes_away_ends_it_too(server, database, openai):
    connection = begin(server, "I do not wait")
    wait_for(lambda: openai.requests)

    connection.close()

    wait_for(lambda: len(messages_after(database, "I do not wait")) == 2)
    assert messages_after(database, "I do not wait")[1][2] is True


def test_a_second_message_meanwhile_is_told_to_wait(server):
    session_id = server.call("POST", "/api/session", {})[2]["session_id"]
    connection = begin(server, headers=STREAM, session_id=session_id)
    answer = connection.getresponse()
    answer.read1(10)

    status, headers, body = server.call("POST", "/api/chat", {"message": "And?", "session_id": session_id})
    answer.read()
    connection.close()
    after = server.call("POST", "/api/chat", {"message": "And now?", "session_id": session_id})

    assert (status, body["error"], headers["retry-after"]) == (409, "conflict", "5")
    assert after[0] == 200


def test_a_body_beyond_the_limit_is_refused(server):
    status, _headers, body = server.call("POST", "/api/chat", {"message": "x" * 6_000_000})

    assert (status, body["error"]) == (413, "payload_too_large")


def test_lost_connections_to_the_database_are_made_anew(server, database):
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'zevix' AND pid <> pg_backend_pid()"
    )

    statuses = [server.call("POST", "/api/chat", {"message": "Hello"}, **STREAM)[0] for _ in range(3)]

    assert statuses == [200] * 3


def test_a_server_that_is_stopped_ends(server):
    """The last of this file: it ends the server."""
    connection = begin(server, headers=STREAM)
    answer = connection.getresponse()
    answer.read1(10)

    server.process.send_signal(signal.SIGINT)

    server.process.wait(15)
    answer.close()
    connection.close()
