"""The search among passages."""

import math
import random
import time

import pytest
from django.db import connection, transaction

from ai.knowledge import contexts, finding, searching
from ai.knowledge.finding import Within
from ai.models import AICall, ChatMessage, ChatSession, Chunk, Document
from ai.tests.documents import hand_in
from ai.tests.factories import give_budget
from leads.models import Activity
from leads.tests.factories import make_lead
from zevix.errors import NotFound

pytestmark = pytest.mark.django_db

FABRICS = "name;preis;kategorie\nLeinen natur;20;Stoffe\nSamt rot;40;Stoffe\nKnopf aus Horn;2;Kurzwaren\n"


def search(member, query, **fields):
    return searching.search(
        query, workspace=member.workspace, user=member.user, **{"with_internal": True, **fields}
    )  # fmt: skip


def embedded(vector):
    """The answer of an AI that has one vector for everything."""
    return f'{{"data": [{{"index": 0, "embedding": [{",".join(vector)}]}}], "usage": {{"prompt_tokens": 3}}}}'


def texts(passages):
    return [passage.text for passage in passages]


@pytest.fixture
def without_a_key(settings):
    settings.OPENAI_API_KEY = ""


# By words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("When do you deliver my order?", "We deliver all orders within ten days."),
        ("Wie lange dauern die Lieferungen?", "Die Lieferung dauert zehn Tage."),
        ("What about returning of parcels?", "Parcels are returned free of charge."),
        ("Kann ich Pakete zurücksenden?", "Ein Paket kann zurückgesendet werden."),
        ("ORDERS", "We deliver all orders within ten days."),
    ],
)
def test_a_question_finds_by_its_words_in_both_languages(member, without_a_key, query, found):
    for number, text in enumerate([
        "We deliver all orders within ten days.", "Die Lieferung dauert zehn Tage.", "Parcels are returned free of charge.",
        "Ein Paket kann zurückgesendet werden.", "Nothing else is said here.", "Was hier steht, das ist nicht wichtig.",
    ]):  # fmt: skip
        hand_in(member, text, title=f"T{number}")

    assert texts(search(member, query))[:1] == [found]


@pytest.mark.parametrize(
    "query", ["", "   ", "\0", "the of and", "was ist das", "???", "nosuchword", "' | & ! :* \\ ('", "\ud83d"]
)
def test_a_question_that_says_nothing_finds_nothing_by_words(member, without_a_key, query):
    hand_in(member, "Was ist das? This is the text of and by us.")

    assert search(member, query) == []


def test_titles_and_headings_weigh_more_than_the_text(member, without_a_key):
    hand_in(member, "Velvet is soft. We like linen, sometimes.", title="About us")
    hand_in(member, "# Linen\n\nIt costs 20.", kind="markdown", title="Prices")

    assert [passage.title for passage in search(member, "linen")] == ["Prices", "About us"]


def test_more_of_the_words_rank_higher(member, without_a_key):
    hand_in(member, "Linen is a fabric.", title="a")
    hand_in(member, "Red linen for curtains.", title="b")
    hand_in(member, "Red is a colour.", title="c")

    assert search(member, "red linen for curtains")[0].title == "b"


# By meaning, and both


def test_without_a_word_in_common_the_meaning_finds(member, openai_server):
    near = hand_in(member, "Linen costs 20.", title="near")
    hand_in(member, "Something else entirely.", title="far")
    Chunk.objects.filter(document=near).update(embedding=[1.0] + [0.0] * 1_535)
    openai_server.garbage(
        embedded(["1", "0.1", *["0"] * 1_534]),
        kind="application/json",
    )

    found = search(member, "quelque chose")

    assert [passage.title for passage in found] == ["near"]


def test_what_both_ways_find_comes_first(member, openai_server):
    for number in range(20):
        hand_in(member, f"Notes of meeting {number} about velvet.", title=f"n{number}")
    hand_in(member, "linen price", title="wanted")

    found = search(member, "linen price")

    assert found[0].title == "wanted"
    assert found[0].score == pytest.approx(2 / 61)


def test_only_vectors_of_the_model_that_is_set_are_compared(member, openai_server, settings):
    hand_in(member, "Linen costs 20.")
    settings.OPENAI_EMBEDDING_MODEL = "text-embedding-3-large"

    with transaction.atomic():
        within = Within(member.workspace, "", True)
        before = finding.by_meaning([1.0] * 1_536, within, among=1)

    assert before == []


def test_a_search_is_a_call_in_the_books(member, openai_server):
    hand_in(member, "Linen costs 20.")
    AICall.objects.all().delete()

    search(member, "linen")

    call = AICall.objects.get()
    assert (call.action, call.model, call.user, call.outcome) == (
        "embed",
        "text-embedding-3-small",
        member.user,
        "completed",
    )


def test_where_there_is_nothing_nothing_is_asked(member, stranger, openai_server):
    hand_in(stranger, "Linen costs 20.")
    asked = len(openai_server.embedding_requests)

    assert search(member, "linen") == []
    assert len(openai_server.embedding_requests) == asked


@pytest.mark.parametrize("fault", ["budget", "down", "garbage", "key"])
def test_without_a_vector_the_words_alone_find(member, openai_server, settings, fault):
    hand_in(member, "Linen costs 20.")
    if fault == "budget":
        give_budget(member.workspace, 0)
    elif fault == "down":
        openai_server.down()
    elif fault == "garbage":
        openai_server.garbage()
    else:
        settings.OPENAI_API_KEY = ""

    assert texts(search(member, "What does linen cost?")) == ["Linen costs 20."]


def test_nobody_waits_long_for_the_vector_of_a_question(member, openai_server, monkeypatch):
    hand_in(member, "Linen costs 20.")
    openai_server.slow(10)
    monkeypatch.setattr(searching, "_PATIENCE", 0.3)
    asked = len(openai_server.embedding_requests)
    began = time.monotonic()

    found = search(member, "linen")

    assert texts(found) == ["Linen costs 20."]
    assert time.monotonic() - began < 3
    assert len(openai_server.embedding_requests) == asked + 1


@pytest.mark.parametrize("place", [1e300, 1e-300, 0.0, 70_000.0])
def test_odd_vectors_are_no_error(member, openai_server, place):
    openai_server.garbage(embedded([str(place)] * 1_536), kind="application/json", times=2)

    document = hand_in(member, "Linen costs 20.")

    assert document.embedded_count == 1
    assert texts(search(member, "linen")) == ["Linen costs 20."]


# Where is looked


def test_another_workspaces_passages_are_not_found(member, stranger, openai_server):
    hand_in(stranger, "Linen costs 20.")
    hand_in(member, "Wool costs 30.")

    assert texts(search(member, "linen costs")) == ["Wool costs 30."]


def test_visitors_find_nothing_that_is_for_the_team(member, openai_server):
    hand_in(member, "Linen costs us 5.", is_internal=True)
    hand_in(member, "Linen costs 20.")

    assert texts(search(member, "linen", with_internal=False)) == ["Linen costs 20."]
    assert len(search(member, "linen", with_internal=True)) == 2


def test_a_category_narrows_whatever_its_capitals(member, openai_server):
    hand_in(member, FABRICS, kind="csv", title="Sortiment")

    found = search(member, "Was kostet Samt oder ein Knopf?", category="stoffe")

    assert [passage.text.split("\n")[0] for passage in found] == ["name: Samt rot"]
    assert {passage.category for passage in found} == {"Stoffe"}
    assert search(member, "Samt", category="nosuch") == []


def test_a_limit_is_kept(member, without_a_key):
    hand_in(member, "name\n" + "Linen\n" * 60, kind="csv")

    assert [len(search(member, "linen", limit=limit)) for limit in (1, 8, 50)] == [1, 8, 40]


@pytest.mark.parametrize("count", [1, 3])
def test_a_search_takes_six_queries(member, without_a_key, count, django_assert_num_queries):
    for number in range(count):
        hand_in(member, f"Linen {number}")

    with django_assert_num_queries(6):
        found = search(member, "linen")

    assert len(found) == count


# Among many

_DIMENSIONS = 1_536
_FILL = """
    INSERT INTO ai_chunk (workspace_id, document_id, number, title, category, is_internal, heading, page, text, embedding, embedding_model)
    SELECT %(workspace)s, %(document)s, n, '', '', false, '', NULL, 'w' || n %% 3 || ' rare' || n, noise.v::halfvec, 'text-embedding-3-small'
    FROM generate_series(1, %(count)s) AS n, LATERAL (
        SELECT array_agg(random() + random() + random() - 1.5)::vector AS v FROM generate_series(1, 40) AS d WHERE n > 0
    ) AS short, LATERAL (SELECT (short.v::real[] || array_fill(0::real, ARRAY[1496]))::vector(1536) AS v) AS noise
"""


def fill(member, count):
    """Passages with random vectors of 40 dimensions, the rest being nought."""
    document = hand_in(member, "The first", title=f"Of {count}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            _FILL.replace("n, '',", "n + 1, '',"),
            {"workspace": member.workspace_id, "document": document.pk, "count": count},
        )
        # the index of meanings holds on to what the tests before have rolled back
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE; REINDEX INDEX ai_passages_by_meaning; SET CONSTRAINTS ALL DEFERRED"
        )
        cursor.execute("SET LOCAL enable_sort = off")  # so few would be sorted, and the index left alone


def nearest(vector, member):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM ai_chunk WHERE workspace_id = %s AND embedding IS NOT NULL ORDER BY (embedding <=> %s::halfvec) + 0 LIMIT 10",
            [member.workspace_id, str(vector)],
        )
        return {number for (number,) in cursor.fetchall()}


def recall(member, settings):
    settings.KNOWLEDGE_MIN_SIMILARITY = -1
    within = Within(member.workspace, "", True)
    among = finding.count(within)
    chance = random.Random(7)
    hits = 0
    for _ in range(10):
        vector = [chance.gauss(0, 1) for _ in range(40)] + [0.0] * (_DIMENSIONS - 40)
        with transaction.atomic():
            hits += len(nearest(vector, member) & set(finding.by_meaning(vector, within, among=among)[:10]))
    return hits / 100


def test_a_large_workspace_and_a_small_one_beside_it_find_what_is_nearest(
    member, stranger, without_a_key, settings, monkeypatch
):
    fill(stranger, 1_500)
    fill(member, 100)
    monkeypatch.setattr(finding, "FEW", 500)  # else so few would all be compared

    assert recall(stranger, settings) >= 0.95
    assert recall(member, settings) == 1


def test_the_index_goes_on_until_it_has_found_enough_of_a_workspace(
    member, stranger, without_a_key, settings, monkeypatch
):
    fill(stranger, 900)
    fill(member, 100)
    monkeypatch.setattr(finding, "FEW", 10)

    assert recall(member, settings) >= 0.9


@pytest.fixture
def where_w1_is_common(member, monkeypatch, settings):
    """Six hundred passages, a third of which has the word."""
    settings.OPENAI_API_KEY = ""
    fill(member, 600)
    monkeypatch.setattr(finding, "_RANKED", 100)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ai_chunk")


def test_a_common_word_does_not_hide_a_rare_one(member, where_w1_is_common):
    assert search(member, "w1 and rare400")[0].text == "w1 rare400"


def test_where_words_are_all_that_there_is_a_common_one_finds_some(member, where_w1_is_common):
    assert [text.split()[0] for text in texts(search(member, "w1"))] == ["w1"] * 8


def test_beside_the_meaning_a_common_word_says_nothing(member, where_w1_is_common):
    within = Within(member.workspace, "", True)

    found = {
        asked: len(finding.by_words(asked, within, among=finding.count(within), is_alone=False))
        for asked in ("w1", "w1 rare400", "rare400")
    }

    assert found == {"w1": 0, "w1 rare400": 1, "rare400": 1}


def test_vectors_lie_in_their_rows(member):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'ai_chunk'::regclass AND attname = 'embedding'"
        )
        (storage,) = cursor.fetchone()

    assert storage == "p"


def test_a_vector_is_of_length_one(member, openai_server):
    hand_in(member, "Linen costs 20.")

    vector = Chunk.objects.get().embedding

    assert math.hypot(*vector) == pytest.approx(1, abs=0.01)


# A customer


def test_what_is_known_of_a_customer(member):
    lead = make_lead(member.workspace, company="Black River Clinic", name="Anna Lee")
    Activity.objects.create(workspace=member.workspace, lead=lead, type="note", text="Wants linen.")
    old = ChatSession.objects.create(
        workspace=member.workspace, lead=lead, summary="Asked for prices.", summarized_seq=2
    )
    new = ChatSession.objects.create(workspace=member.workspace, lead=lead)
    ChatSession.objects.create(workspace=member.workspace)
    for session, seq, role, text in (
        (old, 2, "assistant", "20."),
        (old, 3, "user", "Thanks"),
        (new, 1, "user", "x" * 600),
    ):
        ChatMessage.objects.create(workspace=member.workspace, session=session, seq=seq, role=role, text=text)

    found = contexts.retrieve_customer_context(lead.pk, workspace=member.workspace)

    assert (found["lead"]["company"], found["lead"]["activities"][0]["text"]) == ("Black River Clinic", "Wants linen.")
    assert found["chats"] == [
        {"last_at": new.last_at, "messages": [{"role": "user", "content": "x" * 500}]},
        {"last_at": old.last_at, "summary": "Asked for prices.", "messages": [{"role": "user", "content": "Thanks"}]},
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_known_takes_four_queries(member, count, django_assert_num_queries):
    lead = make_lead(member.workspace)
    for _number in range(count):
        chat = ChatSession.objects.create(workspace=member.workspace, lead=lead)
        ChatMessage.objects.create(workspace=member.workspace, session=chat, seq=1, role="user", text="Hello")

    with django_assert_num_queries(4):
        found = contexts.retrieve_customer_context(lead.pk, workspace=member.workspace)

    assert [chat["messages"] for chat in found["chats"]] == [[{"role": "user", "content": "Hello"}]] * count


def test_a_signed_visitors_own_chats_are_found_behind_any_number_of_others(member):
    lead = make_lead(member.workspace)
    own, *_others, going_on = [
        ChatSession.objects.create(workspace=member.workspace, lead=lead, visitor_id=visitor, summary=f"Chat {number}")
        for number, visitor in enumerate(["7", "8", "", "", "", "", "", "7"])
    ]
    ChatSession.objects.update(last_at=own.last_at)  # at the same moment, too

    found = contexts.retrieve_customer_context(lead.pk, workspace=member.workspace, visitor_id="7", but=going_on)

    assert [chat["summary"] for chat in found["chats"]] == ["Chat 0"]


def test_a_customer_of_somebody_else_is_none(member, stranger):
    lead = make_lead(stranger.workspace)

    with pytest.raises(NotFound):
        contexts.retrieve_customer_context(lead.pk, workspace=member.workspace)


def test_documents_that_are_being_embedded_are_found_meanwhile(member, openai_server):
    hand_in(member, "Linen costs 20.")
    Document.objects.update(status="running")

    assert texts(search(member, "linen")) == ["Linen costs 20."]
