"""Changing a deal from here: in Pipedrive first, then in the mirror, then the lead's status."""

from functools import partial
from typing import Any

from accounts.models import Workspace
from crm.errors import TokenRefused
from crm.models import Deal
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.deals import mirroring
from crm.pipedrive.limits import Lane
from crm.pipedrive.mapping.setup import Setup
from crm.pipedrive.runs import waking
from leads.errors import NotYourLead
from leads.history import Author
from leads.models import Lead
from zevix.errors import NotFound, Unreachable, ValidationFailed

_PATIENCE, _FOR_THE_LEAD = 10.0, 3.0  # seconds that somebody waits for the answer, and for who is at the lead


def find(deal_id: int, *, workspace: Workspace) -> Deal:
    """The workspace's deal of this id in Pipedrive. Raises NotFound, also for those that were deleted, and those of leads in the bin."""
    known = Deal.objects.for_workspace(workspace).of_present_leads().exclude(status=Deal.Status.DELETED)
    found: Deal | None = known.select_related("connection").filter(remote_id=deal_id).first()
    if found is None:
        raise NotFound
    return found


def change(deal: Deal, changes: dict[str, Any], *, by: Author) -> Deal:
    """Change checked fields of a deal; a stage is an id or a name. Returns the mirror as it is then.

    Raises NotFound, NotYourLead, NotConnected, ValidationFailed, Unreachable and Rejected; then nothing is changed here.
    """
    assigned = Lead.objects.filter(pk=deal.lead_id).values_list("assigned_user_id", flat=True).first()
    if not by.may_change(assigned):
        raise NotYourLead
    body = _body(deal, changes)
    account = accounts.open(deal.connection, lane=Lane.INTERACTIVE, patience=_PATIENCE)
    if not body:
        return deal
    try:
        kept = _changed(deal, body, account)
    except TokenRefused as error:
        accounts.note_trouble(deal.connection, error)
        raise
    if kept is None or kept.status == Deal.Status.DELETED:
        raise NotFound
    _follow(kept, account)
    return kept


def _changed(deal: Deal, body: dict[str, Any], account: Account) -> Deal | None:
    deal_id = deal.remote_id or 0
    pipedrive = account.pipedrive
    return mirroring.keep(
        deal_id,
        account=account,
        first=lambda: pipedrive.update_deal(deal_id, body),
        read=partial(pipedrive.deal, deal_id),
    )


def _follow(deal: Deal, account: Account) -> None:
    """The lead's status, at once where that is possible; what was done in Pipedrive is done either way."""
    try:
        mirroring.tell(deal, account=account, patience=_FOR_THE_LEAD)
    except (Unreachable, TokenRefused):
        waking.wake(deal.connection_id)


def _body(deal: Deal, changes: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        name: changes[name] for name in ("title", "currency", "status", "lost_reason") if name in changes
    }
    if "value" in changes:
        body["value"] = float(changes["value"])
    if "expected_close_date" in changes:
        date = changes["expected_close_date"]
        body["expected_close_date"] = date.isoformat() if date else None
    if "stage" in changes:
        body["stage_id"] = _stage(changes["stage"], deal)
    return body


def _stage(wanted: int | str, deal: Deal) -> int:
    """A stage by its name in the deal's pipeline, or by its id in whichever. Raises ValidationFailed."""
    setup = Setup.of(deal.connection.account)
    if isinstance(wanted, int) and any(stage.id == wanted for stage in setup.stages):
        return wanted
    try:
        return setup.stage(wanted, deal.pipeline_id or 0)
    except ValueError as error:
        raise ValidationFailed(fields={"stage": [str(error)]})
