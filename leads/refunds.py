"""Leads that were paid for and turn out dead are given back: once for ever, in every workspace that bought them lately.

Dead is what was sold: the address that the lead had at the export, where nobody knew then that it takes no mail. Which it was, the
history tells. So no change that a customer makes to a copy earns a refund, and neither does buying what is marked undeliverable.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads import history, ledger, quotas
from leads.history import SYSTEM, Author
from leads.models import EmailStatus, Lead, Usage
from leads.quotas import Standing
from zevix import events

CHUNK = 500  # addresses, or refunds, in a transaction


class Reason(models.TextChoices):
    HARD_BOUNCE = "hard bounce", _("hard bounce")
    UNDELIVERABLE = "undeliverable", _("undeliverable")


@dataclass
class Found:
    """What an address was, and what came of it: leads that have it, those of them that were not marked before, charges given back."""

    leads: int = 0
    marked: int = 0
    refunded: int = 0


@dataclass(frozen=True)
class _Dead:
    """A lead with a dead address, and the lead by which an export of it is charged."""

    id: int
    root: int
    address: str
    is_marked: bool


def report_dead(
    addresses: Iterable[str],
    *,
    reason: str = Reason.HARD_BOUNCE,
    at: datetime | None = None,
    by: User | None = None,
    dry_run: bool = False,
) -> dict[str, Found]:
    """Mark the leads with these addresses undeliverable, in the catalogue and wherever they were exported, and refund them.

    Refunded is what was exported within ``REFUND_WINDOW`` before ``at`` (the moment of the bounce; by default now), or since. Returns
    what came of each address, in small letters. It may be repeated, also after it was killed in its midst.
    """
    outcome: dict[str, Found] = {}
    since = (at or timezone.now()) - settings.REFUND_WINDOW
    author = Author("human", by.pk) if by else SYSTEM
    for chunk in _chunks(list(dict.fromkeys(address.strip().lower() for address in addresses))):
        outcome |= {address: Found() for address in chunk}
        dead = _with_address(chunk)
        for lead in dead:
            found = outcome.setdefault(lead.address, Found())
            found.leads += 1
            found.marked += not lead.is_marked
        if not dry_run:
            _mark([lead.id for lead in dead], chunk, author)
        for workspace in _buyers({lead.root for lead in dead}):
            due = _due(workspace.pk, since, _AMONG, [lead.id for lead in dead])
            done = due.keys() if dry_run else _refund(list(due), workspace, reason=reason, by=by)
            for charge in done:
                outcome[due[charge]].refunded += 1
    return outcome


def refund_due() -> int:
    """Refund whatever was sold within ``REFUND_WINDOW`` and is undeliverable by now, whoever found that out; returns how many.

    Run hourly, so that what verifies an address need know nothing of refunds.
    """
    since = timezone.now() - settings.REFUND_WINDOW
    exporting = Usage.objects.filter(month__gte=f"{since:%Y-%m}").order_by().values("workspace")
    return sum(
        len(_refund(list(_due(workspace.pk, since, _KNOWN)), workspace, reason=Reason.UNDELIVERABLE))
        for workspace in Workspace.objects.tenants().filter(pk__in=exporting).order_by("pk")
    )


def addresses_sold(charges: Any) -> list[str]:
    """The addresses that leads had when they were exported; ``charges`` are some of `ExportedLead`."""
    ids = list(charges.order_by().values_list("pk", flat=True))
    return [address for (address,) in _rows(_ADDRESSES_SOLD, {"charges": ids})]


# Marking ------------------------------------------------------------------------------------------------------------------

_ADDRESSES = "(SELECT array_agg(lower(a)) FROM unnest(%(addresses)s::text[]) AS a)"

# workspace by workspace, as the index has it
_WITH_ADDRESS = f"""
    SELECT found.id, found.root, found.address, found.is_marked FROM accounts_workspace AS w CROSS JOIN LATERAL (
        SELECT id, coalesce(catalogue_lead_id, id) AS root, lower(email) AS address, email_status = 'undeliverable' AS is_marked
        FROM leads_lead AS l WHERE l.workspace_id = w.id AND l.email <> '' AND lower(l.email) = ANY({_ADDRESSES}::text[])
        OFFSET 0
    ) AS found
    WHERE w.is_catalogue OR EXISTS (
        SELECT FROM leads_exportedlead AS c WHERE c.workspace_id = w.id AND c.lead_id = found.root
    )
"""


def _with_address(addresses: Sequence[str]) -> list[_Dead]:
    return [_Dead(*row) for row in _rows(_WITH_ADDRESS, {"addresses": list(addresses)})]


@transaction.atomic
def _mark(lead_ids: list[int], addresses: Sequence[str], author: Author) -> None:
    """Write down that these leads take no mail, as far as their address is still the same."""
    held = Lead.objects.filter(pk__in=lead_ids).order_by("pk").select_for_update().exclude(email_status="undeliverable")
    dead = {row[0]: row[1] for row in held.values_list("pk", "workspace", "email") if row[2].lower() in addresses}
    with history.written_by(author, "bounce"):
        Lead.objects.filter(pk__in=dead).update(email_status=EmailStatus.UNDELIVERABLE)
    for workspace_id, count in sorted(Counter(dead.values()).items()):
        events.record(workspace_id, "lead.updated", {"count": count, "fields": ["email_status"]})


# What is due --------------------------------------------------------------------------------------------------------------

# what a charged lead was at the export: its first version since, or as it is
_SOLD = """
    CROSS JOIN LATERAL (
        SELECT lower(email) AS address, email_status FROM (
            (SELECT 0 AS place, email, email_status FROM leads_leadversion AS v
             WHERE v.pgh_obj_id = c.lead_id AND v.pgh_created_at >= e.created_at ORDER BY v.pgh_id LIMIT 1)
            UNION ALL SELECT 1, email, email_status FROM leads_lead AS l WHERE l.id = c.lead_id
            ORDER BY place LIMIT 1
        ) AS stood
    ) AS sold
"""
_ADDRESSES_SOLD = f"""
    SELECT DISTINCT sold.address FROM leads_exportedlead AS c JOIN leads_export AS e ON e.id = c.export_id {_SOLD}
    WHERE c.id = ANY(%(charges)s) AND sold.address <> ''
"""

# A number given by a query: for a workspace that its statistics do not know yet, the planner would walk all its charges for each lead.
_DUE = f"""
    WITH dead AS MATERIALIZED (
        SELECT coalesce(catalogue_lead_id, id) AS root, lower(email) AS address FROM leads_lead
        WHERE workspace_id IN ((SELECT %(workspace)s::bigint), (SELECT id FROM accounts_workspace WHERE is_catalogue))
            AND email <> '' AND {{which}}
    )
    SELECT DISTINCT c.id, dead.address
    FROM dead JOIN leads_exportedlead AS c ON c.workspace_id = (SELECT %(workspace)s::bigint) AND c.lead_id = dead.root
    JOIN leads_export AS e ON e.id = c.export_id
    {_SOLD}
    WHERE e.created_at > %(since)s AND sold.address = dead.address AND sold.email_status <> 'undeliverable'
        AND NOT EXISTS (SELECT FROM leads_usageentry AS r WHERE r.refunded_id = c.id)
        -- a charge that came to its lead by a merge was for another address
        AND NOT EXISTS (
            SELECT FROM leads_merge AS m JOIN leads_mergedlead AS gone ON gone.merge_id = m.id
            WHERE m.workspace_id = c.workspace_id AND m.survivor_id = c.lead_id AND m.undone_at IS NULL
                AND gone.carried -> 'leads_exportedlead' @> to_jsonb(c.id)
        )
    ORDER BY c.id
"""
_AMONG = "id = ANY(%(leads)s)"
_KNOWN = "email_status = 'undeliverable'"


def _due(workspace_id: int, since: datetime, which: str, lead_ids: Sequence[int] = ()) -> dict[int, str]:
    """The charges that a workspace is owed for dead leads, each with its address."""
    parameters = {"workspace": workspace_id, "since": since, "leads": list(lead_ids)}
    return dict(_rows(_DUE.format(which=which), parameters))


_BUYERS = """
    SELECT w.id FROM accounts_workspace AS w CROSS JOIN LATERAL (
        SELECT FROM leads_exportedlead AS c WHERE c.workspace_id = w.id AND c.lead_id = ANY(%(leads)s) LIMIT 1
    ) AS bought
"""


def _buyers(lead_ids: Iterable[int]) -> Iterator[Workspace]:
    """The workspaces that have bought some of these."""
    ids = [workspace_id for (workspace_id,) in _rows(_BUYERS, {"leads": list(lead_ids)})]
    yield from Workspace.objects.tenants().filter(pk__in=ids).order_by("pk")


# Giving back --------------------------------------------------------------------------------------------------------------

# Of this month's charges as many go back to credit as came from it. Where the operator has adjusted the month below what is
# given back, the rest is credit too.
_GIVE_BACK = """
    WITH due AS (
        SELECT c.id, c.export_id, e.month = %(month)s AS is_of_this_month,
            row_number() OVER (PARTITION BY e.month = %(month)s ORDER BY c.id) AS place
        FROM leads_exportedlead AS c JOIN leads_export AS e ON e.id = c.export_id
        WHERE c.id = ANY(%(charges)s) AND NOT EXISTS (SELECT FROM leads_usageentry AS r WHERE r.refunded_id = c.id)
    ), shared AS (
        SELECT *, (is_of_this_month AND place <= %(used)s)::int AS leads FROM due
    )
    INSERT INTO leads_usageentry (workspace_id, month, kind, leads, credits, reason, export_id, refunded_id, user_id)
    SELECT %(workspace)s, %(month)s, 'refund', -leads, (leads = 0 OR place <= %(from_credit)s)::int,
        %(reason)s, export_id, id, %(user)s
    FROM shared ORDER BY id
    -- at the turn of the month two may be at it, each with another month's lock
    ON CONFLICT (refunded_id) WHERE refunded_id IS NOT NULL DO NOTHING
    RETURNING refunded_id, leads, credits
"""


def _refund(charges: list[int], workspace: Workspace, *, reason: str, by: User | None = None) -> list[int]:
    """Give charges back that were not given back before; returns which."""
    done = [_give_back(chunk, workspace, reason, by) for chunk in _chunks(charges)]
    return [charge for chunk in done for charge in chunk]


@transaction.atomic
def _give_back(charges: list[int], workspace: Workspace, reason: str, by: User | None) -> list[int]:
    standing = quotas.lock_month(workspace)
    parameters = {
        "workspace": workspace.pk,
        "month": standing.month,
        "used": standing.used,
        "from_credit": standing.from_credit,
        "charges": charges,
        "reason": str(reason),
        "user": by and by.pk,
    }
    entered = _rows(_GIVE_BACK, parameters)
    if entered:
        ledger.tell(_after(standing, entered), workspace.pk, refunded=len(entered))
    return [charge for charge, _leads, _credits in entered]


def _after(standing: Standing, entered: list[tuple[int, int, int]]) -> Standing:
    return replace(
        standing,
        used=standing.used + sum(leads for _charge, leads, _credits in entered),
        from_credit=standing.from_credit - sum(credits for _charge, leads, credits in entered if leads),
        credit=standing.credit + sum(credits for _charge, _leads, credits in entered),
    )


def _rows(statement: str, parameters: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
