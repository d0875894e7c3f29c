"""What is known of a customer, for whoever is about to write or speak to them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from accounts.models import Workspace
from ai.actions import tasks
from ai.models import ChatMessage, ChatSession

_CHATS, _MESSAGES = 5, 10
_LONGEST = 500  # characters of a message
_Said = list[dict[str, str]]


def retrieve_customer_context(
    lead_id: int, *, workspace: Workspace, visitor_id: str = "", but: ChatSession | None = None
) -> dict[str, Any]:
    """``{"lead": …, "chats": […]}``: the lead with its latest activities, and its latest chats on the website, the newest first.

    What members talk about it with the AI is their own. With ``visitor_id`` only what this signed visitor said counts; ``but`` is the chat
    that is going on. A chat is ``{"last_at", "summary"}`` and ``"messages"``, the last of those after the summary. Raises NotFound.
    """
    lead = tasks.read(lead_id, workspace)
    chats = ChatSession.objects.for_workspace(workspace).filter(lead=lead_id, user=None)
    if visitor_id:
        chats = chats.filter(visitor_id=visitor_id)
    if but is not None:
        chats = chats.exclude(pk=but.pk)
    latest = list(chats.order_by("-last_at", "pk")[:_CHATS])
    said = _said_in(latest)
    return {"lead": lead, "chats": [_told(chat, said[chat.pk]) for chat in latest]}


def _said_in(chats: Sequence[ChatSession]) -> dict[UUID, _Said]:
    """The last messages after the summary of each chat, in their order."""
    said: dict[UUID, _Said] = defaultdict(list)
    later = ChatMessage.objects.filter(session__in=chats, seq__gt=F("session__summarized_seq"))
    place = Window(RowNumber(), partition_by=["session"], order_by="-seq")
    for message in later.annotate(place=place).filter(place__lte=_MESSAGES).order_by("seq"):
        said[message.session_id].append({"role": message.role, "content": message.text[:_LONGEST]})
    return said


def _told(chat: ChatSession, messages: _Said) -> dict[str, Any]:
    told = {"last_at": chat.last_at, "summary": chat.summary, "messages": messages}
    return {name: value for name, value in told.items() if value}
