"""Passages by their meaning, and by their words: each a list of ids, the best first. For short transactions: no AI is asked here."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.models import Workspace

Parameters = dict[str, str | int]

EACH = 40  # passages of either list
# A scan of so many vectors takes some 15 ms, and misses none. The index that spans all workspaces would walk past everybody else's for
# a workspace that is small among them: measured for 300 passages among 100,000 it took 160 ms and found 7 of 10.
FEW = 10_000
# how many the index looks at: on 100,000 passages 0.98 of the ten nearest in 4 ms; with 100 it was 0.95, with 400 no more
EF_SEARCH = 200
_RANKED = 300  # passages that are ranked by their words, which takes some 3 ms
_ENOUGH = 8  # passages with rare words, that those with a common one are not looked for


@dataclass(frozen=True)
class Within:
    """Where is looked: in a workspace, maybe in one category alone (capitals do not matter), and maybe not at what is for the team."""

    workspace: Workspace
    category: str
    with_internal: bool

    @property
    def sql(self) -> str:
        # ANY: see `zevix.tenancy`; and both kinds are two places of one index
        one = " AND lower(category) = lower(%(category)s)" if self.category else ""
        return f"workspace_id = ANY(%(workspaces)s) AND is_internal = ANY(%(internal)s){one}"

    @property
    def sql_without_index(self) -> str:
        return self.sql.replace("workspace_id", "workspace_id + 0")

    @property
    def given(self) -> dict[str, Any]:
        return {
            "workspaces": [self.workspace.pk],
            "internal": [False, True] if self.with_internal else [False],
            "category": self.category,
        }


def count(within: Within) -> int:
    """How many passages there are; past `FEW` one more than these."""
    ((found,),) = _rows(
        f"SELECT count(*) FROM (SELECT FROM ai_chunk WHERE {within.sql} LIMIT {FEW + 1}) AS passages", within.given
    )
    return int(found)


def by_meaning(vector: Sequence[float], within: Within, *, among: int) -> list[int]:
    """Those nearest to a vector, but none that is far off."""
    is_exact = among <= FEW
    parameters: Parameters = {
        "enable_indexscan": "on",
        "hnsw.ef_search": EF_SEARCH,
        "hnsw.iterative_scan": "relaxed_order",
    }
    rows = _rows(
        f"""
        SELECT id, (embedding <=> %(vector)s::halfvec){" + 0" if is_exact else ""} AS distance FROM ai_chunk
        WHERE {within.sql} AND embedding_model = %(model)s ORDER BY distance LIMIT {EACH}
        """,
        {
            **within.given,
            "model": settings.OPENAI_EMBEDDING_MODEL,
            "vector": "[" + ",".join(f"{place:.5g}" for place in vector) + "]",  # half a float has three digits
        },
        parameters,
    )
    farthest = 1 - settings.KNOWLEDGE_MIN_SIMILARITY
    near = [(distance, number) for number, distance in rows if distance is not None and distance <= farthest]
    return [number for _distance, number in sorted(near)]


def by_words(asked: str, within: Within, *, among: int, is_alone: bool) -> list[int]:
    """Those that have a word of what is asked, in English or German: the rarest words find them, all words rank them.

    A word that very many have tells nothing beside the meaning, since any of them would be as good. Where words are all that there is
    (``is_alone``) it finds some of those that have it.
    """
    stems = _stems(asked, among)
    rare = _rare(stems)
    found = _ranked(rare, stems, within, among)
    if is_alone and len(found) < _ENOUGH and len(rare) < len(stems):
        common = list(stems)[len(rare)]
        found += [number for number in _ranked([common], stems, within, among) if number not in found]
    return found[:EACH]


# What words there are, and how often: stop words of either language are none. A text's stems are both languages', too.
_STEMS = """
    SELECT stem, max(coalesce(often, 0)) * (CASE WHEN %(among)s <= %(few)s THEN %(among)s ELSE greatest(reltuples, %(among)s) END)
    FROM pg_class, unnest(tsvector_to_array(to_tsvector('simple', %(asked)s))) AS word,
        LATERAL (SELECT ts_lexize('english_stem', word) AS english, ts_lexize('german_stem', word) AS german) AS stemmed,
        unnest(english || german) AS stem
        LEFT JOIN (
            SELECT unnest(most_common_elems::text::text[]) AS stem, unnest(most_common_elem_freqs) AS often
            FROM pg_stats WHERE schemaname = current_schema() AND tablename = 'ai_chunk' AND attname = 'search_vector'
        ) AS known USING (stem)
    WHERE pg_class.oid = 'ai_chunk'::regclass AND english <> '{}' AND german <> '{}'
    GROUP BY stem, reltuples ORDER BY 2, stem LIMIT 64
"""


def _stems(asked: str, among: int) -> dict[str, float]:
    """The stems of its words, the rarest first, and in how many passages each is to be expected."""
    return dict(_rows(_STEMS, {"asked": asked, "among": among, "few": FEW}))


def _rare(stems: dict[str, float]) -> list[str]:
    """As many, from the rarest on, as find no more passages than can be ranked."""
    expected = accumulate(stems.values())
    return [stem for stem, passages in zip(stems, expected, strict=True) if passages <= _RANKED]


def _ranked(some: Sequence[str], stems: dict[str, float], within: Within, among: int) -> list[int]:
    if not some:
        return []
    # each row that is looked at for its words costs 10 µs: the index of words is the way, alone where the workspace is large
    where = within.sql if among <= FEW else within.sql_without_index
    rows = _rows(
        f"""
        SELECT id FROM (
            SELECT id, search_vector FROM ai_chunk WHERE {where} AND search_vector @@ %(some)s::tsquery LIMIT {_RANKED}
        ) AS hit ORDER BY ts_rank(search_vector, %(all)s::tsquery) DESC, id LIMIT {EACH}
        """,
        {**within.given, "some": _any_of(some), "all": _any_of(stems)},
        {"enable_seqscan": "off", "enable_indexscan": "off" if among > _RANKED else "on"},
    )
    return [number for (number,) in rows]


def _any_of(stems: Any) -> str:
    quoted = (stem.replace("\\", "\\\\").replace("'", "''") for stem in stems)
    return " | ".join(f"'{stem}'" for stem in quoted)


def _rows(statement: str, given: dict[str, Any], parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
    """With PostgreSQL's ``parameters`` for this statement, and until the transaction ends, told in the same breath."""
    told = [f"SET LOCAL {name} = {value};" for name, value in (parameters or {}).items()]
    with connection.cursor() as cursor:
        cursor.execute(" ".join([*told, statement]), given)
        while cursor.nextset():
            pass
        return cursor.fetchall()
