"""Documents: `/api/v1/documents`."""

import threading

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.mailbox import run_jobs
from ai.errors import DocumentExists, KnowledgeFull
from ai.knowledge import documents
from ai.models import Chunk, Document
from ai.tests.documents import hand_in, make_pdf

pytestmark = pytest.mark.django_db

URL = "/api/v1/documents"
TERMS = "We deliver within ten days.\n\nReturns are free for a month."


def post(api, headers=None, **fields):
    return api.post(URL, {"title": "Terms", "text": TERMS} | fields, headers=headers)


def upload(api, name, data, **fields):
    return api.post(URL, {"file": SimpleUploadedFile(name, data), **fields}, format="multipart")


# Handing in


def test_a_text_is_taken_in_and_waits_for_a_worker(api, member):
    answer = post(api, category="terms", is_internal=True)

    document = Document.objects.get()
    shown = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{URL}/{document.pk}"
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": document.pk,
        "title": "Terms",
        "category": "terms",
        "kind": "text",
        "is_internal": True,
        "size": len(TERMS),
        "status": "queued",
        "progress": 0,
        "failure": "",
        "chunk_count": 0,
        "embedded_count": 0,
        "user_id": member.user_id,
    }
    assert bytes(Document.objects.values_list("file", flat=True).get()) == TERMS.encode()


@pytest.mark.django_db(transaction=True)
def test_a_worker_makes_it_ready(client_of, monkeypatch, openai_server):
    member = make_member()
    api = client_of(member)
    number = post(api).json()["id"]

    run_jobs(monkeypatch, "knowledge")

    shown = api.get(f"{URL}/{number}").json()
    (chunk,) = Chunk.objects.all()
    assert (shown["status"], shown["progress"], shown["chunk_count"], shown["embedded_count"]) == ("ready", 100, 1, 1)
    assert (chunk.number, chunk.title, chunk.text, chunk.embedding_model) == (
        1,
        "Terms",
        TERMS,
        "text-embedding-3-small",
    )
    (asked,) = openai_server.embedding_requests
    assert asked["input"] == [f"Terms\n{TERMS}"]


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("prices.txt", b"Linen costs 20.", "text"),
        ("Prices.MD", b"# Linen\n20", "markdown"),
        ("prices.html", b"<h1>Linen</h1>20", "html"),
        ("prices.pdf", make_pdf("Linen costs 20."), "pdf"),
        ("prices.csv", b"name;price\nLinen;20\n", "csv"),
    ],
)
def test_a_file_is_of_the_kind_that_its_name_says(api, name, data, kind):
    answer = upload(api, name, data, category="fabrics", is_internal="true")

    shown = answer.json()
    assert answer.status_code == 201
    assert (shown["kind"], shown["category"], shown["is_internal"], shown["size"]) == (kind, "fabrics", True, len(data))
    assert shown["title"].lower() == "prices"


def test_a_file_may_be_given_another_title(api):
    answer = upload(api, "scan-0001.txt", b"Linen costs 20.", title="Price list")

    assert answer.json()["title"] == "Price list"


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("prices.docx", b"PK\x03\x04", 400, "validation_error"),
        ("prices", b"Linen", 400, "validation_error"),
        ("prices.txt", b"", 400, "validation_error"),
        ("prices.txt", b" \n\t ", 400, "malformed_request"),
        ("prices.txt", b"PK\x03\x04\x00\x00\x00binary", 400, "malformed_request"),
        ("prices.md", bytes(range(256)), 400, "malformed_request"),
        ("prices.html", b"\x00\x01\x02", 400, "malformed_request"),
        ("prices.pdf", b"<html>no such page</html>", 400, "malformed_request"),
        ("prices.csv", b"name;price\n", 400, "malformed_request"),
        ("prices.csv", b"", 400, "validation_error"),
        ("prices.csv", b"\n\n", 400, "malformed_request"),
    ],
)
def test_what_can_be_seen_at_once_is_refused_at_once(api, name, data, status, code):
    answer = upload(api, name, data)

    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert not Document.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        {"title": "Terms"},
        {"text": TERMS},
        {"title": "", "text": TERMS},
        {"title": "x" * 301, "text": TERMS},
        {"title": "Terms", "text": ""},
        {"title": "Terms", "text": "a\x00b"},
        {"title": "Terms\x00", "text": TERMS},
        {"title": "Terms", "text": 7},
        {"title": "Terms", "text": TERMS, "category": "x" * 101},
        {"title": "Terms", "text": TERMS, "category": None},
        {"title": "Terms", "text": TERMS, "kind": "pdf"},
        {"title": "Terms", "text": TERMS, "kind": "docx"},
        {"title": "Terms", "text": TERMS, "is_internal": "perhaps"},
        {"title": "Terms", "text": TERMS, "internal": True},
        {"title": {"a": 1}, "text": [TERMS]},
    ],
)
def test_a_body_that_is_no_document_is_refused(api, body):
    answer = api.post(URL, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert not Document.objects.exists()


def test_half_a_surrogate_pair_is_no_text(api):
    answer = api.generic("POST", URL, b'{"title": "Terms", "text": "a\\ud83d"}', content_type="application/json")

    assert (answer.status_code, answer.json()["error"]) == (400, "malformed_request")


@pytest.mark.parametrize("by_form", [True, False])
def test_a_document_beyond_the_limit_is_refused(api, settings, by_form):
    settings.DOCUMENT_MAX_BYTES = 1_000

    answer = upload(api, "long.txt", b"x" * 1_001) if by_form else post(api, text="x" * 1_001)

    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_a_file_comes_once_into_a_category(api):
    first = post(api, category="terms").json()

    again = post(api, title="Another title", category="terms")
    elsewhere = post(api, category="law")

    assert (again.status_code, again.json()["error"]) == (409, "conflict")
    assert f"document {first['id']}, “Terms”" in again.json()["message"]
    assert elsewhere.status_code == 201


def test_the_same_request_adds_a_document_once(api):
    key = {"Idempotency-Key": "k1"}

    answers = [post(api, headers=key), post(api, headers=key), post(api, headers=key, title="Other")]

    assert [answer.status_code for answer in answers] == [201, 201, 422]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert answers[0].json() == answers[1].json()


def test_the_same_upload_adds_a_document_once(api):
    answers = [
        api.post(
            URL, {"file": SimpleUploadedFile("a.txt", data)}, format="multipart", headers={"Idempotency-Key": "k1"}
        )
        for data in (b"Linen", b"Linen", b"Wool")
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 422]
    assert Document.objects.count() == 1


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER])
def test_managers_hand_in_and_delete_and_everybody_reads(client_of, role):
    member = make_member(role)
    api = client_of(member)
    there = hand_in(member, "Linen costs 20.")

    answers = {
        "add": post(api).status_code,
        "list": api.get(URL).status_code,
        "read": api.get(f"{URL}/{there.pk}").status_code,
        "search": api.post(f"{URL}/search", {"query": "linen"}).status_code,
        "delete": api.delete(f"{URL}/{there.pk}").status_code,
    }

    may = role == Role.MANAGER
    assert answers == {
        "add": 201 if may else 403,
        "list": 200,
        "read": 200,
        "search": 200,
        "delete": 204 if may else 403,
    }


def test_nobody_else_gets_in(anonymous):
    assert {anonymous.get(URL).status_code, post(anonymous).status_code} == {401}


# What there is


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_of_documents_takes_two_queries(api, member, stranger, count, django_assert_num_queries):
    hand_in(stranger, "Theirs")
    for number in range(count):
        hand_in(member, f"Text {number}", title=f"T{number}")

    with django_assert_num_queries(2):
        answer = api.get(URL)

    assert [row["title"] for row in answer.json()["results"]] == [f"T{number}" for number in reversed(range(count))]


def test_the_page_is_narrowed(api, member):
    hand_in(member, "Linen", title="Fabrics of spring", category="Fabrics")
    hand_in(member, "Terms", title="Terms")

    found = {
        query: [row["title"] for row in api.get(f"{URL}?{query}").json()["results"]]
        for query in ("search=spring", "category=fabrics", "status=failed")
    }

    assert found == {
        "search=spring": ["Fabrics of spring"],
        "category=fabrics": ["Fabrics of spring"],
        "status=failed": [],
    }
    assert api.get(f"{URL}?nosuch=1").status_code == 400


def test_somebody_elses_document_is_none(api, stranger):
    theirs = hand_in(stranger, "Theirs")

    assert api.get(f"{URL}/{theirs.pk}").status_code == 404
    assert api.delete(f"{URL}/{theirs.pk}").status_code == 404
    assert api.get(f"{URL}/{10**30}").status_code == 404
    assert Document.objects.get() == theirs


def test_a_document_is_deleted_with_its_passages(api, member):
    kept, gone = hand_in(member, "Wool"), hand_in(member, "Linen")

    answer = api.delete(f"{URL}/{gone.pk}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert list(Document.objects.all()) == [kept]
    assert [chunk.text for chunk in Chunk.objects.all()] == ["Wool"]


def test_a_file_is_not_read_by_who_does_not_ask_for_it(member):
    found = hand_in(member, "Wool")

    assert found.get_deferred_fields() == {"file"}
    assert Chunk.objects.select_related("document").get().document.title == "Handbook"
    assert Chunk.objects.get().document.get_deferred_fields() == {"file"}


# Limits


def test_a_workspace_has_so_many_bytes_of_documents(api, settings, member, stranger):
    settings.KNOWLEDGE_MAX_BYTES = 10
    hand_in(stranger, "0123456789")
    hand_in(member, "012345")

    answer = post(api, text="56789")

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert "10 bytes" in answer.json()["message"]
    assert post(api, text="6789").status_code == 201


def test_a_workspace_has_so_many_passages(api, settings, member):
    settings.KNOWLEDGE_MAX_PASSAGES = 2
    hand_in(member, "One")

    late = hand_in(member, "name\nTwo\nThree\n", kind="csv")
    fits = hand_in(member, "Two")
    answer = post(api, text="Three")

    assert (late.status, late.failure) == (
        "failed",
        "A workspace's documents have at most 2 passages. Delete some first.",
    )
    assert fits.status == "ready"
    assert answer.status_code == 409


def test_a_document_has_so_many_passages(settings, member):
    settings.DOCUMENT_MAX_PASSAGES = 2

    fits = hand_in(member, "name\nOne\nTwo\n", kind="csv")
    late = hand_in(member, "name\nOne\nTwo\nThree\n", kind="csv")

    assert (fits.status, fits.chunk_count) == ("ready", 2)
    assert (late.status, late.failure) == ("failed", "This document has more than 2 passages. Divide it.")


def at_once(*acts):
    """Do the acts at the same time, each in a thread with a connection of its own; returns what each came to."""
    gate, came_to = threading.Barrier(len(acts)), []

    def run(act):
        gate.wait()
        try:
            came_to.append(act())
        except Exception as error:
            came_to.append(type(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came_to


@pytest.mark.django_db(transaction=True)
def test_documents_that_come_at_once_do_not_pass_the_limit(settings):
    member = make_member()
    settings.KNOWLEDGE_MAX_BYTES = 25

    def add(number):
        text = f"Text no {number}.".encode()
        return lambda: documents.add(text, kind="text", title="T", workspace=member.workspace, by=member.user).size

    came_to = at_once(*(add(number) for number in range(6)))

    assert sorted(map(str, came_to)) == sorted(map(str, [10, 10, *[KnowledgeFull] * 4]))


@pytest.mark.django_db(transaction=True)
def test_a_file_that_comes_twice_at_once_is_there_once():
    member = make_member()

    def add():
        return documents.add(b"Linen", kind="text", title="T", workspace=member.workspace, by=member.user).size

    came_to = at_once(*[add] * 4)

    assert sorted(map(str, came_to)) == sorted(map(str, [5, *[DocumentExists] * 3]))


# The API's document


def test_the_search_answers_with_what_is_cited(api, member, openai_server):
    document = hand_in(member, "# Prices\n\nLinen costs 20 euros.", kind="markdown", title="List", category="fabrics")

    answer = api.post(f"{URL}/search", {"query": "What does linen cost?"})

    (result,) = orjson.loads(answer.content)["results"]
    assert result.pop("score") > 0
    assert result == {
        "document_id": document.pk,
        "title": "List",
        "text": "Linen costs 20 euros.",
        "category": "fabrics",
        "number": 1,
        "heading": "Prices",
        "page": None,
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"query": ""},
        {"query": "   "},
        {"query": 7},
        {"query": "x" * 1_001},
        {"query": "a\x00b"},
        {"query": "linen", "limit": 0},
        {"query": "linen", "limit": 51},
        {"query": "linen", "limit": "many"},
        {"query": "linen", "category": ["fabrics"]},
        {"query": "linen", "top_k": 3},
    ],
)
def test_a_body_that_is_no_search_is_refused(api, body):
    answer = api.post(f"{URL}/search", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
