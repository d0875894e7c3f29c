"""Merges, and the search for duplicates among many new leads; in the database of a million leads."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from script.benchmarks import installation
from script.benchmarks.report import Row, progress, take_turns

if TYPE_CHECKING:
    from accounts.models import Workspace

_PAIRS, _NEW = 1_000, 100_000


def measure() -> list[Row]:
    """A thousand pairs in one request, each lead with an activity, beside the bare statements that move and delete the rows."""
    progress(f"merge: {_PAIRS:,} pairs at once …")
    rounds = take_turns({"project": partial(_seconds, _merge), "floor": partial(_seconds, _plain)})
    return [Row("merge of 1,000 pairs", "UPDATE and DELETE", "s", rounds["project"], rounds["floor"], at_most=6)]


def measure_duplicates() -> list[Row]:
    """A hundred thousand leads that came at once, one in ten with another's address; a page of pairs waits for none of this."""
    progress(f"duplicates: {_NEW:,} new leads …")
    rounds = take_turns({"project": _compare}, rounds=3)
    return [Row("duplicates among 100,000", "", "s", rounds["project"], at_most=15)]


def _seconds(act: "Callable[[Workspace, list[tuple[int, int]]], None]") -> float:
    from leads.models import Activity, Lead
    from script.benchmarks import invented

    workspace = installation.passing_workspace().workspace
    invented.make_leads(workspace.pk, 2 * _PAIRS)
    ids = list(Lead.objects.for_workspace(workspace).order_by("pk").values_list("pk", flat=True))
    Activity.objects.bulk_create(Activity(workspace=workspace, lead_id=lead_id, type="note") for lead_id in ids)
    pairs = list(zip(ids[::2], ids[1::2], strict=True))
    begun = time.perf_counter()
    act(workspace, pairs)
    seconds = time.perf_counter() - begun
    if Lead.objects.for_workspace(workspace).count() != _PAIRS:
        raise RuntimeError("Not every pair was merged.")
    _clear_away()
    return seconds


def _merge(workspace: "Workspace", pairs: list[tuple[int, int]]) -> None:
    from leads.history import SYSTEM
    from leads.merging import merging

    wishes = [merging.Wish(survivor, (loser,)) for survivor, loser in pairs]
    merging.merge(wishes, workspace=workspace, by=SYSTEM)


_MAP = "unnest(%(survivors)s::bigint[], %(losers)s::bigint[]) AS m (survivor, loser)"
_STATEMENTS = [
    f"UPDATE leads_activity AS a SET lead_id = m.survivor FROM {_MAP} WHERE a.lead_id = m.loser",
    f"""
    UPDATE leads_lead AS s SET tags = s.tags || l.tags, extra = l.extra || s.extra, notes = concat_ws(E'\\n\\n', s.notes, l.notes),
        score = greatest(s.score, l.score), last_contact = greatest(s.last_contact, l.last_contact)
    FROM {_MAP}, leads_lead AS l WHERE s.id = m.survivor AND l.id = m.loser
    """,
    "DELETE FROM leads_lead WHERE id = ANY(%(losers)s)",
]


def _plain(workspace: "Workspace", pairs: list[tuple[int, int]]) -> None:
    """The triggers that keep the history run here, too."""
    from django.db import connection, transaction

    given = {"survivors": [survivor for survivor, _ in pairs], "losers": [loser for _, loser in pairs]}
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, given)


def _compare() -> float:
    from django.db import connection

    from leads import duplicates
    from leads.models import DuplicatePair
    from script.benchmarks import invented

    workspace = installation.passing_workspace().workspace
    invented.make_leads(workspace.pk, _NEW)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE leads_lead SET email = 'office' || id / 20 || '@twin.example' WHERE workspace_id = %s AND id %% 10 = 0",
            [workspace.pk],
        )
    begun = time.perf_counter()
    while duplicates.compare_all(workspace.pk):
        pass
    seconds = time.perf_counter() - begun
    if DuplicatePair.objects.for_workspace(workspace).count() < _NEW // 20 - 1:
        raise RuntimeError("Not every pair was found.")
    _clear_away()
    return seconds


def _clear_away() -> None:
    installation.forget_passing_workspaces()
    installation.vacuum()
