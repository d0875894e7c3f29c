"""Whether the ledger's books are right: each sum is that of its entries, and each charge has its entry."""

from collections.abc import Iterator

import structlog
from django.db import connection

log = structlog.get_logger("zevix.ledger")

# Each finds what is wrong, as sentences. `{of}` narrows a table to a workspace.
_CHECKS = {
    "usage": """
        SELECT format('workspace %%s, %%s: used is %%s, its entries make %%s; from credit %%s, by its entries %%s',
            workspace_id, month, used, leads, from_credit, credits)
        FROM (SELECT workspace_id, month, used, from_credit FROM leads_usage WHERE {of}) AS u
        FULL JOIN (
            SELECT workspace_id, month, sum(leads) AS leads, -coalesce(sum(credits) FILTER (WHERE leads <> 0), 0) AS credits
            FROM leads_usageentry WHERE {of} GROUP BY workspace_id, month
        ) AS entries USING (workspace_id, month)
        WHERE (coalesce(used, 0), coalesce(from_credit, 0)) <> (coalesce(leads, 0), coalesce(credits, 0))
    """,
    "credit": """
        SELECT format('workspace %%s: credit is %%s, its entries make %%s', workspace_id, balance, credits)
        FROM (SELECT workspace_id, balance FROM leads_leadcredit WHERE {of}) AS c
        FULL JOIN (
            SELECT workspace_id, sum(credits) AS credits FROM leads_usageentry WHERE {of} GROUP BY workspace_id
        ) AS entries USING (workspace_id)
        WHERE coalesce(balance, 0) <> coalesce(credits, 0)
    """,
    "exports": """
        SELECT format('workspace %%s, export %%s: it says %%s new leads, has %%s charges, and entries for %%s',
            workspace_id, id, new_count, coalesce(charges, 0), coalesce(leads, 0))
        FROM (SELECT workspace_id, id, new_count FROM leads_export WHERE {of}) AS e
        LEFT JOIN (
            SELECT workspace_id, export_id AS id, count(*) AS charges FROM leads_exportedlead WHERE {of} GROUP BY 1, 2
        ) AS c USING (workspace_id, id)
        LEFT JOIN (
            SELECT workspace_id, export_id AS id, sum(leads) AS leads FROM leads_usageentry WHERE kind = 'charge' AND {of}
            GROUP BY 1, 2
        ) AS entries USING (workspace_id, id)
        WHERE new_count <> coalesce(charges, 0) OR new_count <> coalesce(leads, 0)
    """,
    "owners": """
        SELECT format('workspace %%s, charge %%s: its export %%s is of workspace %%s', c.workspace_id, c.id, e.id, e.workspace_id)
        FROM (SELECT id, workspace_id, export_id FROM leads_exportedlead WHERE {of}) AS c
        JOIN leads_export AS e ON e.id = c.export_id
        WHERE c.workspace_id <> e.workspace_id
    """,
    "refunds": """
        SELECT format('workspace %%s, entry %%s: it refunds charge %%s, which is none of this workspace',
            r.workspace_id, r.id, r.refunded_id)
        FROM (SELECT id, workspace_id, refunded_id FROM leads_usageentry WHERE kind = 'refund' AND {of}) AS r
        LEFT JOIN leads_exportedlead AS c ON c.id = r.refunded_id AND c.workspace_id = r.workspace_id
        WHERE c.id IS NULL
    """,
    "top-ups": """
        SELECT format('workspace %%s, top-up %%s: %%s leads were paid, %%s are credited',
            workspace_id, id, t.leads, coalesce(credits, 0))
        FROM (SELECT workspace_id, id, leads, created_at FROM billing_topup WHERE {of}) AS t
        LEFT JOIN (
            SELECT workspace_id, top_up_id AS id, credits FROM leads_usageentry WHERE top_up_id IS NOT NULL AND {of}
        ) AS entries USING (workspace_id, id)
        -- the job that credits it has tried for so long
        WHERE t.leads <> coalesce(credits, CASE WHEN t.created_at > now() - interval '1 day' THEN t.leads ELSE 0 END)
    """,
}
CHECKS = tuple(_CHECKS)


def differences(check: str, workspace_id: int | None = None) -> Iterator[str]:
    """What one of `CHECKS` finds wrong in a workspace, or in all: a sentence each, in order."""
    of = "true" if workspace_id is None else "workspace_id = (SELECT %(workspace)s::bigint)"
    with connection.cursor() as cursor:
        cursor.execute(_CHECKS[check].format(of=of) + " ORDER BY 1", {"workspace": workspace_id})
        for (sentence,) in cursor.fetchall():
            yield sentence


def report() -> None:
    """Log an error where anything differs, anywhere."""
    found = [sentence for check in CHECKS for sentence in differences(check)]
    if found:
        log.error("the ledger differs", count=len(found), first=found[:20])
