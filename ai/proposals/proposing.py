"""Putting a proposal before people."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ai.errors import TooManyProposals
from ai.models import ChatSession, Proposal
from ai.proposals import kinds
from leads.models import Lead
from zevix.errors import NotFound

_OPEN = 10  # in one chat
_LONGEST = 500  # characters of a reason


@transaction.atomic
def propose(
    kind: str, payload: Mapping[str, Any], *, session: ChatSession, reason: str = "", lead_id: int | None = None
) -> Proposal:
    """Propose something, once: what is open already is not proposed again.

    Raises ValidationFailed, NotFound for a lead that is not theirs and for a chat that is no more, and TooManyProposals.
    """
    kept = kinds.checked(kind, payload)
    _find_lead(lead_id, session)
    if not ChatSession.objects.select_for_update().filter(pk=session.pk).exists():
        raise NotFound
    waiting = Proposal.objects.for_workspace(session.workspace_id).open().filter(session=session)
    if same := waiting.filter(kind=kind, payload=kept, lead=lead_id).first():
        found: Proposal = same
        return found
    if waiting.count() >= _OPEN:
        raise TooManyProposals(limit=_OPEN)
    made: Proposal = Proposal.objects.create(
        workspace_id=session.workspace_id,
        session=session,
        kind=kind,
        payload=kept,
        reason=reason.strip()[:_LONGEST],
        lead_id=lead_id,
        expires_at=timezone.now() + timedelta(days=settings.PROPOSAL_DAYS),
    )
    return made


def _find_lead(lead_id: int | None, session: ChatSession) -> None:
    if lead_id is not None and not Lead.objects.for_workspace(session.workspace_id).filter(pk=lead_id).exists():
        raise NotFound
