"""Front doors: sending a lead with a deal, and the workspace's deals."""

from functools import partial

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from crm.errors import ForBetaUsers
from crm.models import Connection, Deal
from crm.pipedrive.deals import changing, making, wanting
from crm.pipedrive.mapping.setup import Setup
from crm.serializers.deals import (
    DEAL_ROW,
    CrmLeadRequest,
    DealPage,
    DealRequest,
    OneDealSerializer,
    QueuedLead,
    SentLead,
    shown,
)
from leads.filters import narrow
from leads.history import Author
from zevix.api.idempotency import IdempotentAbroad
from zevix.api.pages import page

_INLINE_SECONDS = 3.0
_NEWEST_FIRST = ["-id"]
_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]


class DealFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=Deal.Status.choices, help_text="Else all but those that were deleted")
    lead_id = django_filters.NumberFilter(field_name="lead", min_value=1, max_value=2**63 - 1)

    class Meta:
        model = Deal
        fields: list[str] = []


_FILTERS = [
    OpenApiParameter(
        "status", OpenApiTypes.STR, enum=Deal.Status.values, description="Else all but those that were deleted"
    ),
    OpenApiParameter("lead_id", int),
]


class CrmLead(IdempotentAbroad, APIView):
    @extend_schema(request=CrmLeadRequest, responses={201: SentLead, 202: QueuedLead})
    def post(self, request: SignedInRequest) -> Response:
        """Send a lead to Pipedrive, with a deal.

        The lead is the one of `lead_id` (an id or an external id), else the one with that e-mail address, whose blanks are filled, else
        a new one. Asked again with the same lead and title while the deal is queued or open, it is the same deal. 202: Pipedrive can't
        be reached, or took longer than three seconds; the deal arrives later, once. Agents send leads that are assigned to them, and
        new ones.
        """
        wish = CrmLeadRequest.wish(CrmLeadRequest.parse(request))
        deal = wanting.want(wish, workspace=request.workspace, by=Author.of(request.membership))
        if not making.make_now(deal, seconds=_INLINE_SECONDS):
            return Response(
                {"success": True, "status": "queued", "lead_id": deal.lead_id}, status=status.HTTP_202_ACCEPTED
            )
        ids = {"lead_id": deal.lead_id, "person_id": deal.person_id, "deal_id": deal.remote_id}
        return Response({"success": True, **ids}, status=status.HTTP_201_CREATED)


class Deals(APIView):
    @extend_schema(parameters=[*_FILTERS, *_PAGING], responses=DealPage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's deals, newest first, as they were last read; for beta users. Those of leads in the bin are not among them."""
        _for_beta_users(request)
        found = narrow(Deal.objects.for_workspace(request.workspace).of_present_leads(), request, DealFilters)
        if "status" not in request.query_params:
            found = found.exclude(status=Deal.Status.DELETED)
        rows = page(found, request, row=DEAL_ROW, ordering=_NEWEST_FIRST, show=partial(shown, setup=_setup(request)))
        return Response({"success": True, **rows})


class OneDeal(APIView):
    @extend_schema(responses=OneDealSerializer)
    def get(self, request: SignedInRequest, deal_id: int) -> Response:
        """One of the workspace's deals, by its id in Pipedrive; for beta users."""
        _for_beta_users(request)
        return _answer(changing.find(deal_id, workspace=request.workspace), request)

    @extend_schema(request=DealRequest, responses=OneDealSerializer)
    def put(self, request: SignedInRequest, deal_id: int) -> Response:
        """Change any subset of the fields: in Pipedrive, then here; the status of a lead follows the deal that leads it.

        A `stage` is an id, or the name of one in the deal's pipeline. Agents change deals of leads that are assigned to them.
        """
        deal = changing.find(
            deal_id, workspace=request.workspace
        )  # before the body is looked at: it is nobody's business
        changes = DealRequest.parse(request)
        return _answer(changing.change(deal, changes, by=Author.of(request.membership)), request)


def _for_beta_users(request: SignedInRequest) -> None:
    if not request.user.is_beta_user:
        raise ForBetaUsers


def _answer(deal: Deal, request: SignedInRequest) -> Response:
    row = Deal.objects.filter(pk=deal.pk).values_list(DEAL_ROW, flat=True)[0]
    return Response({"success": True, "deal": shown([row], _setup(request))[0]})


def _setup(request: SignedInRequest) -> Setup:
    kept = Connection.objects.for_workspace(request.workspace).values_list("account", flat=True).first()
    return Setup.of(kept or {})
