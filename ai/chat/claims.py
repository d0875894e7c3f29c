"""A turn's hold on its chat: one message is answered after the other, and each at most once where it came with a key.

The hold ends by itself where the process that has it dies, or where whoever asked went away before the answer began. Its moment is its
token: who has lost it writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from ai.chat import history, sessions
from ai.chat.callers import Caller
from ai.chat.runs import Run
from ai.errors import ChatBusy, ChatFull
from ai.models import ChatMessage, ChatSession
from zevix.api.idempotency import KEPT_FOR, AtWork, KeyReused
from zevix.errors import NotFound, RateLimited

HELD_FOR = timedelta(seconds=30)
_MINUTE = timedelta(minutes=1)
Role = ChatMessage.Role


@dataclass(frozen=True)
class Message:
    """What somebody wants answered. ``key`` is the hash of who asks and their ``Idempotency-Key``, ``fingerprint`` that of what is asked."""

    text: str
    language: str = ""
    lead_id: int | None = None
    contact: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    fingerprint: str = ""


@dataclass
class Turn:
    """A message that is to be answered. ``answered`` is its answer where it has one already; else the chat is held until ``until``."""

    session: ChatSession
    caller: Caller
    asked: ChatMessage
    until: datetime | None = None
    answered: ChatMessage | None = None


def take(message: Message, caller: Caller, session: ChatSession | None) -> Turn:
    """Hold the chat, a new one where none is given, with the message in it.

    Raises ChatBusy, ChatFull, RateLimited, KeyReused, AtWork, NotFound and ValidationFailed; then nothing is kept.
    """
    try:
        with transaction.atomic():
            return _before(message, caller) or _take(message, caller, session)
    except IntegrityError as error:
        if "ai_a_message_comes_once" in str(error):  # the same key came twice at once
            raise AtWork
        raise


def extend(turn: Turn) -> bool:
    """Hold it longer; says whether it was still held."""
    until = timezone.now() + HELD_FOR
    held = ChatSession.objects.filter(pk=turn.session.pk, busy_until=turn.until).update(busy_until=until)
    if held:
        turn.until = until
    return bool(held)


@transaction.atomic
def let_go(turn: Turn, run: Run | None, text: str, *, sources: list[dict[str, Any]], is_whole: bool) -> None:
    """Keep the answer, as far as there is one, and end the hold."""
    session = ChatSession.objects.select_for_update().filter(pk=turn.session.pk, busy_until=turn.until).first()
    if session is None:  # deleted, or held by somebody else
        return
    used = run.used if run else []
    if is_whole or text.strip() or used:
        turn.answered = _say(
            session, Role.ASSISTANT, answers=turn.asked, text=text, sources=sources, tools=used, is_broken_off=not is_whole
        )  # fmt: skip
    session.busy_until = None
    session.reads_untrusted = session.reads_untrusted or bool(run and run.reads_untrusted)
    session.save(update_fields=["busy_until", "reads_untrusted", "last_seq", "last_at"])
    history.have_summed_up(session)


# Taking ---------------------------------------------------------------------------------------------------------------------


def _before(message: Message, caller: Caller) -> Turn | None:
    """The turn of a message that came before under the same key; held anew where it was never answered."""
    if not message.key:
        return None
    came = ChatMessage.objects.for_workspace(caller.workspace).filter(request_key=message.key)
    came.filter(created_at__lt=timezone.now() - KEPT_FOR).update(request_key="")
    asked = came.select_related("session__workspace").first()
    if asked is None:
        return None
    if asked.request_hash != message.fingerprint:
        raise KeyReused
    session = _lock(asked.session)
    answered = asked.answered_by.filter(is_broken_off=False).first()
    if answered is not None:
        return Turn(session, caller, asked, answered=answered)
    if _is_busy(session):
        raise AtWork
    return _hold(session, caller, asked)


def _take(message: Message, caller: Caller, session: ChatSession | None) -> Turn:
    if session is None:
        session = sessions.begin(caller, language=message.language, lead_id=message.lead_id)
    else:
        session = _lock(session)
        if _is_busy(session):
            raise ChatBusy
        _require_room(session)
        _adapt(session, message, caller)
    if message.contact:
        sessions.take_contact(session, dict(message.contact))
    asked = _say(session, Role.USER, text=message.text, request_key=message.key, request_hash=message.fingerprint)
    return _hold(session, caller, asked)


def _lock(session: ChatSession) -> ChatSession:
    locked = ChatSession.objects.select_for_update(of=("self",)).select_related("workspace").filter(pk=session.pk)
    found: ChatSession | None = locked.first()
    if found is None:  # deleted since
        raise NotFound
    return found


def _is_busy(session: ChatSession) -> bool:
    return session.busy_until is not None and session.busy_until > timezone.now()


def _require_room(session: ChatSession) -> None:
    theirs = ChatMessage.objects.filter(session=session, role=Role.USER)
    if theirs.count() >= settings.CHAT_SESSION_MESSAGES:
        raise ChatFull(limit=settings.CHAT_SESSION_MESSAGES)
    now = timezone.now()
    lately = theirs.filter(created_at__gt=now - _MINUTE).order_by("-seq").values_list("created_at", flat=True)
    times = list(lately[: settings.CHAT_SESSION_PER_MINUTE])
    if len(times) >= settings.CHAT_SESSION_PER_MINUTE:
        raise RateLimited(seconds=max((times[-1] + _MINUTE - now).seconds, 1))


def _adapt(session: ChatSession, message: Message, caller: Caller) -> None:
    """To what this message tells of language, lead and visitor."""
    session.language = message.language or session.language
    session.save(update_fields=["language"])
    if caller.identity:
        sessions.be_of(session, caller.identity)
    if message.lead_id is not None:
        sessions.be_about(session, message.lead_id)


def _say(session: ChatSession, role: str, **fields: Any) -> ChatMessage:
    session.last_seq += 1
    session.last_at = timezone.now()
    said: ChatMessage = ChatMessage.objects.create(
        workspace_id=session.workspace_id, session=session, seq=session.last_seq, role=role, **fields
    )
    return said


def _hold(session: ChatSession, caller: Caller, asked: ChatMessage) -> Turn:
    session.busy_until = timezone.now() + HELD_FOR
    session.save(update_fields=["busy_until", "last_seq", "last_at"])
    return Turn(session, caller, asked, until=session.busy_until)
