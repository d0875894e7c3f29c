"""Front doors: what the AI wants to write, and what people make of it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from ai.models import Proposal
from ai.proposals import deciding
from ai.serializers.proposals import (
    PROPOSAL_ROW,
    ApproveRequest,
    ProposalFilters,
    ProposalPage,
    ProposalSerializer,
    RejectRequest,
)
from leads.filters import narrow
from leads.history import Author
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound

_LISTED = [
    OpenApiParameter("status", str, enum=Proposal.Status.values),
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]


class Proposals(APIView):
    @extend_schema(parameters=_LISTED, responses=ProposalPage)
    def get(self, request: SignedInRequest) -> Response:
        """What the AI proposed in chats, newest first."""
        found = narrow(Proposal.objects.for_workspace(request.workspace), request, ProposalFilters)
        return Response(page(found, request, row=PROPOSAL_ROW, ordering=["-id"]))


class OneProposal(APIView):
    @extend_schema(responses=ProposalSerializer)
    def get(self, request: SignedInRequest, proposal_id: int) -> Response:
        """One proposal."""
        return Response(_read(request, proposal_id))


class ApproveProposal(Idempotent, APIView):
    @extend_schema(request=ApproveRequest, responses=ProposalSerializer)
    def post(self, request: SignedInRequest, proposal_id: int) -> Response:
        """Have it done, once, as proposed or with edits. Agents approve deals with leads that are assigned to them.

        409 where somebody has decided already, where it has expired, and where a lead has the e-mail address by now; then it stays open.
        """
        _read(request, proposal_id)  # before the body is looked at: what is wrong with it is nobody's business
        edits = ApproveRequest.parse(request).get("edits", {})
        deciding.approve(proposal_id, edits, **_decided_by(request))
        return Response(_read(request, proposal_id))


class RejectProposal(Idempotent, APIView):
    @extend_schema(request=RejectRequest, responses=ProposalSerializer)
    def post(self, request: SignedInRequest, proposal_id: int) -> Response:
        """Have it not done. The reason stands in `result`."""
        _read(request, proposal_id)
        reason = RejectRequest.parse(request).get("reason", "")
        deciding.reject(proposal_id, reason, **_decided_by(request))
        return Response(_read(request, proposal_id))


def _decided_by(request: SignedInRequest) -> dict[str, Any]:
    by = Author.of(request.membership, "ai")  # the history shows that it was the AI's, and who agreed
    return {"workspace": request.workspace, "user": request.user, "by": by}


def _read(request: SignedInRequest, proposal_id: int) -> Fragment:
    """The proposal as it is answered. Raises NotFound."""
    found = Proposal.objects.for_workspace(request.workspace).filter(pk=proposal_id)
    row = found.values_list(PROPOSAL_ROW, flat=True).first()
    if row is None:
        raise NotFound
    return Fragment(row)
