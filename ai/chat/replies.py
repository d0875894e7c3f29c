"""What a turn comes to: the answer, the passages that it cites, and what was proposed meanwhile."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ai.chat.claims import Turn
from ai.knowledge.passages import Passage

_CITED = re.compile(r"\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\]")


@dataclass(frozen=True)
class Reply:
    """``sources`` are ``{"number", "document_id", "title", "category", "passage", "page", "heading", "text"}``, by their number in the text."""

    session_id: str
    text: str
    sources: list[dict[str, Any]]
    proposals: list[int]
    language: str


def of(turn: Turn) -> Reply:
    """The answer of a turn that has one."""
    assert turn.answered
    made = [one["result"].get("proposal_id") for one in turn.answered.tools]
    return Reply(
        str(turn.session.pk),
        turn.answered.text,
        turn.answered.sources,
        [proposal_id for proposal_id in made if proposal_id is not None],
        turn.session.language,
    )


def cited(text: str, read: Sequence[Passage]) -> list[dict[str, Any]]:
    """The passages that a text cites by their numbers, as [1] or [1, 2]."""
    named = {int(number) for group in _CITED.findall(text) for number in re.findall(r"\d+", group)}
    return [_source(number, passage) for number, passage in enumerate(read, start=1) if number in named]


def _source(number: int, passage: Passage) -> dict[str, Any]:
    return {
        "number": number,
        "document_id": passage.document_id,
        "title": passage.title,
        "category": passage.category,
        "passage": passage.number,
        "page": passage.page,
        "heading": passage.heading,
        "text": passage.text,
    }
