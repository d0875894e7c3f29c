"""The search in what the AI may look up: by meaning and by words at once, fused by reciprocal rank."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import structlog
from django.db import transaction

from accounts.models import User, Workspace
from ai.errors import BudgetExceeded
from ai.knowledge import finding, vectors
from ai.knowledge.finding import Within
from ai.knowledge.passages import Passage
from ai.knowledge.texts import plain
from ai.models import Chunk
from zevix.errors import NotConfigured, UpstreamError

log = structlog.get_logger("ai")

LONGEST = 1_000  # characters of a question; the rest is left out
_PATIENCE = 4.0  # seconds for the vector of a question: somebody waits, and the words find most of it
_LEVEL = 60  # source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009


def search(
    query: str,
    *,
    workspace: Workspace,
    user: User | None,
    category: str = "",
    limit: int = 8,
    with_internal: bool,
) -> list[Passage]:
    """The passages that fit best, the best first; none where nothing fits. To ask is a call in the books.

    Where there is no vector for the query (no key, no budget left, the server down) its words alone find them.
    """
    asked, within = plain(query)[:LONGEST].strip(), Within(workspace, plain(category).strip(), with_internal)
    among = finding.count(within)
    if not asked or not among:
        return []
    return find(asked, _vector(asked, workspace, user), within, among=among, limit=limit)


@transaction.atomic
def find(asked: str, vector: Sequence[float] | None, within: Within, *, among: int, limit: int) -> list[Passage]:
    """As `search`, with the vector of what is asked; ``among`` is `finding.count`."""
    lists = [finding.by_words(asked, within, among=among, is_alone=vector is None)]
    if vector is not None:
        lists.append(finding.by_meaning(vector, within, among=among))
    scores = _fused(lists)
    best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
    return _passages(best, scores)


def _vector(asked: str, workspace: Workspace, user: User | None) -> list[float] | None:
    try:
        return vectors.of([asked], workspace=workspace, user=user, patience=_PATIENCE)[0]
    except (BudgetExceeded, NotConfigured, UpstreamError) as refusal:
        log.info("searched_by_words_alone", workspace_id=workspace.pk, reason=refusal.code)
        return None


def _fused(lists: Iterable[Sequence[int]]) -> dict[int, float]:
    scores: dict[int, float] = defaultdict(float)
    for found in lists:
        for place, number in enumerate(found, start=1):
            scores[number] += 1 / (_LEVEL + place)
    return scores


def _passages(chunk_ids: Sequence[int], scores: dict[int, float]) -> list[Passage]:
    columns = ("document_id", "title", "category", "number", "heading", "page", "text")
    rows = {row.pop("pk"): row for row in Chunk.objects.filter(pk__in=chunk_ids).values("pk", *columns)}
    return [Passage(**rows[number], score=scores[number]) for number in chunk_ids if number in rows]
