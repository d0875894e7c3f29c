"""Messages at once, on real transactions: one answer at a time, limits that hold, and nothing done twice."""

import pytest

from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from ai.chat import claims, sessions
from ai.chat.callers import Caller
from ai.chat.claims import Message, Turn
from ai.models import ChatMessage, ChatSession
from leads.models import Lead
from zevix.errors import NotFound, Refusal

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


@pytest.fixture
def caller():
    return Caller(make_member().workspace)


def outcomes(act):
    def one():
        try:
            return act()
        except Refusal as refusal:
            return refusal.code

    return at_once([one] * THREADS)


def test_of_messages_at_once_one_is_taken(caller):
    session = sessions.begin(caller)

    found = outcomes(lambda: claims.take(Message("Hello"), caller, session))

    assert sorted(map(str, (found.count("conflict"), sum(isinstance(one, Turn) for one in found)))) == ["1", "7"]
    assert ChatMessage.objects.count() == 1


def test_a_chats_limit_holds_for_messages_at_once(caller, settings):
    settings.CHAT_SESSION_PER_MINUTE = 3
    session = sessions.begin(caller)

    def one():
        while True:
            try:
                turn = claims.take(Message("Hello"), caller, session)
            except Refusal as refusal:
                if refusal.code == "conflict":
                    continue
                raise
            claims.let_go(turn, None, "Hello", sources=[], is_whole=True)
            return "answered"

    found = outcomes(one)

    assert (found.count("answered"), found.count("rate_limited")) == (3, 5)
    assert ChatMessage.objects.filter(role="user").count() == 3


def test_the_same_key_at_once_is_taken_once(caller):
    message = Message("Hello", key="k" * 64, fingerprint="f" * 64)

    found = outcomes(lambda: claims.take(message, caller, None))

    assert (found.count("conflict"), sum(isinstance(one, Turn) for one in found)) == (7, 1)
    assert (ChatSession.objects.count(), ChatMessage.objects.count()) == (1, 1)


def test_contact_details_at_once_make_one_lead(caller):
    message = Message("Hello", contact={"email": "anna@x.example"})

    outcomes(lambda: claims.take(message, caller, None))

    assert Lead.objects.count() == 1


def test_whoever_has_lost_the_chat_writes_nothing(caller):
    session = sessions.begin(caller)
    lost = claims.take(Message("First"), caller, session)
    ChatSession.objects.update(busy_until=lost.asked.created_at)  # as if its process had stood still
    held = claims.take(Message("Second"), caller, session)

    claims.let_go(lost, None, "Too late", sources=[], is_whole=True)
    extended = (claims.extend(lost), claims.extend(held))
    claims.let_go(held, None, "In time", sources=[], is_whole=True)

    assert extended == (False, True)
    assert list(ChatMessage.objects.order_by("seq").values_list("text", flat=True)) == ["First", "Second", "In time"]
    assert ChatSession.objects.get().busy_until is None


def test_a_chat_deleted_before_it_is_held_is_not_found(caller):
    session = sessions.begin(caller)
    ChatSession.objects.all().delete()

    with pytest.raises(NotFound):
        claims.take(Message("Hello"), caller, session)


def test_a_chat_deleted_meanwhile_stays_deleted(caller):
    turn = claims.take(Message("Hello"), caller, None)
    ChatSession.objects.all().delete()

    claims.let_go(turn, None, "Hello", sources=[], is_whole=True)

    assert (ChatSession.objects.count(), ChatMessage.objects.count()) == (0, 0)
