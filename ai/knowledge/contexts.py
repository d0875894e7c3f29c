"""What is known of a customer, for whoever is about to write or speak to them."""

from typing import Any

from accounts.models import Workspace
from ai.actions import tasks
from ai.models import ChatMessage, ChatSession

_CHATS, _MESSAGES = 5, 10
_LONGEST = 500  # characters of a message


def retrieve_customer_context(lead_id: int, *, workspace: Workspace) -> dict[str, Any]:
    """``{"lead": …, "chats": […]}``: the lead with its latest activities, and its latest chats on the website, the newest first.

    What members talk about it with the AI is their own. A chat is ``{"last_at", "summary"}`` and ``"messages"``, the last of those after the summary. Raises NotFound.
    """
    lead = tasks.read(lead_id, workspace)
    chats = ChatSession.objects.for_workspace(workspace).filter(lead=lead_id, user=None).order_by("-last_at", "pk")
    return {"lead": lead, "chats": [_told(chat) for chat in chats[:_CHATS]]}


def _told(chat: ChatSession) -> dict[str, Any]:
    later = ChatMessage.objects.filter(session=chat, seq__gt=chat.summarized_seq).order_by("-seq")[:_MESSAGES]
    messages = [{"role": message.role, "content": message.text[:_LONGEST]} for message in later][::-1]
    told = {"last_at": chat.last_at, "summary": chat.summary, "messages": messages}
    return {name: value for name, value in told.items() if value}
