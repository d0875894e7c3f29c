"""Exporting leads: each is charged once per workspace, for ever, and never beyond the month's limit.

One short transaction. The row of the month's usage is its lock: exports of a workspace go one after the other. Besides, the
database refuses a second charge for a lead, and a usage above the limit. The cost follows the batch, never what was exported before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from leads import quotas
from leads.distribution import distributing
from leads.errors import AllOwned, LeadsNotFound, QuotaExhausted
from leads.models import Lead
from leads.quotas import Standing
from zevix import events


@dataclass(frozen=True)
class Receipt:
    """What became of each id, as it was given: every one is in exactly one of the lists."""

    export_id: int
    standing: Standing
    new_ids: list[str]
    duplicate_ids: list[str]
    not_exported: list[str]
    unknown_ids: list[str]


@dataclass
class _Sorted:
    """The given ids by what may be done with them. ``wanted`` maps the lead to charge to the ids that name it."""

    wanted: dict[int, list[str]] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def export(ids: Sequence[str], *, by: User, workspace: Workspace) -> Receipt:
    """Charge and hand over the leads that this workspace does not own yet, in the order given, as far as the quota goes.

    ``ids`` are distinct texts, each a lead's ``id`` or ``external_id``. Leads of the catalogue are copied into the workspace.
    Raises QuotaExhausted when none of the new ones fits, AllOwned when none is new, LeadsNotFound when none is known; then
    nothing is charged.
    """
    for attempt in range(3):
        try:
            return _export(ids, by=by, workspace=workspace)
        except IntegrityError as error:
            # somebody gave a lead the external id of a copy at this very moment; the next try sees it
            if attempt == 2 or "leads_external_id_names_one_lead" not in str(error):
                raise
    raise AssertionError("unreachable")


@transaction.atomic
def _export(ids: Sequence[str], *, by: User, workspace: Workspace) -> Receipt:
    standing = quotas.lock_month(workspace)
    found = _sort(ids, workspace)
    lists: dict[str, Any] = {"duplicate_ids": found.duplicates, "not_exported": [], "unknown_ids": found.unknown}
    if not found.wanted:
        refusal = AllOwned if found.duplicates else LeadsNotFound
        raise refusal(**standing.figures(), new_ids=[], **lists)
    if not standing.remaining:
        lists["not_exported"] = [given for names in found.wanted.values() for given in names]
        raise QuotaExhausted(**standing.figures(), new_ids=[], **lists)

    chosen = list(found.wanted)[: standing.remaining]
    export_id, charged = _charge(chosen, found, standing, by=by, workspace=workspace)
    receipt = _receipt(export_id, chosen, charged, found, standing.after(len(charged)), ids)
    _tell(receipt, workspace)
    distributing.many_arrived({"export": export_id}, workspace_id=workspace.pk, user_id=by.pk)
    return receipt


_CATALOGUE = "(SELECT id FROM accounts_workspace WHERE is_catalogue)"

_RESOLVE = f"""
    SELECT given.id, lead.root, coalesce((
        -- no join: for a workspace that its statistics do not know yet, the planner would walk all its charges for each id
        SELECT true FROM leads_exportedlead AS charge
        WHERE charge.workspace_id = %(workspace)s AND charge.lead_id = lead.root
    ), false)
    FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS given (id, place)
    LEFT JOIN LATERAL (
        SELECT coalesce(catalogue_lead_id, id) AS root, 1 AS precedence FROM leads_lead
            WHERE id = CASE WHEN given.id ~ '^[0-9]{{1,18}}$' THEN given.id::bigint END AND workspace_id IN (%(workspace)s, {_CATALOGUE})
        UNION ALL
        SELECT coalesce(catalogue_lead_id, id), 2 FROM leads_lead
            -- a query for a number, since the planner expects no lead of a new workspace, and would walk all it has for each id
            WHERE workspace_id = (SELECT %(workspace)s::bigint) AND external_id = given.id AND external_id <> ''
        UNION ALL
        SELECT id, 3 FROM leads_lead
            WHERE workspace_id = {_CATALOGUE} AND external_id = given.id AND external_id <> ''
        ORDER BY precedence LIMIT 1
    ) AS lead ON true
    ORDER BY given.place
"""


def _sort(ids: Sequence[str], workspace: Workspace) -> _Sorted:
    """What each id names: a lead's own id first, then an external id in the workspace, then one in the catalogue."""
    found = _Sorted()
    with connection.cursor() as cursor:
        cursor.execute(_RESOLVE, {"ids": list(ids), "workspace": workspace.pk})
        for given, root, owned in cursor.fetchall():
            if root is None:
                found.unknown.append(given)
            elif owned:
                found.duplicates.append(given)
            else:
                found.wanted.setdefault(root, []).append(given)
    return found


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
        SELECT nextval(pg_get_serial_sequence('leads_export', 'id')) AS id
    ), charged AS (
        INSERT INTO leads_exportedlead (workspace_id, lead_id, export_id)
        SELECT %(workspace)s, lead.id, receipt.id FROM receipt, unnest(%(leads)s::bigint[]) AS lead (id)
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
        WHERE lead.workspace_id = {_CATALOGUE}
        ON CONFLICT (workspace_id, catalogue_lead_id) DO NOTHING
    ), counted AS (
        SELECT count(*) AS leads FROM charged
    ), entered AS (
        INSERT INTO leads_usageentry (workspace_id, month, kind, leads, credits, ceiling, export_id, user_id)
        SELECT %(workspace)s, %(month)s, 'charge', leads, least(%(left_in_plan)s - leads, 0), %(ceiling)s, receipt.id, %(user)s
        FROM receipt, counted WHERE leads > 0
    ), written AS (
        INSERT INTO leads_export (id, workspace_id, user_id, month, new_count, duplicate_count, not_exported_count, unknown_count,
                                  used, "limit", created_at, finished_at)
        SELECT receipt.id, %(workspace)s, %(user)s, %(month)s, leads, %(duplicates)s, %(not_exported)s,
               %(unknown)s, %(used)s + leads, %(limit)s, now(), now()
        FROM receipt, counted
    )
    SELECT receipt.id, array(SELECT lead_id FROM charged) FROM receipt
"""


def _charge(
    chosen: list[int], found: _Sorted, standing: Standing, *, by: User, workspace: Workspace
) -> tuple[int, set[int]]:
    """Write charges, copies, usage and receipt in one statement; returns the receipt's id and the leads charged."""
    left = [lead for lead in found.wanted if lead not in set(chosen)]
    with connection.cursor() as cursor:
        cursor.execute(
            _CHARGE,
            {
                "workspace": workspace.pk,
                "user": by.pk,
                "month": standing.month,
                "limit": standing.limit,
                "left_in_plan": standing.left_in_plan,
                "ceiling": standing.used + standing.remaining,
                "used": standing.used,
                "leads": chosen,
                "duplicates": len(found.duplicates),
                "not_exported": sum(len(found.wanted[lead]) for lead in left),
                "unknown": len(found.unknown),
            },
        )
        export_id, charged = cursor.fetchone()
    return export_id, set(charged)


def _receipt(
    export_id: int,
    chosen: list[int],
    charged: set[int],
    found: _Sorted,
    standing: Standing,
    ids: Sequence[str],
) -> Receipt:
    """Sort the ids as given. A second id of a lead charged just now is a duplicate."""
    new: set[str] = set()
    duplicates = set(found.duplicates)
    for lead in chosen:
        first, *others = found.wanted[lead]
        # one that was chosen and not charged was charged elsewhere meanwhile, in the month that ended just now
        (new if lead in charged else duplicates).add(first)
        duplicates.update(others)
    known = new | duplicates | set(found.unknown)
    return Receipt(
        export_id=export_id,
        standing=standing,
        new_ids=[given for given in ids if given in new],
        duplicate_ids=[given for given in ids if given in duplicates],
        not_exported=[given for given in ids if given not in known],
        unknown_ids=found.unknown,
    )


def _tell(receipt: Receipt, workspace: Workspace) -> None:
    figures = receipt.standing.figures()
    exported = {"export_id": receipt.export_id, "count": len(receipt.new_ids), **figures}
    events.record_all(workspace.pk, [("export.created", exported), ("usage.changed", figures)])


def message(receipt: Receipt) -> str:
    return _("Successfully exported {count} lead(s). {remaining} leads remaining").format(
        count=len(receipt.new_ids), remaining=receipt.standing.remaining
    )
