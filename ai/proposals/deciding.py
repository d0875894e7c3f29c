"""Agreeing to a proposal, or not; each is decided once."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User, Workspace
from ai.errors import ProposalDecided, ProposalExpired
from ai.models import ChatSession, Proposal
from ai.proposals import kinds
from leads.errors import NotYourLead
from leads.history import Author
from leads.models import Lead
from zevix.errors import NotFound, ValidationFailed

Status = Proposal.Status


@transaction.atomic
def approve(
    proposal_id: int, edits: Mapping[str, Any], *, workspace: Workspace | int, user: User, by: Author
) -> Proposal:
    """Do what is proposed, with what a person made of it.

    Raises NotFound, ProposalDecided, ProposalExpired, ValidationFailed for the edits, and what the act raises; then it stays open.
    """
    proposal = _lock(proposal_id, workspace)
    payload = _edited(proposal, edits)
    lead_id, result = kinds.perform(
        proposal.kind, payload, lead_id=proposal.lead_id, workspace=proposal.workspace, by=by
    )
    proposal.lead_id, proposal.result = lead_id, result
    proposal.edited = payload if payload != proposal.payload else None
    _decide(proposal, Status.APPROVED, user)
    if proposal.kind == Proposal.Kind.CREATE_LEAD:  # the team sees the visitor's chat with the lead that it became
        ChatSession.objects.filter(proposals=proposal.pk, user=None, lead=None).update(lead=lead_id)
    return proposal


@transaction.atomic
def reject(proposal_id: int, reason: str, *, workspace: Workspace | int, user: User, by: Author) -> Proposal:
    """Have it not done. Raises NotFound, ProposalDecided, ProposalExpired, and NotYourLead for a deal with somebody else's lead."""
    proposal = _lock(proposal_id, workspace)
    _refuse_others_lead(proposal, by)
    proposal.result = {"reason": reason} if reason else None
    _decide(proposal, Status.REJECTED, user)
    return proposal


def expire() -> int:
    """Mark the proposals that nobody decided on in time; returns how many."""
    late = Proposal.objects.filter(status=Status.PENDING, expires_at__lte=timezone.now())
    return int(late.update(status=Status.EXPIRED))


def _lock(proposal_id: int, workspace: Workspace | int) -> Proposal:
    """The proposal, open, and held until the transaction ends."""
    rows = Proposal.objects.for_workspace(workspace).select_related("workspace").select_for_update(of=("self",))
    found: Proposal | None = rows.filter(pk=proposal_id).first()
    if found is None:
        raise NotFound
    if found.standing == Status.EXPIRED:
        raise ProposalExpired
    if found.standing != Status.PENDING:
        raise ProposalDecided(status=found.get_status_display())
    return found


def _edited(proposal: Proposal, edits: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return kinds.checked(proposal.kind, {**proposal.payload, **edits})
    except ValidationFailed as refusal:
        problems = {f"edits.{name}": said for name, said in (refusal.fields or {}).items()}
        raise ValidationFailed(fields=problems) from None


def _decide(proposal: Proposal, status: str, user: User) -> None:
    proposal.status, proposal.decided_by, proposal.decided_at = status, user, timezone.now()
    proposal.save(update_fields=["status", "decided_by", "decided_at", "lead", "result", "edited"])


def _refuse_others_lead(proposal: Proposal, by: Author) -> None:
    """What one may not have done, one may not decide on."""
    if proposal.lead_id is None:
        return
    lead = Lead.objects.for_workspace(proposal.workspace_id).filter(pk=proposal.lead_id)
    if not by.may_change(lead.values_list("assigned_user_id", flat=True).first()):
        raise NotYourLead
