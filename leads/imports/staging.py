"""Rows into the table by SQL: COPY into a temporary table, fold rows that are one lead, match, update, insert.

All of it is set-based: its cost does not depend on how many rows match, and memory is the database's. The temporary table lives
as long as the transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

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
KEYS = ("external_id", "email", "npi")


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
    """The temporary table of one import. The steps are called in their order; each is a statement or two."""

    def __init__(self, batch: ImportBatch, columns: Sequence[str], match_on: Sequence[str] = KEYS) -> None:
        self.batch = batch
        self.columns = list(columns)
        self.keys = [key for key in KEYS if key in columns and key in match_on]
        self.counts = Counts()
        _run("DROP TABLE IF EXISTS leads_stage, leads_named")  # of an earlier import in the same transaction
        _run(f"""
            CREATE TEMPORARY TABLE leads_stage (
                row integer NOT NULL,
                {"".join(f"{column} {_TYPES.get(column, 'text')}, " for column in columns)}
                {_place_column(columns)}
                leader integer NOT NULL,
                lead_id bigint,
                strength integer,
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

    def apply(self) -> list[int]:
        """Write the staged rows; returns the lines whose keys name more than one lead, which are left out."""
        # two imports of one workspace at once would not see each other's new leads, and make twins
        _run(
            "SELECT pg_advisory_xact_lock(hashtextextended('leads.import:' || %s, 0))",
            [self.batch.workspace_id],
        )
        _run("ANALYZE leads_stage")
        self._lead_rows_of_one_file()
        self._match()
        self._fold()
        self._choose()
        self._update()
        self._insert()
        return [row for (row,) in _rows("SELECT row FROM leads_stage WHERE fate = 'torn' ORDER BY row")]

    # Rows of one file that are one lead --------------------------------------------------------------------------------

    def _lead_rows_of_one_file(self) -> None:
        """Give rows that are one lead the same leader, the first of them (each begins as its own).

        Rows are joined by the strongest key that they have. One without the stronger keys joins the lead among the stronger
        ones that shares its weaker key; where there are two of these, it names two leads.
        """
        stronger: list[str] = []
        for key in self.keys:
            value = _staged_key(key)
            alone = " AND ".join([f"{value} IS NOT NULL", *(f"{_staged_key(other)} IS NULL" for other in stronger)])
            _run(f"""
                WITH kin AS (
                    SELECT {value} AS key, min(row) AS leader FROM leads_stage WHERE {alone} GROUP BY 1
                ), elder AS (
                    SELECT {value} AS key, min(leader) AS leader, count(DISTINCT leader) AS leaders
                    FROM leads_stage WHERE {value} IS NOT NULL AND NOT ({alone}) GROUP BY 1
                )
                UPDATE leads_stage AS s
                SET leader = coalesce(elder.leader, kin.leader), fate = CASE WHEN elder.leaders > 1 THEN 'torn' END
                FROM kin LEFT JOIN elder USING (key)
                WHERE {value} = kin.key AND {alone}
                  AND (elder.leaders > 1 OR coalesce(elder.leader, kin.leader) <> s.row)
            """)
            stronger.append(key)

    # Leads that are there already ---------------------------------------------------------------------------------------

    def _match(self) -> None:
        """Find the lead that each row's keys name. A weaker key does not name a lead that has another stronger one."""
        if not self.keys:
            return
        _run(f"CREATE TEMPORARY TABLE leads_named ON COMMIT DROP AS {' UNION '.join(map(self._named_by, self.keys))}",
             {"workspace": self.batch.workspace_id})  # fmt: skip
        _run("""
            WITH asked AS (
                SELECT leader, bit_or(1 << strength) AS keys FROM leads_named GROUP BY 1
            ), named AS (
                SELECT n.leader, n.lead_id, min(n.strength) AS strength FROM leads_named AS n JOIN asked USING (leader)
                GROUP BY n.leader, n.lead_id, asked.keys HAVING bit_or(1 << n.strength) = asked.keys
            ), verdict AS (
                SELECT leader, count(named.lead_id) AS leads, min(named.lead_id) AS lead_id, min(named.strength) AS strength
                FROM asked LEFT JOIN named USING (leader) GROUP BY 1
            )
            UPDATE leads_stage AS s
            SET lead_id = CASE WHEN verdict.leads = 1 THEN verdict.lead_id END,
                strength = verdict.strength,
                fate = CASE WHEN verdict.leads <> 1 THEN 'torn' ELSE fate END
            FROM verdict WHERE verdict.leader = s.leader
        """)
        self._join_rows_of_one_lead()

    def _join_rows_of_one_lead(self) -> None:
        """Rows with different keys may name one lead. Where a key stronger than those that matched tells them apart, the later
        one is somebody else after all, and new."""
        others = [
            f"(s.strength > {strength} AND first.strength > {strength} AND {_folded('s', key)} <> {_folded('first', key)})"
            for strength, key in enumerate(KEYS[:2], start=1)
            if key in self.keys
        ]
        other = " OR ".join(others) or "false"
        _run(f"""
            WITH first AS (
                SELECT DISTINCT ON (lead_id) * FROM leads_stage
                WHERE lead_id IS NOT NULL AND fate IS NULL ORDER BY lead_id, leader, row
            )
            UPDATE leads_stage AS s
            SET leader = CASE WHEN {other} THEN s.leader ELSE first.leader END,
                lead_id = CASE WHEN {other} THEN NULL ELSE s.lead_id END
            FROM first WHERE first.lead_id = s.lead_id AND first.leader <> s.leader AND s.fate IS NULL
        """)

    def _named_by(self, key: str) -> str:
        strength = KEYS.index(key) + 1
        theirs = {
            "external_id": "l.external_id = s.external_id AND l.external_id <> ''",
            "email": "lower(l.email) = lower(s.email) AND l.email <> ''",
            "npi": "l.npi = s.npi AND l.npi <> '' AND leads_address_key(l.address) = leads_address_key(coalesce(s.address, ''))",
        }[key]
        if key == "npi" and "address" not in self.columns:
            theirs = "l.npi = s.npi AND l.npi <> '' AND l.address = ''"
        vetoes = [self._veto(other) for other in self.keys if KEYS.index(other) + 1 < strength]
        conditions = " AND ".join([theirs, "s.fate IS NULL", *vetoes])
        return (
            f"SELECT s.leader, l.id AS lead_id, {strength} AS strength FROM leads_stage AS s"
            f" JOIN leads_lead AS l ON l.workspace_id = %(workspace)s AND {conditions}"
        )

    def _veto(self, stronger: str) -> str:
        """A lead with another stronger key is somebody else, unless the row's stronger key names a lead of its own."""
        return (
            f"(s.{stronger} IS NULL OR l.{stronger} = '' OR lower(l.{stronger}) = lower(s.{stronger})"
            f" OR EXISTS (SELECT FROM leads_lead AS o WHERE o.workspace_id = %(workspace)s AND o.{stronger} <> ''"
            f" AND {_folded('o', stronger)} = {_folded('s', stronger)}))"
        )

    def _fold(self) -> None:
        """Rows that are one lead become one: of each column the last value that is not blank. The others are skipped."""
        last = ", ".join(f"{_last(column)} AS {column}" for column in self.columns)
        _run(f"""
            WITH folded AS (
                SELECT leader, {last} FROM leads_stage WHERE fate IS NULL GROUP BY leader HAVING count(*) > 1
            )
            UPDATE leads_stage AS s
            SET {", ".join(f"{column} = folded.{column}" for column in self.columns)}
            FROM folded WHERE folded.leader = s.row AND s.fate IS NULL
        """)
        self.counts.skipped += _run("UPDATE leads_stage SET fate = 'folded' WHERE fate IS NULL AND leader <> row")

    def _choose(self) -> None:
        """What the mode does not want is skipped."""
        unwanted = {
            ImportBatch.Mode.CREATE: "lead_id IS NOT NULL",
            ImportBatch.Mode.UPDATE: "lead_id IS NULL",
            ImportBatch.Mode.UPSERT: "false",
        }[ImportBatch.Mode(self.batch.mode)]
        self.counts.skipped += _run(f"UPDATE leads_stage SET fate = 'skipped' WHERE fate IS NULL AND {unwanted}")

    # Writing ------------------------------------------------------------------------------------------------------------

    def _update(self) -> None:
        """Change what differs; a blank cell erases nothing."""
        new = {column: _merged(column) for column in self.columns}
        if {"status", "last_contact"} & new.keys() and "needs_action" not in new:
            new["needs_action"] = f"leads_needs_action({_after('status', new)}, {_after('last_contact', new)})"
        differs = f"({', '.join(f'l.{c}' for c in self.columns)}) IS DISTINCT FROM ({', '.join(new[c] for c in self.columns)})"
        changed = _run(f"""
            UPDATE leads_lead AS l
            SET {", ".join(f"{column} = {value}" for column, value in new.items())}, version = l.version + 1, updated_at = now()
            FROM leads_stage AS s WHERE s.lead_id = l.id AND s.fate IS NULL AND {differs}
        """)
        ((matched, needing, silent),) = _rows("""
            SELECT count(*), count(*) FILTER (WHERE l.needs_action), count(*) FILTER (WHERE l.last_contact IS NULL)
            FROM leads_stage AS s JOIN leads_lead AS l ON l.id = s.lead_id WHERE s.fate IS NULL
        """)
        self.counts.updated = matched
        self.counts.unchanged = matched - changed
        self.counts.needs_action += needing
        self.counts.without_last_contact += silent

    def _insert(self) -> None:
        values = {column: f"coalesce(s.{column}, {_default(column)})" for column in self.columns}
        values.setdefault("source", "'import'")
        status, contact = (f"s.{name}" if name in self.columns else "NULL" for name in ("status", "last_contact"))
        rule = f"leads_needs_action({status}, {contact})"
        values["needs_action"] = f"coalesce(s.needs_action, {rule})" if "needs_action" in self.columns else rule
        ((created, needing, silent),) = _rows(
            f"""
            WITH created AS (
                INSERT INTO leads_lead (workspace_id, import_batch_id, {", ".join(values)})
                SELECT %(workspace)s, %(batch)s, {", ".join(values.values())} FROM leads_stage AS s
                WHERE s.fate IS NULL AND s.lead_id IS NULL ORDER BY s.row
                RETURNING needs_action, last_contact
            )
            SELECT count(*), count(*) FILTER (WHERE needs_action), count(*) FILTER (WHERE last_contact IS NULL) FROM created
            """,
            {"workspace": self.batch.workspace_id, "batch": self.batch.pk},
        )
        self.counts.created = created
        self.counts.needs_action += needing
        self.counts.without_last_contact += silent


def _place_column(columns: Sequence[str]) -> str:
    """A provider at an address, as one key; the address counts however it is written."""
    if "npi" not in columns:
        return ""
    address = "leads_address_key(coalesce(address, ''))" if "address" in columns else "''"
    return f"place text GENERATED ALWAYS AS (npi || '|' || {address}) STORED,"


def _staged_key(key: str) -> str:
    return {"external_id": "external_id", "email": "lower(email)", "npi": "place"}[key]


def _folded(table: str, column: str) -> str:
    """A key as its index has it."""
    return f"lower({table}.{column})" if column == "email" else f"{table}.{column}"


def _last(column: str) -> str:
    if column == "extra":
        return "leads_jsonb_merge(extra ORDER BY row)"
    if _TYPES.get(column, "").endswith("[]"):
        # array_agg can't take arrays of different lengths
        return f"(array_agg({column}::text ORDER BY row DESC) FILTER (WHERE {column} IS NOT NULL))[1]::text[]"
    return f"(array_agg({column} ORDER BY row DESC) FILTER (WHERE {column} IS NOT NULL))[1]"


def _merged(column: str) -> str:
    if column == "extra":
        return "l.extra || coalesce(s.extra, '{}')"
    return f"coalesce(s.{column}, l.{column})"


def _after(column: str, new: dict[str, str]) -> str:
    return new.get(column, f"l.{column}")


def _default(column: str) -> str:
    """What a column holds when a row says nothing; as the model has it."""
    if column == "status":
        return "'NEW'"
    if column == "extra":
        return "'{}'"
    kind = _TYPES.get(column, "text")
    return {"text": "''", "text[]": "'{}'"}.get(kind, "NULL")


def _run(sql: str, parameters: Any = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.rowcount


def _rows(sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()
