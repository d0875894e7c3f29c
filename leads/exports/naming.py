"""What an id names: a lead's own id first, then an external id in the workspace, then one in the catalogue.

A copy and its lead of the catalogue are one, told by the latter's id: the *root*.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from accounts.models import Workspace

CATALOGUE = "(SELECT id FROM accounts_workspace WHERE is_catalogue)"


class Named(NamedTuple):
    """An id as it was given, the root of the lead that it names, and whether the workspace has paid for that."""

    given: str
    root: int | None
    owned: bool


OWNED = """
    coalesce((
        -- no join: for a workspace that its statistics do not know yet, the planner would walk all its charges for each id
        SELECT true FROM leads_exportedlead AS charge
        WHERE charge.workspace_id = %(workspace)s AND charge.lead_id = lead.root
    ), false)
"""

_LEADS = f"""
    SELECT given.id, lead.root, {OWNED}
    FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS given (id, place)
    LEFT JOIN LATERAL (
        SELECT coalesce(catalogue_lead_id, id) AS root, 1 AS precedence FROM leads_lead
            WHERE id = CASE WHEN given.id ~ '^[0-9]{{1,18}}$' THEN given.id::bigint END AND workspace_id IN (%(workspace)s, {CATALOGUE})
        UNION ALL
        SELECT coalesce(catalogue_lead_id, id), 2 FROM leads_lead
            -- a query for a number, since the planner expects no lead of a new workspace, and would walk all it has for each id
            WHERE workspace_id = (SELECT %(workspace)s::bigint) AND external_id = given.id AND external_id <> ''
        UNION ALL
        SELECT id, 3 FROM leads_lead
            WHERE workspace_id = {CATALOGUE} AND external_id = given.id AND external_id <> ''
        ORDER BY precedence LIMIT 1
    ) AS lead ON true
    ORDER BY given.place
"""


def leads_of(ids: Sequence[str], workspace: Workspace) -> list[Named]:
    """The lead that each id names, if any, in the order given. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LEADS, {"ids": list(ids), "workspace": workspace.pk})
        return [Named(*row) for row in cursor.fetchall()]
