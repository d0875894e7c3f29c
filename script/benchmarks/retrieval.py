"""The search among 100,000 passages of several workspaces, beside the plain exact scan for the nearest ten; in an installation of its own.

Run as a module this is a process in it: ``python -m script.benchmarks.retrieval`` prints the figures as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from script.benchmarks import installation
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import ROOT

if TYPE_CHECKING:
    from accounts.models import Workspace

_DATA_DIR = installation.DATA_DIR.parent / "bench-retrieval"
_SIZES = {"large": 90_000, "middling": 5_000, "small": 300, "others": 4_700}
_MEASURED = ("large", "middling", "small")
_QUERIES = 20
_BEST = 10


def measure() -> list[Row]:
    progress(f"retrieval: {sum(_SIZES.values()):,} passages, made on the first run …")
    environment = installation.environment(_DATA_DIR) | {"DJANGO_SETTINGS_MODULE": "zevix.settings"}
    command = [sys.executable, "-m", "script.benchmarks.retrieval"]
    output = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, Any] = json.loads(output)
    large = found["large"]
    rows = [Row("retrieval", "exact scan for the nearest ten", "ms", large["project"], large["floor"], at_most=1)]
    for name in _MEASURED:
        job = f"retrieval, {_SIZES[name]:,} passages"
        project, recall = found[name]["project"], found[name]["recall"]
        rows.append(Row(job, "", "ms", project, at_most=50))
        rows.append(Row(f"{job}: of the nearest {_BEST}", "", "%", [100 * recall], at_least=95))
    return rows


# In the process ------------------------------------------------------------------------------------------------------------


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from accounts.models import Workspace

    if not Workspace.objects.filter(name="others").exists():
        _fill()
    print(json.dumps({name: _measured(Workspace.objects.get(name=name)) for name in _MEASURED}))


def _measured(workspace: "Workspace") -> dict[str, Any]:
    from django.conf import settings

    from ai.knowledge import finding
    from ai.knowledge.finding import Within

    settings.KNOWLEDGE_MIN_SIMILARITY = -1  # else the far ones of the exact ten would be missed on purpose
    within = Within(workspace, "", True)
    queries = _queries(workspace)
    exact = [_exact(vector, workspace) for _words, vector in queries]
    among = finding.count(within)
    near = [_in_a_transaction(partial(finding.by_meaning, vector, within, among=among)) for _words, vector in queries]
    recall = mean(len(set(wanted) & set(found[:_BEST])) / _BEST for wanted, found in zip(exact, near, strict=True))
    rounds = take_turns({
        "project": lambda: _milliseconds(lambda words, vector: _search(words, vector, within), queries),
        "floor": lambda: _milliseconds(lambda _words, vector: _exact(vector, workspace), queries),
    })  # fmt: skip
    return {**rounds, "recall": recall}


def _search(words: str, vector: list[float], within: Any) -> None:
    from ai.knowledge import finding, searching

    if not searching.find(words, vector, within, among=finding.count(within), limit=8):
        raise RuntimeError("Nothing was found.")


def _milliseconds(act: Callable[[str, list[float]], Any], queries: list[tuple[str, list[float]]]) -> float:
    took = []
    for words, vector in queries:
        begun = time.perf_counter()
        act(words, vector)
        took.append(1_000 * (time.perf_counter() - begun))
    return median(took)


def _in_a_transaction(act: Callable[[], list[int]]) -> list[int]:
    from django.db import transaction

    with transaction.atomic():
        return act()


def _exact(vector: list[float], workspace: "Workspace") -> list[int]:
    rows = _run(
        f"SELECT id FROM ai_chunk WHERE workspace_id = %s ORDER BY (embedding <=> %s::halfvec) + 0 LIMIT {_BEST}",
        [workspace.pk, str(vector)],
    )
    return [number for (number,) in rows]


def _queries(workspace: "Workspace") -> list[tuple[str, list[float]]]:
    """Vectors near some passages but equal to none, and questions of common and rarer words, half of them with one of a single passage."""
    rows = _run(
        """
        SELECT 'What does the w1 and w2 of w' || (40 + n) || ' cost, and how long is ' || CASE n %% 2 WHEN 0 THEN unique_word ELSE 'it' END || ' kept?', made.v::text
        FROM (SELECT row_number() OVER (ORDER BY id) AS n, split_part(text, '.', 1) AS unique_word, embedding FROM ai_chunk WHERE workspace_id = %s AND id %% 13 = 0) AS c,
            LATERAL (SELECT l2_normalize(embedding::vector(1536) + (SELECT v FROM bench_noise WHERE bench_noise.n = 1 + c.n %% 2000) * half.v) AS v
                     FROM bench_half AS half) AS made
        ORDER BY n LIMIT %s
        """,
        [workspace.pk, _QUERIES],
    )
    return [(words, json.loads(vector)) for words, vector in rows]


_GAUSSIAN = """
    l2_normalize((SELECT array_agg(random() + random() + random() - 1.5) FROM generate_series(1, 1536) AS d WHERE n > 0)::vector(1536))
"""
_MAKE = [
    "SELECT setseed(0.5)",
    f"CREATE UNLOGGED TABLE bench_noise AS SELECT n, {_GAUSSIAN} AS v FROM generate_series(1, 2000) AS n",
    f"CREATE UNLOGGED TABLE bench_centre AS SELECT n, {_GAUSSIAN} AS v FROM generate_series(1, 300) AS n",
    "CREATE UNLOGGED TABLE bench_half AS SELECT array_fill(0.5::float8, ARRAY[1536])::vector AS v",
    # words as often as in a language: the second half as often as the first, the third a third as often
    """
    CREATE UNLOGGED TABLE bench_sentence AS SELECT n, string_agg('w' || floor(exp(random() * ln(20000)))::int, ' ') AS words
    FROM generate_series(1, 5000) AS n, generate_series(1, 18) GROUP BY n
    """,
    *(f"CREATE INDEX ON bench_{table} (n)" for table in ("noise", "centre", "sentence")),
]
# of all workspaces in turn, each passage in one of 300 clusters
_PASSAGES = """
    INSERT INTO ai_chunk (workspace_id, document_id, number, title, category, is_internal, heading, page, text, embedding, embedding_model)
    SELECT d.workspace_id, d.id, drawn.n, d.title, 'c' || drawn.n %% 20, drawn.n %% 10 = 0, 'Chapter w' || drawn.n %% 500, NULL,
        concat_ws('. ', 'unique' || drawn.n, s1.words, s2.words, s3.words, s4.words, s5.words, s6.words, s7.words, s8.words, s9.words, s10.words),
        l2_normalize(c.v + (a.v + b.v + e.v + f.v) * half.v)::halfvec, %(model)s
    FROM (
        SELECT n, array(SELECT 1 + floor(random() * 300)::int FROM generate_series(1, 1) WHERE n > 0) AS c,
            array(SELECT 1 + floor(random() * 2000)::int FROM generate_series(1, 4) WHERE n > 0) AS p,
            array(SELECT 1 + floor(random() * 5000)::int FROM generate_series(1, 10) WHERE n > 0) AS s
        FROM generate_series(1, %(all)s) AS n OFFSET 0
    ) AS drawn
    JOIN bench_centre AS c ON c.n = drawn.c[1]
    JOIN bench_noise AS a ON a.n = p[1] JOIN bench_noise AS b ON b.n = p[2] JOIN bench_noise AS e ON e.n = p[3] JOIN bench_noise AS f ON f.n = p[4]
    JOIN bench_sentence AS s1 ON s1.n = s[1] JOIN bench_sentence AS s2 ON s2.n = s[2] JOIN bench_sentence AS s3 ON s3.n = s[3]
    JOIN bench_sentence AS s4 ON s4.n = s[4] JOIN bench_sentence AS s5 ON s5.n = s[5] JOIN bench_sentence AS s6 ON s6.n = s[6]
    JOIN bench_sentence AS s7 ON s7.n = s[7] JOIN bench_sentence AS s8 ON s8.n = s[8] JOIN bench_sentence AS s9 ON s9.n = s[9]
    JOIN bench_sentence AS s10 ON s10.n = s[10]
    JOIN bench_size AS size ON drawn.n %% %(turn)s >= size.first AND drawn.n %% %(turn)s < size.past
    JOIN ai_document AS d ON d.workspace_id = size.workspace_id
    CROSS JOIN bench_half AS half
    ORDER BY drawn.n
"""


def _fill() -> None:
    from django.conf import settings
    from django.db import connection, transaction

    with transaction.atomic():
        for statement in _MAKE:
            _run(statement)
        _make_workspaces()
        indexes = _run(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'ai_chunk' AND indexdef NOT LIKE '%UNIQUE%'"
        )
        for name, _made in indexes:
            _run(f"DROP INDEX {name}")
        _run(_PASSAGES, {"all": sum(_SIZES.values()), "turn": 1_000, "model": settings.OPENAI_EMBEDDING_MODEL})
        _run("SET CONSTRAINTS ALL IMMEDIATE")
        _run("SET LOCAL maintenance_work_mem = '1GB'")
        for _name, made in indexes:
            _run(made)
    connection.cursor().execute("VACUUM (ANALYZE)")


def _make_workspaces() -> None:
    from accounts.models import Workspace
    from ai.models import Document

    _run("CREATE UNLOGGED TABLE bench_size (workspace_id bigint, first int, past int)")
    first = 0
    for name, size in _SIZES.items():
        workspace = Workspace.objects.create(name=name)
        Document.objects.create(workspace=workspace, title=f"Handbook of {name}", kind="text", file=b"", size=0)
        past = first + size * 1_000 // sum(_SIZES.values())
        _run("INSERT INTO bench_size VALUES (%s, %s, %s)", [workspace.pk, first, past])
        first = past


def _run(statement: str, given: Any = None) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall() if cursor.description else []


if __name__ == "__main__":
    main()
