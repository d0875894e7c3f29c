"""What points at a lead moves along when it goes in a merge, and back when that is undone.

Whatever table names a lead is found by itself. Rows that the survivor has of its own already, where it may have but one, stay with
the lead that went: they are as good as gone with it, and there again when it comes back.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import UniqueConstraint

from leads import history
from leads.models import (
    DuplicatePair,
    ExportedLead,
    KeptLead,
    Lead,
    LeadVersion,
    Merge,
    MergedLead,
    UncomparedLead,
)

# These tell what was done to a lead itself, or are written by triggers. Pairs name two leads, and have statements of their own.
_STAYING = (Lead, LeadVersion, KeptLead, Merge, MergedLead, UncomparedLead, DuplicatePair)

Carried = dict[int, dict[str, list[int | str]]]  # lead that went → column → rows


@dataclass(frozen=True)
class Reference:
    """A column that names leads. ``unique`` are the columns of which each combination has but one row for a lead."""

    model: Any
    column: str
    unique: tuple[tuple[str, ...], ...]

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)

    @property
    def key(self) -> str:
        return self.table if self.column == "lead_id" else f"{self.table}.{self.column}"


@cache
def references() -> tuple[Reference, ...]:
    """All columns of all apps that name leads."""
    fields = [field for field in history.references() if field.model not in _STAYING]
    return tuple(Reference(field.model, field.column, _unique(field)) for field in fields)


def _unique(field: Any) -> tuple[tuple[str, ...], ...]:
    """The other columns of each promise that a row of this lead is the only one. Its condition is not read: then rows stay."""
    meta = field.model._meta
    sets = [constraint.fields for constraint in meta.constraints if isinstance(constraint, UniqueConstraint)]
    sets += [*meta.unique_together, *([(field.name,)] if field.unique else [])]
    return tuple(
        tuple(meta.get_field(name).column for name in names if name != field.name)
        for names in sets
        if field.name in names
    )


_MAP = "unnest(%(losers)s::bigint[], %(survivors)s::bigint[]) WITH ORDINALITY AS m (loser, survivor, place)"


def carry(survivors: dict[int, int], roots: dict[int, int]) -> Carried:
    """Have what points at the keys of ``survivors`` point at their values, and note for each which rows these were.

    ``roots`` are the ids under which the survivors' exports are charged. A charge moves to its survivor alone: one for a lead of the
    catalogue holds for that lead, whoever is its copy.
    """
    carried: Carried = defaultdict(dict)
    charged = {loser: survivor for loser, survivor in survivors.items() if roots[survivor] == survivor}
    for reference in references():
        moving = charged if reference.model is ExportedLead else survivors
        _note(carried, reference.key, _move(_carry(reference), moving))
    _note(carried, DuplicatePair._meta.db_table, _move(_CARRY_PAIRS, survivors))
    return carried


def _move(statement: str, survivors: dict[int, int]) -> list[tuple[int, int | UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"losers": list(survivors), "survivors": list(survivors.values())})
        return cursor.fetchall()


def _note(carried: Carried, key: str, moved: list[tuple[int, int | UUID]]) -> None:
    for lead_id, row_id in sorted(moved):
        carried[lead_id].setdefault(key, []).append(str(row_id) if isinstance(row_id, UUID) else row_id)


def _carry(reference: Reference) -> str:
    table, column = reference.table, reference.column
    taken, turns = ["true"], ["true"]
    for number, others in enumerate(reference.unique):
        same = " AND ".join([f"o.{column} = m.survivor", *(f"o.{other} = t.{other}" for other in others)])
        taken.append(f"NOT EXISTS (SELECT FROM {table} AS o WHERE {same})")
        turns.append(f"turn{number} = 1")
    turn = "".join(
        f", row_number() OVER (PARTITION BY {', '.join(['m.survivor', *(f't.{other}' for other in others)])} ORDER BY m.place, t.id)"
        f" AS turn{number}"
        for number, others in enumerate(reference.unique)
    )
    return f"""
        WITH moving AS (
            SELECT t.id, m.loser, m.survivor{turn} FROM {_MAP} JOIN {table} AS t ON t.{column} = m.loser
            WHERE {" AND ".join(taken)}
        )
        UPDATE {table} AS t SET {column} = moving.survivor FROM moving
        WHERE t.id = moving.id AND {" AND ".join(turns)} RETURNING moving.loser, t.id
    """


# Open pairs stay, since whether they hold depends on the values that the survivor has; it is compared anew where these are new.
# What somebody said about a lead that went, that it is not the same as another, holds for the survivor.
_CARRY_PAIRS = f"""
    WITH moving AS (
        SELECT p.id, m.loser, least(m.survivor, p.other) AS first, greatest(m.survivor, p.other) AS second,
            row_number() OVER (
                PARTITION BY least(m.survivor, p.other), greatest(m.survivor, p.other) ORDER BY m.place, p.id
            ) AS turn
        FROM {_MAP} CROSS JOIN LATERAL (
            SELECT id, second_id AS other, workspace_id FROM leads_duplicatepair WHERE first_id = m.loser AND state = 'dismissed'
            UNION ALL
            SELECT id, first_id, workspace_id FROM leads_duplicatepair WHERE second_id = m.loser AND state = 'dismissed'
        ) AS p
        WHERE p.other <> m.survivor AND p.other <> ALL(%(losers)s) AND NOT EXISTS (
            SELECT FROM leads_duplicatepair AS o WHERE o.workspace_id = p.workspace_id
                AND o.first_id = least(m.survivor, p.other) AND o.second_id = greatest(m.survivor, p.other)
        )
    )
    UPDATE leads_duplicatepair AS p SET first_id = moving.first, second_id = moving.second
    FROM moving WHERE p.id = moving.id AND turn = 1 RETURNING moving.loser, p.id
"""


# Back again ---------------------------------------------------------------------------------------------------------------


def give_back(carried: dict[str, list[int | str]], *, lead_id: int, survivor_id: int) -> None:
    """Have the rows point at the lead again that they were carried from: those that are there, and still at the survivor."""
    statements = {reference.key: _give_back(reference) for reference in references()}
    statements[DuplicatePair._meta.db_table] = _GIVE_PAIRS_BACK
    with connection.cursor() as cursor:
        for key, row_ids in carried.items():
            if key in statements:  # else the table is no more
                cursor.execute(statements[key], {"rows": row_ids, "lead": lead_id, "survivor": survivor_id})


def _give_back(reference: Reference) -> str:
    table, column = reference.table, reference.column
    rows = f"ANY(%(rows)s::{reference.model._meta.pk.db_type(connection)}[])"
    return f"UPDATE {table} SET {column} = %(lead)s WHERE id = {rows} AND {column} = %(survivor)s"


_GIVE_PAIRS_BACK = """
    UPDATE leads_duplicatepair AS p SET first_id = least(%(lead)s, found.other), second_id = greatest(%(lead)s, found.other)
    FROM (
        SELECT id, workspace_id, CASE WHEN first_id = %(survivor)s THEN second_id ELSE first_id END AS other
        FROM leads_duplicatepair WHERE id = ANY(%(rows)s) AND %(survivor)s IN (first_id, second_id)
    ) AS found
    WHERE p.id = found.id AND found.other <> %(lead)s AND NOT EXISTS (
        SELECT FROM leads_duplicatepair AS o WHERE o.workspace_id = found.workspace_id
            AND o.first_id = least(%(lead)s, found.other) AND o.second_id = greatest(%(lead)s, found.other)
    )
"""
