"""Exporting the leads that are named.

One short transaction. The row of the month's usage is its lock: exports of a workspace go one after the other. Besides, the
database refuses a second charge for a lead, and a usage above the limit. The cost follows the batch, never what was exported before.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import IntegrityError, transaction

from accounts.models import User, Workspace
from leads import alerts, quotas
from leads.distribution import distributing
from leads.errors import AllOwned, LeadsNotFound, QuotaExhausted
from leads.exports import naming
from leads.exports.charging import charge
from leads.exports.naming import Named
from leads.exports.receipts import Lists, Receipt
from leads.quotas import Standing
from zevix import events

Answer = TypeVar("Answer")


def export(ids: Sequence[str], *, by: User, workspace: Workspace) -> Receipt:
    """Charge and hand over the leads that this workspace does not own yet, in the order given, as far as the quota goes.

    ``ids`` are distinct texts, each a lead's ``id`` or ``external_id``. Leads of the catalogue are copied into the workspace.
    Raises QuotaExhausted when none of the new ones fits, AllOwned when none is new, LeadsNotFound when none is known; then
    nothing is charged.
    """
    return undisturbed(lambda: _export(ids, by=by, workspace=workspace))


def undisturbed(act: Callable[[], Answer]) -> Answer:
    """What ``act`` returns, a transaction that charges; tried anew where somebody gave a lead a copy's external id at this very moment."""
    for _attempt in range(2):
        try:
            return act()
        except IntegrityError as error:
            if "leads_external_id_names_one_lead" not in str(error):
                raise
    return act()


@transaction.atomic
def _export(ids: Sequence[str], *, by: User, workspace: Workspace) -> Receipt:
    standing = quotas.lock_month(workspace)
    named = naming.leads_of(ids, workspace)
    wanted = list(dict.fromkeys(root for _given, root, owned in named if root is not None and not owned))
    refused = standing.figures() | Lists.of(named, ()).as_json()
    if not wanted:
        raise (AllOwned if refused["duplicate_ids"] else LeadsNotFound)(**refused)
    if not standing.remaining:
        raise QuotaExhausted(**refused)

    return hand_over(named, wanted[: standing.remaining], standing, by=by, workspace=workspace)


def hand_over(
    named: Sequence[Named], new: Sequence[int], standing: Standing, *, by: User, workspace: Workspace
) -> Receipt:
    """Charge the leads ``new``, write a receipt, and tell of it; inside a transaction that holds the month's lock."""
    receipt = charge(named, new, standing, user_id=by.pk, workspace=workspace)
    figures = receipt.standing.figures()
    exported = {"export_id": receipt.export_id, "count": len(receipt.new_ids), **figures}
    events.record_all(workspace.pk, [("export.created", exported), ("usage.changed", figures)])
    alerts.note(receipt.standing, workspace_id=workspace.pk)
    distributing.many_arrived({"export": receipt.export_id}, workspace_id=workspace.pk, user_id=by.pk)
    return receipt
