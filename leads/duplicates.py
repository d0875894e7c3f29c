"""Leads that may be one: those of a workspace that share what should name one of them.

Triggers put each lead that is new, or known by something new, into a queue (`UncomparedLead`); `compare` takes it from there and looks
for the others that share a key with it. Of all that share a key, each is paired with the oldest: a star, not every two of them. So
the cost follows what has changed, never how many leads there are.

1. A lead is taken from the queue while nobody else is writing to it, and held until its pairs are written. Whoever changes it
   later puts it back. So no order of arrivals loses a pair: of two leads that arrive at once, the one compared last sees the other.
2. Pairs of the leads taken that do not hold any more go. A pair that was dismissed stays dismissed.
3. Where a lead was the middle of a star and is no more, the others of that star are compared anew. A trigger does the same for those
   of a lead that is deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import BigIntegerField, Exists, OuterRef, QuerySet
from django.db.models.expressions import RawSQL
from psycopg.errors import LockNotAvailable

from accounts.models import User
from leads.models import DuplicatePair, Lead, UncomparedLead

CHUNK = 2_000  # leads compared in one transaction
# a number or a name at a place that more leads share is a switchboard or a building, and says nothing
_COMMON = 50


@dataclass(frozen=True)
class _Key:
    """What leads can share: SQL for a lead ``{l}``, as the index of the key has it."""

    reason: str
    values: tuple[str, ...]
    present: str
    at_most: int | None = None

    def same(self, lead: str, group: str) -> str:
        """Whether ``lead`` has the key of ``group``."""
        terms = [f"{value.format(l=lead)} = {group}.k{number}" for number, value in enumerate(self.values)]
        return " AND ".join([f"{lead}.workspace_id = {group}.workspace_id", self.present.format(l=lead), *terms])

    def named(self, lead: str) -> str:
        values = [f"{value.format(l=lead)} AS k{number}" for number, value in enumerate(self.values)]
        return ", ".join([f"{lead}.workspace_id", *values])


_KEYS = (
    _Key("email", ("lower({l}.email)",), "{l}.email <> ''"),
    _Key("phone", ("{l}.phone_normalized",), "{l}.phone_normalized <> ''", at_most=_COMMON),
    # one provider has many locations, so the number alone is not enough
    _Key("npi", ("{l}.npi", "leads_address_key({l}.address)"), "{l}.npi <> ''"),
    _Key(
        "company",
        ("lower({l}.company)", "left({l}.zip_code, 5)"),
        "{l}.company <> '' AND {l}.zip_code <> ''",
        at_most=_COMMON,
    ),
)
REASONS = tuple(key.reason for key in _KEYS)


# Comparing ----------------------------------------------------------------------------------------------------------------


def uncompared(workspace_id: int) -> int:
    """How many leads of a workspace are still to be compared."""
    return UncomparedLead.objects.for_workspace(workspace_id).count()


def waiting_workspaces() -> list[int]:
    """The workspaces that have leads to compare."""
    return list(UncomparedLead.objects.order_by("workspace").values_list("workspace_id", flat=True).distinct())


def compare_all(workspace_id: int) -> int:
    """Compare what waits now, in chunks; returns how many leads that were. What others are writing to stays for the next time."""
    chunks = -(-uncompared(workspace_id) // CHUNK) + 1
    return sum(compare(workspace_id) for _chunk in range(chunks))


def compare(workspace_id: int, limit: int = CHUNK) -> int:
    """Find the duplicates of up to ``limit`` leads of the queue; returns how many were compared.

    Whoever writes leads goes first: comparing gives way before PostgreSQL would see a deadlock, and changes nothing then.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '700ms'")  # deadlock_timeout is a second
            lock(workspace_id)
            ids = _take(workspace_id, limit)
            if ids:
                _pair(workspace_id, ids)
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        return 0
    return len(ids)


def lock(workspace_id: int) -> None:
    """Keep other comparisons and merges of a workspace waiting until the transaction ends: both write pairs of many leads."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('leads.duplicates:' || %s, 0))", [workspace_id])


def queue(workspace_id: int, lead_ids: Sequence[int]) -> None:
    """Have leads compared anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_uncomparedlead (workspace_id, lead_id)
            SELECT workspace_id, id FROM leads_lead WHERE id = ANY(%s) AND workspace_id = %s ORDER BY id
            ON CONFLICT DO NOTHING
            """,
            [list(lead_ids), workspace_id],
        )


def _take(workspace_id: int, limit: int) -> list[int]:
    """Take leads from the queue. Those that somebody is writing to stay in it: what they will be can't be seen yet."""
    given = {"workspace": workspace_id, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM leads_uncomparedlead WHERE id IN (
                SELECT id FROM leads_uncomparedlead WHERE workspace_id = %(workspace)s ORDER BY lead_id LIMIT %(limit)s
            ) AND NOT EXISTS (SELECT FROM leads_lead WHERE id = lead_id)
            """,
            given,
        )
        cursor.execute(
            """
            WITH taken AS (
                SELECT u.id, u.lead_id FROM leads_uncomparedlead AS u JOIN leads_lead AS l ON l.id = u.lead_id
                WHERE u.workspace_id = %(workspace)s ORDER BY u.lead_id LIMIT %(limit)s
                FOR UPDATE OF u SKIP LOCKED FOR SHARE OF l SKIP LOCKED
            )
            DELETE FROM leads_uncomparedlead AS u USING taken WHERE u.id = taken.id RETURNING u.lead_id
            """,
            given,
        )
        return [lead_id for (lead_id,) in cursor.fetchall()]


def _groups(key: _Key) -> str:
    """The leads that share a key with one that was taken: how many, and the oldest of them."""
    # LATERAL is one look into the key's index for each. The workspace is that of the group and no constant: of a new one, which its
    # statistics do not know, the planner would take all leads for fewer than those of a key, and walk them for each
    return f"""
        SELECT g.*, found.* FROM (SELECT DISTINCT {key.named("t")} FROM taken AS t WHERE {key.present.format(l="t")}) AS g
        CROSS JOIN LATERAL (
            SELECT min(m.id) AS oldest, count(*) AS size FROM leads_lead AS m
            WHERE {key.same("m", "g")}
        ) AS found
        WHERE found.size > 1
    """


def _star(key: _Key) -> str:
    """The pairs that a key makes: of the leads taken with the oldest, and of an oldest that was taken with all others."""
    evident = f"g.size <= {key.at_most}" if key.at_most else "true"
    return f"""
        SELECT g.oldest AS first, t.id AS second, '{key.reason}' AS reason
        FROM {key.reason}_groups AS g JOIN taken AS t ON {key.same("t", "g")} WHERE t.id <> g.oldest AND {evident}
        UNION ALL
        SELECT g.oldest, m.id, '{key.reason}'
        FROM {key.reason}_groups AS g CROSS JOIN LATERAL (
            SELECT m.id FROM leads_lead AS m WHERE {key.same("m", "g")} OFFSET 0
        ) AS m
        WHERE g.oldest = ANY(%(ids)s) AND m.id <> g.oldest AND {evident}
    """


def _grown_common(key: _Key) -> str:
    """The middle of a star whose key has become too common."""
    return f"""
        SELECT g.oldest FROM {key.reason}_groups AS g WHERE g.size > {key.at_most} AND EXISTS (
            SELECT FROM leads_duplicatepair AS p WHERE p.first_id = g.oldest AND '{key.reason}' = ANY(p.reasons) AND p.state = 'open'
        )
    """


_PAIR = f"""
    WITH taken AS MATERIALIZED (
        SELECT id, workspace_id, email, phone_normalized, npi, address, company, zip_code
        FROM leads_lead WHERE id = ANY(%(ids)s)
    ), {", ".join(f"{key.reason}_groups AS MATERIALIZED ({_groups(key)})" for key in _KEYS)}, wanted AS MATERIALIZED (
        SELECT first, second, array_agg(DISTINCT reason ORDER BY reason) AS reasons
        FROM ({" UNION ALL ".join(_star(key) for key in _KEYS)}) AS found GROUP BY 1, 2
    ), known AS MATERIALIZED (
        SELECT * FROM leads_duplicatepair WHERE first_id = ANY(%(ids)s) OR second_id = ANY(%(ids)s)
    ), compared AS MATERIALIZED (
        SELECT known.id, state, coalesce(first, first_id) AS first, coalesce(second, second_id) AS second,
            coalesce(known.reasons, '{{}}') AS before, coalesce(wanted.reasons, '{{}}') AS after
        FROM known FULL JOIN wanted ON first = first_id AND second = second_id
    ), removed AS (
        DELETE FROM leads_duplicatepair AS p USING compared AS c WHERE p.id = c.id AND c.after = '{{}}' AND p.state = 'open'
    ), written AS (
        INSERT INTO leads_duplicatepair (workspace_id, first_id, second_id, reasons, state)
        SELECT %(workspace)s, first, second, after, 'open' FROM compared WHERE after <> '{{}}' AND after <> before
        ORDER BY first, second
        ON CONFLICT (workspace_id, first_id, second_id) DO UPDATE SET reasons = EXCLUDED.reasons
        RETURNING first_id
    )
    SELECT array(SELECT DISTINCT first_id FROM written WHERE first_id <> ALL(%(ids)s) ORDER BY 1), array(
        SELECT lead_id FROM (
            -- whose middle is none of theirs any more
            SELECT second FROM compared WHERE first = ANY(%(ids)s) AND NOT before <@ after
            UNION
            -- who was a middle itself until now
            SELECT second FROM compared AS c WHERE first = ANY(%(ids)s) AND NOT after <@ before
                AND EXISTS (SELECT FROM leads_duplicatepair AS p WHERE p.first_id = c.second)
            UNION {" UNION ".join(_grown_common(key) for key in _KEYS if key.at_most)}
        ) AS anew (lead_id) WHERE lead_id <> ALL(%(ids)s)
    )
"""


def _pair(workspace_id: int, ids: list[int]) -> None:
    """Write the pairs of leads that are held."""
    with connection.cursor() as cursor:
        cursor.execute(_PAIR, {"workspace": workspace_id, "ids": ids})
        oldest, anew = cursor.fetchone()
        # one that is being deleted at this moment would not tell those that were just paired with it
        cursor.execute("SELECT id FROM leads_lead WHERE id = ANY(%s) FOR KEY SHARE SKIP LOCKED", [oldest])
        missed = set(oldest) - {lead_id for (lead_id,) in cursor.fetchall()}
    orphans = DuplicatePair.objects.filter(first__in=missed, second__in=ids).values_list("second_id", flat=True)
    again = {*anew, *(orphans if missed else ())}
    if again:
        queue(workspace_id, sorted(again))


# What was found -----------------------------------------------------------------------------------------------------------

_BLANK = {"ArrayField": "'{}'", "JSONField": "'{}'::jsonb"}
_COUNTED = [
    field
    for field in Lead._meta.concrete_fields
    if field.column in Lead.COLUMNS
    and field.column
    not in {"id", "status", "needs_action", "email_status", "source", "import_batch_id", "created_at", "updated_at", "version"}
]  # fmt: skip


def _completeness(lead: str) -> str:
    """SQL for how many fields of a lead say something."""
    said = [f"{lead}.{field.column}" for field in _COUNTED if field.null]
    texts = [
        f"nullif({lead}.{field.column}, {_BLANK.get(field.get_internal_type(), chr(39) * 2)})"
        for field in _COUNTED
        if not field.null
    ]
    return f"num_nonnulls({', '.join([*said, *texts])})"


SUGGESTED = f"""
    (SELECT l.id FROM leads_lead AS l WHERE l.id IN (leads_duplicatepair.first_id, leads_duplicatepair.second_id)
     ORDER BY {_completeness("l")} DESC, l.id LIMIT 1)
"""


def pairs(workspace_id: int) -> QuerySet[Any]:
    """A workspace's pairs of leads that are both there."""
    return of_present_leads(DuplicatePair.objects.for_workspace(workspace_id))


def of_present_leads(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Of these pairs those whose leads are both there; the others wait with a lead in the bin, or one that was merged."""
    first, second = (Lead.objects.filter(pk=OuterRef(name)) for name in ("first", "second"))
    return rows.filter(Exists(first), Exists(second))


def with_suggestion(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Pairs with ``suggested``: the id of the lead that should survive, the more complete one, else the older."""
    return rows.annotate(suggested=RawSQL(SUGGESTED, [], output_field=BigIntegerField()))


def dismiss(rows: QuerySet[Any], *, by: User) -> int:
    """Keep pairs from being offered again: their leads are not the same. Returns how many were open."""
    return rows.filter(state=DuplicatePair.State.OPEN).update(state=DuplicatePair.State.DISMISSED, user=by)


@transaction.atomic
def reopen(rows: QuerySet[Any]) -> int:
    """Offer dismissed pairs again, and see first whether they still hold; returns how many those are."""
    dismissed = rows.filter(state=DuplicatePair.State.DISMISSED)
    leads: dict[int, list[int]] = {}
    for workspace_id, lead_id in dismissed.values_list("workspace_id", "second_id"):
        leads.setdefault(workspace_id, []).append(lead_id)
    for workspace_id, lead_ids in leads.items():
        queue(workspace_id, lead_ids)
    return dismissed.update(state=DuplicatePair.State.OPEN, user=None)
