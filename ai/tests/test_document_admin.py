"""Documents and passages in the admin."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from ai import jobs
from ai.models import Chunk, Document
from ai.tests.documents import hand_in, make_pdf

pytestmark = pytest.mark.django_db

LIST = reverse("admin:ai_document_changelist")
ADD = reverse("admin:ai_document_add")
PASSAGES = reverse("admin:ai_chunk_changelist")


@pytest.fixture
def manager():
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


def add(browser, manager, **fields):
    given = {"workspace": manager.workspace_id, "title": "Terms", "category": "", "text": "", "text_kind": "text"}
    return browser.post(ADD, given | fields, follow=True)


def test_a_file_is_handed_in(browser, manager):
    answer = add(
        browser, manager, category="law", is_internal="on", upload=SimpleUploadedFile("t.pdf", make_pdf("Linen"))
    )

    document = Document.objects.get()
    assert answer.status_code == 200
    assert (document.title, document.category, document.is_internal, document.kind) == ("Terms", "law", True, "pdf")
    assert (document.workspace, document.user, document.status) == (manager.workspace, manager.user, "queued")


def test_a_text_is_handed_in(browser, manager):
    add(browser, manager, text="# Terms\r\n\r\nTen days.", text_kind="markdown")
    document = Document.objects.get()
    jobs.prepare_document(document_id=document.pk, language="en")

    chunk = Chunk.objects.get()
    assert (document.kind, chunk.heading, chunk.text) == ("markdown", "Terms", "Ten days.")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Give either a file or a text."),
        ({"text": "a", "upload": SimpleUploadedFile("a.txt", b"a")}, "Give either a file or a text."),
        ({"upload": SimpleUploadedFile("a.docx", b"a")}, "One of: .txt"),
        ({"upload": SimpleUploadedFile("a.pdf", b"a")}, "it is no PDF."),
        ({"upload": SimpleUploadedFile("a.txt", b"a" * 2_000)}, "larger than 1000 bytes"),
        ({"text": "There already."}, "This file is there already"),
    ],
)
def test_what_is_no_document_is_refused_in_words(browser, manager, settings, fields, sentence):
    settings.DOCUMENT_MAX_BYTES = 1_000
    there = hand_in(manager, "There already.")

    answer = add(browser, manager, **fields)

    assert sentence in answer.content.decode()
    assert list(Document.objects.all()) == [there]


def test_a_document_is_not_handed_in_elsewhere(browser, manager, stranger):
    add(browser, manager, workspace=stranger.workspace_id, text="Mine now")

    assert not Document.objects.exists()


def test_documents_are_cut_anew(browser, manager, stranger):
    mine, theirs = hand_in(manager, "Linen"), hand_in(stranger, "Wool")

    browser.post(LIST, {"action": "cut_anew", "_selected_action": [mine.pk, theirs.pk]})

    assert dict(Document.objects.values_list("pk", "status")) == {mine.pk: "queued", theirs.pk: "ready"}


def test_a_document_is_deleted_with_its_passages(browser, manager):
    document = hand_in(manager, "Linen")

    browser.post(reverse("admin:ai_document_delete", args=[document.pk]), {"post": "yes"})

    assert not Chunk.objects.exists()


def test_categories_to_choose_from_are_ones_own(browser, manager, stranger):
    hand_in(manager, "Linen", category="Fabrics")
    hand_in(stranger, "Wool", category="Secrets")

    pages = [browser.get(LIST).content.decode(), browser.get(PASSAGES).content.decode()]
    narrowed = browser.get(LIST, {"category": "Fabrics"})

    assert ["Fabrics" in page for page in pages] == [True, True]
    assert ["Secrets" in page for page in pages] == [False, False]
    assert [row.title for row in narrowed.context["cl"].result_list] == ["Handbook"]


@pytest.mark.parametrize(
    ("query", "found"), [("fabrics", ["Fabric of linen"]), ("WOLLE linen", []), ("Stoffe", ["Ein Stoff"])]
)
def test_passages_are_searched_by_their_words(browser, manager, query, found):
    for text in ("Fabric of linen", "Ein Stoff"):
        hand_in(manager, text)

    answer = browser.get(PASSAGES, {"q": query})

    assert [row.text for row in answer.context["cl"].result_list] == found


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_passages_costs_the_same_for_many(browser, manager, count, django_assert_max_num_queries):
    for number in range(count):
        hand_in(manager, f"Linen {number}")

    with django_assert_max_num_queries(12):
        answer = browser.get(PASSAGES)

    assert len(answer.context["cl"].result_list) == count
