"""Rows into the table by SQL: COPY into a temporary table, match, collapse rows that are one lead, update, insert.

All of it is set-based: its cost does not depend on how many rows match, and memory is the database's. The temporary tables live as
long as the transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from leads.history import Author
from leads.imports import matching, sql
from leads.imports.matching import FOLLOWED, KEYS, last
from leads.models import ImportBatch

_TYPES = {
    "providers": "text[]",
    "specialties": "text[]",
    "tags": "text[]",
    "is_sole_proprietor": "boolean",
    "needs_action": "boolean",
    "score": "smallint",
    "next_action_at": "timestamptz",
    "last_contact": "timestamptz",
    "extra": "jsonb",
}


@dataclass
class Counts:
    """What became of the staged rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    needs_action: int = 0
    without_last_contact: int = 0


class Stage:
    """The temporary table of one import. The steps are called in their order; each is a statement or two.

    ``row`` is the line, ``leader`` the row that it is collapsed into (itself, mostly), ``lead_id`` the lead that it updates, and
    ``fate`` why it goes no further: ``torn`` (its keys name more than one lead), ``taken`` (its external id is another lead's),
    ``foreign`` (an agent brings it, and the lead is not theirs), ``skipped`` (the mode does not want it), ``collapsed``.
    """

    def __init__(
        self, batch: ImportBatch, columns: Sequence[str], match_on: Sequence[str] = KEYS, *, by: Author
    ) -> None:
        self.batch = batch
        self.by = by
        self.columns = list(columns)
        self.keys = [key for key in KEYS if key in columns and key in match_on]
        self.counts = Counts()
        sql.run(
            "DROP TABLE IF EXISTS leads_stage, leads_asked, leads_held"
        )  # of an earlier import in the same transaction
        sql.run(f"""
            CREATE TEMPORARY TABLE leads_stage (
                row integer NOT NULL,
                {"".join(f"{column} {_TYPES.get(column, 'text')}, " for column in columns)}
                {matching.key_columns(columns)}
                leader integer NOT NULL,
                lead_id bigint,
                fate text
            ) ON COMMIT DROP
        """)

    def copy(self, rows: Iterable[tuple[int, list[Any]]]) -> None:
        """Add rows: the line, and a value for each column."""
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY leads_stage (row, leader, {', '.join(self.columns)}) FROM STDIN") as copy,
        ):
            for row, values in rows:
                copy.write_row((row, row, *values))

    def settle(self, *, alone: bool) -> dict[int, str]:
        """Tell what each row will do, and write nothing; returns the lines that are refused: ``torn``, ``taken`` or ``foreign``.

        ``alone`` waits for other imports of the workspace, and makes them wait for the end of the transaction.
        """
        if alone:
            # two imports of one workspace at once would not see each other's new leads, and make twins
            sql.run(
                "SELECT pg_advisory_xact_lock(hashtextextended('leads.import:' || %s, 0))",
                [self.batch.workspace_id],
            )
        known = ["row", "leader", "lead_id", "fate", *(matching.COLUMNS[key] for key in self.keys)]
        sql.run(f"ANALYZE leads_stage ({', '.join(known)})")
        matching.lead_rows_of_one_file(self.keys)
        matching.find_leads(self.keys, self.columns, self.batch.workspace_id)
        self._choose()
        self._refuse_taken_external_ids()
        self._refuse_leads_of_others()
        self._collapse()
        return dict(sql.rows("SELECT row, fate FROM leads_stage WHERE fate IN ('torn', 'taken', 'foreign')"))

    def write(self) -> None:
        """Do it."""
        self._update()
        self._insert()

    def _choose(self) -> None:
        """What the mode does not want is skipped."""
        unwanted = {
            ImportBatch.Mode.CREATE: "lead_id IS NOT NULL",
            ImportBatch.Mode.UPDATE: "lead_id IS NULL",
            ImportBatch.Mode.UPSERT: "false",
        }[ImportBatch.Mode(self.batch.mode)]
        self.counts.skipped += sql.run(f"UPDATE leads_stage SET fate = 'skipped' WHERE fate IS NULL AND {unwanted}")

    def _refuse_taken_external_ids(self) -> None:
        """Where leads are not matched by the external id, it may belong to another lead, or to an earlier row's."""
        if "external_id" not in self.columns or "external_id" in self.keys:
            return
        sql.run(
            """
            UPDATE leads_stage SET fate = 'taken' WHERE fate IS NULL AND leader IN (
                SELECT s.leader FROM leads_stage AS s JOIN leads_lead AS l
                    ON l.workspace_id = (SELECT %s::bigint) AND l.external_id <> '' AND l.external_id = s.external_id
                WHERE s.fate IS NULL AND l.id IS DISTINCT FROM s.lead_id
                UNION
                SELECT s.leader FROM leads_stage AS s JOIN leads_stage AS earlier
                    ON earlier.external_id = s.external_id AND earlier.leader < s.leader
                WHERE s.fate IS NULL AND earlier.fate IS NULL
            )
            """,
            [self.batch.workspace_id],
        )

    def _refuse_leads_of_others(self) -> None:
        if self.by.is_agent:
            sql.run(
                """
                UPDATE leads_stage AS s SET fate = 'foreign' FROM leads_lead AS l
                WHERE s.fate IS NULL AND l.id = s.lead_id AND l.assigned_user_id IS DISTINCT FROM %s
                """,
                [self.by.user_id],
            )

    def _collapse(self) -> None:
        """Rows that are one lead become one: of each column the last value that is not blank. The others are skipped."""
        sql.run(f"""
            WITH collapsed AS (
                SELECT leader, {", ".join(f"{_last(column)} AS {column}" for column in self.columns)}
                FROM leads_stage WHERE fate IS NULL AND leader IN {FOLLOWED} GROUP BY leader
            )
            UPDATE leads_stage AS s
            SET {", ".join(f"{column} = collapsed.{column}" for column in self.columns)}
            FROM collapsed WHERE collapsed.leader = s.row AND s.fate IS NULL
        """)
        self.counts.skipped += sql.run("UPDATE leads_stage SET fate = 'collapsed' WHERE fate IS NULL AND leader <> row")

    def plan(self) -> list[tuple[Any, ...]]:
        """Of each settled row: line, leader, fate, lead; and the lead's values before and after, as JSON has them."""
        after = self._updated() | _consequences(self.columns)
        new = self._created()

        def written(values: dict[str, str]) -> str:
            pairs = ", ".join(f"'{column}', {value}" for column, value in values.items())
            return f"jsonb_build_object({pairs})"

        planned = sql.rows(f"""
            SELECT s.row, s.leader, s.fate, s.lead_id, {written({column: f"l.{column}" for column in after})},
                   CASE WHEN s.lead_id IS NULL THEN {written(new)} ELSE {written(after)} END
            FROM leads_stage AS s LEFT JOIN leads_lead AS l ON l.id = s.lead_id ORDER BY s.row
        """)
        return [(*row, orjson.loads(before), orjson.loads(after)) for *row, before, after in planned]

    def _updated(self) -> dict[str, str]:
        """A blank cell erases nothing."""
        return {column: _merged(column) for column in self.columns}

    def _created(self) -> dict[str, str]:
        values = {column: f"coalesce(s.{column}, {_default(column)})" for column in self.columns}
        values.setdefault("source", "'import'")
        status, contact = (f"s.{name}" if name in self.columns else "NULL" for name in ("status", "last_contact"))
        rule = f"leads_needs_action({status}, {contact})"
        values["needs_action"] = f"coalesce(s.needs_action, {rule})" if "needs_action" in self.columns else rule
        return values

    def _update(self) -> None:
        """Change what differs."""
        new = self._updated()
        differs = f"({', '.join(f'l.{c}' for c in new)}) IS DISTINCT FROM ({', '.join(new.values())})"
        new |= _consequences(self.columns)
        assignments = ", ".join(f"{column} = {value}" for column, value in new.items())
        matched = f"s.lead_id = l.id AND s.fate IS NULL AND {differs}"
        # in the order in which bulk edits lock leads, too: else the one would wait for the other, and the other for the one
        sql.run(
            f"SELECT count(*) FROM (SELECT FROM leads_lead AS l, leads_stage AS s WHERE {matched} ORDER BY l.id FOR UPDATE OF l)"
        )
        changed = sql.run(f"""
            UPDATE leads_lead AS l SET {assignments} FROM leads_stage AS s WHERE {matched}
        """)
        ((found, there, needing, silent),) = sql.rows("""
            SELECT count(*), count(l.id), count(*) FILTER (WHERE l.needs_action),
                   count(*) FILTER (WHERE l.id IS NOT NULL AND l.last_contact IS NULL)
            FROM leads_stage AS s LEFT JOIN leads_lead AS l ON l.id = s.lead_id WHERE s.fate IS NULL AND s.lead_id IS NOT NULL
        """)
        self.counts.skipped += found - there  # leads that somebody deleted at this very moment
        self.counts.updated = there
        self.counts.unchanged = there - changed
        self.counts.needs_action += needing
        self.counts.without_last_contact += silent

    def _insert(self) -> None:
        values = self._created()
        ((created, needing, silent),) = sql.rows(
            f"""
            WITH created AS (
                INSERT INTO leads_lead (workspace_id, import_batch_id, assigned_user_id, {", ".join(values)})
                SELECT %(workspace)s, %(batch)s, %(owner)s, {", ".join(values.values())} FROM leads_stage AS s
                WHERE s.fate IS NULL AND s.lead_id IS NULL ORDER BY s.row
                RETURNING needs_action, last_contact
            )
            SELECT count(*), count(*) FILTER (WHERE needs_action), count(*) FILTER (WHERE last_contact IS NULL) FROM created
            """,
            {
                "workspace": self.batch.workspace_id,
                "batch": self.batch.pk,
                "owner": self.by.user_id if self.by.is_agent else None,
            },
        )
        self.counts.created = created
        self.counts.needs_action += needing
        self.counts.without_last_contact += silent


def _last(column: str) -> str:
    if column == "extra":
        return "leads_jsonb_merge(extra ORDER BY row)"
    if _TYPES.get(column, "").endswith("[]"):
        # array_agg can't take arrays of different lengths
        return f"(array_agg({column}::text ORDER BY row DESC) FILTER (WHERE {column} IS NOT NULL))[1]::text[]"
    return last(column)


def _merged(column: str) -> str:
    if column == "extra":
        return "l.extra || coalesce(s.extra, '{}')"
    return f"coalesce(s.{column}, l.{column})"


def _consequences(columns: Sequence[str]) -> dict[str, str]:
    """What follows from the new values: an address that changed is unverified, a status or contact tells anew who needs action (as does a
    task that is due).

    Without a change of these the flag stays as it is, for somebody may have cleared it. ``NEW`` is what a lead without a status
    has, so it counts as none here, as it did in the row that brought the lead.
    """
    following = {}
    if "email" in columns:
        following["email_status"] = "CASE WHEN lower(s.email) <> lower(l.email) THEN 'unknown' ELSE l.email_status END"
    if {"status", "last_contact"} & set(columns):
        status, contact = (_merged(name) if name in columns else f"l.{name}" for name in ("status", "last_contact"))
        known = status.replace("l.status", "nullif(l.status, 'NEW')")
        given = "s.needs_action" if "needs_action" in columns else "NULL"
        following["needs_action"] = f"""
            coalesce({given}, CASE WHEN ({status}, {contact}) IS DISTINCT FROM (l.status, l.last_contact)
                THEN leads_needs_action({known}, {contact}) OR EXISTS (
                    SELECT FROM leads_activity AS a
                    WHERE a.lead_id = l.id AND a.type = 'task' AND a.done_at IS NULL AND a.due_at <= now()
                ) ELSE l.needs_action END)
        """
    return following


def _default(column: str) -> str:
    """What a column holds when a row says nothing; as the model has it."""
    if column == "status":
        return "'NEW'"
    if column == "extra":
        return "'{}'"
    kind = _TYPES.get(column, "text")
    return {"text": "''", "text[]": "'{}'"}.get(kind, "NULL")
