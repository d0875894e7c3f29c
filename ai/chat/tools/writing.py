"""Writing by way of a tool: at once for a member whose chat has read no words of strangers, else when a person has agreed."""

from collections.abc import Mapping
from typing import Any

from ai.chat.runs import Run
from ai.chat.tools.offering import Told
from ai.errors import TooManyProposals
from ai.proposals import kinds, proposing
from leads.history import Author

_IN_ONE_TURN = 3


def write(kind: str, payload: Mapping[str, Any], run: Run, *, reason: str | None, lead_id: int | None = None) -> Told:
    """Do it, or propose it. Raises ValidationFailed, NotFound, NotYourLead, LeadKnown, TooManyProposals."""
    if run.member is None or run.reads_untrusted:
        return _propose(kind, payload, run, reason=reason or "", lead_id=lead_id)
    by = Author.of(run.member, "ai")
    kept = kinds.checked(kind, payload)
    _lead_id, done = kinds.perform(kind, kept, lead_id=lead_id, workspace=run.workspace, by=by)
    return Told({"done": True, **done})


def _propose(kind: str, payload: Mapping[str, Any], run: Run, *, reason: str, lead_id: int | None) -> Told:
    if sum("proposal_id" in one["result"] for one in run.used) >= _IN_ONE_TURN:
        raise TooManyProposals("At most {limit} things are proposed in one turn.", limit=_IN_ONE_TURN)
    proposal = proposing.propose(kind, payload, session=run.session, reason=reason, lead_id=lead_id)
    said = "Nothing is written yet: a person of the team will look at it and decide."
    return Told({"done": False, "proposal_id": proposal.pk, "note": said})
