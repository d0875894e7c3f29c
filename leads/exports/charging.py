"""One statement for what an export writes: charges, copies of the catalogue's leads, the ledger's entry and the receipt."""

from collections.abc import Sequence

import orjson
from django.db import connection

from accounts.models import Workspace
from leads.exports.naming import CATALOGUE, Named
from leads.exports.receipts import Lists, Receipt
from leads.models import Lead
from leads.quotas import Standing

# the columns that a copy takes from the catalogue's lead; the rest is the workspace's own
_COPIED = [
    column
    for column in Lead.COLUMNS
    if column
    not in {
        "id",
        "external_id",
        "source",
        "created_at",
        "updated_at",
        "version",
        "assigned_user_id",
        "import_batch_id",
    }
] + ["phone_normalized"]

_CHARGE = f"""
    WITH receipt AS (
        SELECT coalesce(%(export)s, nextval(pg_get_serial_sequence('leads_export', 'id'))) AS id
    ), charged AS (
        INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id)
        SELECT %(workspace)s, lead.id, receipt.id FROM receipt, unnest(%(new)s::bigint[]) AS lead (id)
        ORDER BY lead.id
        ON CONFLICT (workspace_id, lead_id) DO NOTHING
        RETURNING lead_id
    ), copied AS (
        INSERT INTO leads_lead (workspace_id, catalogue_lead_id, source, origin, external_id, {", ".join(_COPIED)})
        SELECT %(workspace)s, lead.id, 'catalogue',
            jsonb_build_object('source', 'catalogue', 'user', %(user)s::bigint, 'act', 'export:' || (SELECT id FROM receipt)),
            CASE WHEN EXISTS (
                SELECT FROM leads_lead AS own
                WHERE own.workspace_id = (SELECT %(workspace)s::bigint) AND own.external_id = lead.external_id
                    AND own.external_id <> ''
            ) THEN '' ELSE lead.external_id END,
            {", ".join(f"lead.{column}" for column in _COPIED)}
        FROM charged JOIN leads_lead AS lead ON lead.id = charged.lead_id
        WHERE lead.workspace_id = {CATALOGUE}
        ON CONFLICT (workspace_id, catalogue_lead_id) DO NOTHING
    ), counted AS (
        SELECT count(*) AS leads FROM charged
    ), entered AS (
        INSERT INTO leads_usageentry (workspace_id, month, kind, leads, credits, ceiling, export_id, user_id)
        SELECT %(workspace)s, %(month)s, 'charge', leads, least(%(left_in_plan)s - leads, 0), %(ceiling)s, receipt.id, %(user)s
        FROM receipt, counted WHERE leads > 0
    ), written AS (
        INSERT INTO leads_export AS export (id, workspace_id, user_id, month, leads, lists, new_count, duplicate_count,
                                            not_exported_count, unknown_count, used, "limit", created_at, finished_at)
        SELECT receipt.id, %(workspace)s, %(user)s, %(month)s, %(handed_over)s::bigint[], %(lists)s::jsonb, leads,
               %(duplicates)s, %(not_exported)s, %(unknown)s, %(used)s + leads, %(limit)s, now(), now()
        FROM receipt, counted
        ON CONFLICT (id) DO UPDATE SET
            leads = export.leads || excluded.leads,
            new_count = export.new_count + excluded.new_count,
            duplicate_count = export.duplicate_count + excluded.duplicate_count,
            not_exported_count = export.not_exported_count + excluded.not_exported_count,
            unknown_count = export.unknown_count + excluded.unknown_count,
            used = excluded.used,
            "limit" = excluded."limit"
    )
    SELECT receipt.id, array(SELECT lead_id FROM charged) FROM receipt
"""

_CORRECT = """
    UPDATE leads_export
    SET lists = CASE WHEN lists IS NOT NULL THEN %(lists)s::jsonb END, duplicate_count = duplicate_count + %(late)s
    WHERE id = %(export)s
"""


def charge(
    named: Sequence[Named],
    new: Sequence[int],
    standing: Standing,
    *,
    user_id: int | None,
    workspace: Workspace,
    export_id: int | None = None,
) -> Receipt:
    """Charge the leads ``new``, and hand them and the owned ones over: with a receipt of its own, or added to that of ``export_id``.

    The month must be locked, with ``standing`` read under the lock.
    """
    lists = Lists.of(named, set(new))
    with connection.cursor() as cursor:
        cursor.execute(
            _CHARGE,
            {
                "export": export_id,
                "workspace": workspace.pk,
                "user": user_id,
                "month": standing.month,
                "limit": standing.limit,
                "left_in_plan": standing.left_in_plan,
                "ceiling": standing.ceiling,
                "used": standing.used,
                "new": list(new),
                "handed_over": _handed_over(named, set(new)),
                "lists": _as_text(lists),
                "duplicates": len(lists.duplicate_ids),
                "not_exported": len(lists.not_exported),
                "unknown": len(lists.unknown_ids),
            },
        )
        number, charged = cursor.fetchone()
    late = set(new) - set(charged)
    if late:
        lists = _correct(number, named, late, set(charged))
    return Receipt(export_id=number, standing=standing.after(len(charged)), **lists.as_json())


def _handed_over(named: Sequence[Named], new: set[int]) -> list[int]:
    return list(dict.fromkeys(root for _given, root, owned in named if root is not None and (owned or root in new)))


def _correct(export_id: int, named: Sequence[Named], late: set[int], charged: set[int]) -> Lists:
    """Leads that were charged elsewhere meanwhile, in the month that ended just now, are duplicates."""
    lists = Lists.of([name._replace(owned=name.owned or name.root in late) for name in named], charged)
    with connection.cursor() as cursor:
        cursor.execute(_CORRECT, {"export": export_id, "lists": _as_text(lists), "late": len(late)})
    return lists


def _as_text(lists: Lists) -> str:
    return orjson.dumps(lists.as_json()).decode()
