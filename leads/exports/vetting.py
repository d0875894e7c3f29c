"""What leads are to a workspace that wants them: to be charged, paid already, or better left alone."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from django.db import connection

from accounts.models import Workspace
from leads.exports.naming import CATALOGUE, OWNED, Named


class Verdict(StrEnum):
    """Of several that are true, the first is told: what was paid stays in reach, whatever was suppressed since."""

    OWNED = "owned"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    UNDELIVERABLE = "undeliverable"
    NEW = "new"


_VET = f"""
    SELECT lead.root, CASE
        WHEN {OWNED} THEN 'owned'
        WHEN found.email IS NULL THEN 'unknown'
        -- one index lookup for either; values with an @ are addresses, those without are domains
        WHEN found.email <> '' AND (
            SELECT true FROM leads_suppression
            WHERE workspace_id = (SELECT %(workspace)s::bigint)
                AND value = ANY (ARRAY[lower(found.email), split_part(lower(found.email), '@', -1)])
            LIMIT 1
        ) THEN 'suppressed'
        WHEN found.email_status = 'undeliverable' THEN 'undeliverable'
        ELSE 'new'
    END
    FROM unnest(%(roots)s::bigint[]) AS lead (root)
    LEFT JOIN LATERAL (
        SELECT email, email_status FROM leads_lead
        WHERE id = lead.root AND workspace_id IN (%(workspace)s, {CATALOGUE})
        LIMIT 1  -- keeps the planner from reading all leads there are in order to join them
    ) AS found ON true
"""


def vet(roots: Sequence[int], workspace: Workspace) -> Mapping[int, Verdict]:
    """The verdict on each of these roots (see `naming`). One query."""
    with connection.cursor() as cursor:
        cursor.execute(_VET, {"roots": list(roots), "workspace": workspace.pk})
        return {root: Verdict(verdict) for root, verdict in cursor.fetchall()}


def vetted(roots: Sequence[int], workspace: Workspace) -> tuple[list[Named], list[int]]:
    """The leads named by the numbers of their roots, and the roots of those that are new."""
    verdicts = vet(roots, workspace)
    named = [
        Named(str(root), None if verdicts[root] == Verdict.UNKNOWN else root, verdicts[root] == Verdict.OWNED)
        for root in roots
    ]
    return named, [root for root in roots if verdicts[root] == Verdict.NEW]
