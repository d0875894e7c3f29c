"""Entries of the ledger that are no exports: packs that were bought, what the operator adjusts, and how all of them are read.

Whoever enters something holds the month first (`quotas.lock_month`), so that the sums stand still between looking and writing.
"""

from dataclasses import replace
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _
from orjson import Fragment

from accounts.models import User, Workspace
from billing.models import TopUp
from leads import quotas
from leads.errors import AdjustsTooFar, CatalogueHasNoQuota
from leads.models import UsageEntry
from leads.quotas import Standing
from zevix import events
from zevix.errors import ValidationFailed

LARGEST = 1_000_000_000
SHOWN_MONTHS = 24


@transaction.atomic
def credit_top_up(top_up_id: int) -> bool:
    """Enter a pack that was paid for as credit, once for ever; returns whether this was the time."""
    top_up = TopUp.objects.select_related("workspace").filter(pk=top_up_id).first()
    if top_up is None:  # the workspace is gone
        return False
    standing = quotas.lock_month(top_up.workspace)
    if UsageEntry.objects.filter(top_up=top_up).exists():
        return False
    UsageEntry.objects.create(
        workspace=top_up.workspace, month=standing.month, kind=UsageEntry.Kind.TOP_UP, credits=top_up.leads, top_up=top_up
    )  # fmt: skip
    tell(replace(standing, credit=standing.credit + top_up.leads), top_up.workspace_id, topped_up=top_up.leads)
    return True


@transaction.atomic
def adjust(workspace: Workspace, *, leads: int = 0, credits: int = 0, reason: str, by: User) -> UsageEntry:
    """Add to what was used this month (``leads``), or to the credit (``credits``), or take from it; the operator's hand.

    Raises ValidationFailed for both or neither and without a reason, CatalogueHasNoQuota, AdjustsTooFar for sums that there can't be.
    """
    _refuse_nonsense(leads, credits, reason)
    if workspace.is_catalogue:
        raise CatalogueHasNoQuota
    standing = quotas.lock_month(workspace)
    after = replace(standing, used=standing.used + leads, credit=standing.credit + credits)
    _refuse_too_far(after)
    entry: UsageEntry = UsageEntry.objects.create(
        workspace=workspace, month=standing.month, kind=UsageEntry.Kind.ADJUSTMENT, leads=leads, credits=credits,
        reason=reason.strip(), user=by,
    )  # fmt: skip
    tell(after, workspace.pk, adjusted=leads or credits)
    return entry


def entries(workspace: Workspace) -> Any:
    """The workspace's ledger."""
    return UsageEntry.objects.for_workspace(workspace)


_SUMS = {
    "exports": "count(*) FILTER (WHERE kind = 'charge')",
    "charged": "sum(leads) FILTER (WHERE kind = 'charge')",
    "refunded": "-sum(leads) FILTER (WHERE kind = 'refund')",
    "refunded_to_credit": "sum(credits) FILTER (WHERE kind = 'refund')",
    "adjusted": "sum(leads) FILTER (WHERE kind = 'adjustment')",
    "credit_adjusted": "sum(credits) FILTER (WHERE kind = 'adjustment')",
    "topped_up": "sum(credits) FILTER (WHERE kind = 'topup')",
}
_MONTHS = f"""
    SELECT row_to_json(r)::text FROM (
        SELECT month, coalesce(used, 0) AS used, coalesce(from_credit, 0) AS from_credit,
            {", ".join(f"coalesce({name}, 0) AS {name}" for name in _SUMS)}
        FROM (
            SELECT month FROM leads_usage WHERE workspace_id = %(workspace)s
            UNION SELECT %(month)s ORDER BY month DESC LIMIT %(limit)s
        ) AS m
        LEFT JOIN (SELECT month, used, from_credit FROM leads_usage WHERE workspace_id = %(workspace)s) AS u USING (month)
        LEFT JOIN (
            SELECT month, {", ".join(f"{value} AS {name}" for name, value in _SUMS.items())}
            FROM leads_usageentry WHERE workspace_id = %(workspace)s GROUP BY month
        ) AS sums USING (month)
        ORDER BY month DESC
    ) AS r
"""


def months(workspace: Workspace, month: str) -> list[Fragment]:
    """Each month up to ``month``, the newest first, at most 24, with the sums of its entries by kind. One query.

    ``used`` = ``charged`` - ``refunded`` + ``adjusted``; the other sums are credit.
    """
    parameters: dict[str, Any] = {"workspace": workspace.pk, "month": month, "limit": SHOWN_MONTHS}
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS, parameters)
        return [Fragment(text) for (text,) in cursor.fetchall()]


def tell(standing: Standing, workspace_id: int, **counts: int) -> None:
    """Record the figures as they stand now, and by what they changed."""
    events.record(workspace_id, "usage.changed", {**standing.figures(), **counts})


def _refuse_nonsense(leads: int, credits: int, reason: str) -> None:
    problems: dict[str, list[Any]] = {}
    if bool(leads) == bool(credits):
        problems["leads"] = [_("Give either leads or credit, and not 0.")]
    if max(abs(leads), abs(credits)) > LARGEST:
        problems["leads"] = [_("At most {limit}.").format(limit=LARGEST)]
    if not reason.strip() or "\x00" in reason:
        problems["reason"] = [_("Say why.")]
    if problems:
        raise ValidationFailed(fields=problems)


def _refuse_too_far(after: Standing) -> None:
    if after.used < after.from_credit:
        raise AdjustsTooFar(
            _("Of this month's leads {from_credit} came from credit: no fewer can be used."),
            from_credit=after.from_credit,
        )
    if after.credit < 0:
        raise AdjustsTooFar(_("There is not so much credit: {missing} too few."), missing=-after.credit)
    if max(after.used, after.credit) > LARGEST:
        raise AdjustsTooFar(_("At most {limit}.").format(limit=LARGEST))
