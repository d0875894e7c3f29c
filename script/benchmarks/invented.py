"""Invented leads by the hundred thousand: made by PostgreSQL, the same ones every time, no two of a workspace alike."""

from typing import TYPE_CHECKING

from django.db import connection

from leads import quotas

if TYPE_CHECKING:
    from accounts.models import Membership

_FIRST = ["Anna", "James", "Maria", "Robert", "Linda", "Omar", "Grace", "Henry", "Wei", "Sofia", "Noah"]
_LAST = [
    "Smith",
    "Garcia",
    "Chen",
    "Miller",
    "Okafor",
    "Novak",
    "Jones",
    "Khan",
    "Larsen",
    "Weber",
    "Diaz",
    "Cohen",
    "Brown",
]
_WORD = [
    "Ability", "Belleview", "Cedar Ridge", "Delta", "Evergreen", "Fairview", "Golden Gate", "Harbor", "Ivy", "Juniper",
    "Kings", "Lakeside", "Meridian", "Northstar", "Oakwood", "Pioneer", "Quail Run", "Riverside", "Summit",
]  # fmt: skip
_KIND = [
    "Dental Associates",
    "Family Medicine",
    "Pediatrics",
    "Physical Therapy",
    "Eye Care",
    "Radiology",
    "Cardiology",
]
_STREET = ["Main St", "Oak Ave", "Elm Blvd, Suite 200", "River Rd", "Hospital Dr", "E 5th St", "Commerce Way"]
_PLACE = [
    "Chicago|IL|60611", "Topeka|KS|66604", "Gold River|CA|95670", "Denver|CO|80202", "Austin|TX|78701", "Miami|FL|33101",
    "Boise|ID|83702", "Akron|OH|44301", "Salem|OR|97301", "Provo|UT|84601", "Mobile|AL|36602", "Fargo|ND|58102",
    "Albany|NY|12207", "Tampa|FL|33602", "Dallas|TX|75201", "Fresno|CA|93701", "Tulsa|OK|74103",
]  # fmt: skip
_STATUS = ["NEW", "NEW", "CONTACTED", "QUALIFIED", "PROPOSAL", "WON", "LOST"]
_CHANNEL = ["web", "referral", "fair", ""]


def _one_of(words: list[str], step: int = 1) -> str:
    """SQL that picks a word by the lead's number ``n``."""
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{quoted}])[1 + n * {step} % {len(words)}]"


_LEADS = f"""
    INSERT INTO leads_lead (
        workspace_id, external_id, name, email, phone, phone_normalized, company, website, channel, address, city, state,
        zip_code, country, npi, entity_type, providers, specialties, status, score, needs_action, last_contact, notes, tags,
        extra, source, created_at, updated_at
    )
    SELECT
        {{workspace}}, 'B' || lpad(n::text, 8, '0'), first || ' ' || last,
        lower(first || '.' || last) || n || '@' || host, format('(%s) %s-%s', area, exchange, line),
        '+1' || area || exchange || line, word || ' ' || kind, 'https://' || host, {_one_of(_CHANNEL)},
        (1 + n * 31 % 9900) || ' ' || {_one_of(_STREET, 11)}, city, state, zip || '-' || lpad((n % 9999)::text, 4, '0'), 'US',
        (1000000000 + n)::text, 'Organization', ARRAY['Dr. ' || last, 'Dr. ' || first], ARRAY[kind], {_one_of(_STATUS)},
        nullif(n * 17 % 101, 0), n % 3 = 0, CASE WHEN n % 3 > 0 THEN now() - make_interval(days => n % 400) END,
        CASE WHEN n % 5 = 0 THEN format('Asked for an offer for %s in %s, call back about the %s.', kind, city, word) ELSE '' END,
        CASE WHEN n % 4 = 0 THEN ARRAY['priority', 'q' || (1 + n % 4)] ELSE '{{{{}}}}' END,
        jsonb_build_object('beds', n % 90, 'region', n % 12), 'import', moment, moment
    FROM generate_series(1, {{count}}) AS n, LATERAL (
        SELECT {_one_of(_FIRST)} AS first, {_one_of(_LAST)} AS last, {_one_of(_KIND, 5)} AS kind,
            {_one_of(_WORD, 3)} || ' ' || n / 50 AS word, string_to_array({_one_of(_PLACE, 29)}, '|') AS place,
            200 + n % 700 AS area, 200 + n * 7 % 799 AS exchange, lpad((n * 13 % 9999)::text, 4, '0') AS line,
            now() - make_interval(secs => {{count}} - n) AS moment
    ) AS drawn, LATERAL (
        SELECT lower(replace(word, ' ', '-')) || '.example' AS host, place[1] AS city, place[2] AS state, place[3] AS zip
    ) AS derived
    ORDER BY n
"""


def make_leads(workspace_id: int, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LEADS.format(workspace=workspace_id, count=count))


def charge_for_all(member: "Membership", *, count: int, limit: int) -> None:
    """Have the member's workspace own its ``count`` leads by one export in this very month."""
    given: dict[str, int | str] = {
        "workspace": member.workspace_id,
        "user": member.user_id,
        "month": quotas.current_month(),
        "count": count,
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH receipt AS (
                INSERT INTO leads_export (workspace_id, user_id, month, new_count, duplicate_count, not_exported_count,
                                          unknown_count, used, "limit", created_at)
                VALUES (%(workspace)s, %(user)s, %(month)s, %(count)s, 0, 0, 0, %(count)s, %(limit)s, now())
                RETURNING id
            )
            INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id)
            SELECT workspace_id, leads_lead.id, receipt.id FROM leads_lead, receipt WHERE workspace_id = %(workspace)s
            """,
            given,
        )
