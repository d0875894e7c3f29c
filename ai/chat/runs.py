"""One turn of a chat: who speaks, and what the AI has come to read and to do meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.models import Membership, User, Workspace
from ai import fences
from ai.chat.visitors import Identity
from ai.knowledge.passages import Passage
from ai.models import ChatSession


@dataclass
class Run:
    """``member`` is None for a visitor, ``identity`` who a visitor is by their website's signature. ``said`` are the speaker's own messages,
    the latest last.

    ``sources`` are the passages read, cited by their place in the list, from 1; ``used`` tells of each tool its ``name``,
    ``arguments`` and ``result``. ``reads_untrusted``: words of strangers are part of it, so that nothing is written without a person;
    they stand between marks made of ``fence``.
    """

    session: ChatSession
    member: Membership | None
    identity: Identity | None
    language: str
    said: Sequence[str]
    reads_untrusted: bool
    fence: str = field(default_factory=fences.new)
    sources: list[Passage] = field(default_factory=list)
    used: list[dict[str, Any]] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return self.session.workspace

    @property
    def user(self) -> User | None:
        return self.member.user if self.member else None

    def read(self, passages: Sequence[Passage]) -> list[dict[str, Any]]:
        """Take passages among the sources; returns each as the AI is told of it: what it says, and the number that cites it (``source``).

        One read before keeps its number.
        """
        for passage in passages:
            if _place(passage) not in map(_place, self.sources):
                self.sources.append(passage)
            self.reads_untrusted = True
        places = [_place(source) for source in self.sources]
        return [_told(places.index(_place(passage)) + 1, passage) for passage in passages]


def _place(passage: Passage) -> tuple[int, int]:
    return passage.document_id, passage.number


def _told(number: int, passage: Passage) -> dict[str, Any]:
    told = {
        "source": number,
        "title": passage.title,
        "heading": passage.heading,
        "page": passage.page,
        "text": passage.text,
    }
    return {name: value for name, value in told.items() if value}
