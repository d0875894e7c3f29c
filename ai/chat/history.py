"""What was said before: the latest messages as they are, the older ones summed up."""

from collections.abc import Iterable, Mapping
from itertools import accumulate, takewhile
from typing import Any

from django.db.models import QuerySet, Sum
from django.db.models.functions import Length

from ai import asking
from ai.actions import answers, questions
from ai.actions.tasks import Task
from ai.asking import Purpose
from ai.models import ChatMessage, ChatSession
from ai.prompts import versions

ACTION = "chat_summary"
WINDOW = 24_000  # characters of the latest messages that go along as they are
_SLACK = 8_000  # characters before them that may be missing until they are summed up
_AT_ONCE = 60_000  # characters that are summed up by one question
_MOST, _LATEST = 200, 2  # messages


def window(session: ChatSession, until: int) -> list[dict[str, str]]:
    """The latest messages up to a number, as ``{"role", "content"}``, the oldest first; those summed up are not among them."""
    rows = _rows(session).filter(seq__lte=until).order_by("-seq").values_list("role", "text")[:_MOST]
    latest = [{"role": role, "content": text} for role, text in rows if text]
    return latest[: max(_count(latest, WINDOW), 1)][::-1]


def have_summed_up(session: ChatSession) -> None:
    """Have a job sum up what has left the window, where that is more than a little."""
    from ai.jobs import sum_up_chat

    if session.last_seq - session.summarized_seq <= _LATEST:
        return
    characters = _rows(session).aggregate(sum=Sum(Length("text")))["sum"] or 0
    if characters > WINDOW + _SLACK:
        sum_up_chat.configure(lock=f"chat:{session.pk}").defer(session_id=str(session.pk))


def sum_up(session: ChatSession) -> None:
    """Put what has left the window into the summary. Done twice at once, it counts once. Raises what `asking.ask` does."""
    rows = _left_out(session, WINDOW // 2)
    rows = rows[: max(_count(rows, _AT_ONCE), 1)]
    if not rows:
        return
    earlier = [{"role": "summary", "content": session.summary}] if session.summary else []
    messages = [*earlier, *({"role": row["role"], "content": row["content"]} for row in rows)]
    version = versions.current(ACTION, session.workspace)
    question = questions.question(version, Task(ACTION, session.language, messages=messages))
    answer = asking.ask(question, Purpose(session.workspace, session.user, ACTION, version))
    summed_up = ChatSession.objects.filter(pk=session.pk, summarized_seq=session.summarized_seq)
    summed_up.update(summary=answers.checked(answer, question), summarized_seq=rows[-1]["seq"])


def _left_out(session: ChatSession, characters: int) -> list[dict[str, Any]]:
    """The messages before the latest ones of so many characters, the oldest first; never one that may still be answered."""
    rows = [
        {"seq": seq, "role": role, "content": text}
        for seq, role, text in _rows(session).order_by("-seq").values_list("seq", "role", "text")
    ]
    return rows[max(_count(rows, characters), _LATEST) :][::-1]


def _rows(session: ChatSession) -> QuerySet[ChatMessage]:
    found: QuerySet[ChatMessage] = ChatMessage.objects.filter(session=session, seq__gt=session.summarized_seq)
    return found


def _count(messages: Iterable[Mapping[str, Any]], characters: int) -> int:
    """How many of the first messages have no more characters than that together."""
    lengths = accumulate(len(message["content"]) for message in messages)
    return sum(1 for _ in takewhile(lambda length: length <= characters, lengths))
