"""Front doors: leads and the catalogue."""

from functools import partial
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads import catalogue, editing
from leads.filters import NEWEST_FIRST, ORDERINGS, CatalogueFilters, LeadFilters, narrow, ordering
from leads.history import Author
from leads.models import LEAD_ROW, Lead
from leads.serializers import (
    AddedLead,
    CataloguePage,
    LeadPage,
    LeadSerializer,
    ListedLeads,
    NewLeadRequest,
    RecentLeads,
)
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page

_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
    OpenApiParameter("ordering", str, enum=[sign + name for name in ORDERINGS for sign in ("", "-")]),
]
_FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=str(declared.extra.get("help_text") or ""))
    for name, declared in LeadFilters.base_filters.items()
]


class Leads(Idempotent, APIView):
    @extend_schema(parameters=_FILTERS + _PAGING, responses=LeadPage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's leads, newest first."""
        found = narrow(Lead.objects.for_workspace(request.workspace), request)
        return Response(page(found, request, row=LEAD_ROW, ordering=ordering(request)))

    @extend_schema(request=NewLeadRequest, responses={201: LeadSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Add a lead."""
        return Response(_added(request), status=status.HTTP_201_CREATED)


class Catalogue(APIView):
    @extend_schema(parameters=_FILTERS + _PAGING, responses=CataloguePage)
    def get(self, request: SignedInRequest) -> Response:
        """The operator's stock: masked, until a lead is exported."""
        found = narrow(Lead.objects.in_catalogue(), request, CatalogueFilters)
        masked = partial(catalogue.as_seen_by, request.workspace)
        return Response(page(found, request, row=LEAD_ROW, ordering=ordering(request), show=masked))


class ListLeads(APIView):
    @extend_schema(parameters=_PAGING[:2], responses=ListedLeads)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's leads with their number, for older pages."""
        found = Lead.objects.for_workspace(request.workspace)
        answer = page(found, request, row=LEAD_ROW, ordering=NEWEST_FIRST)
        return Response({"success": True, "leads": answer["results"], "total": found.count(), "next": answer["next"]})


class AddLead(Idempotent, APIView):
    @extend_schema(request=NewLeadRequest, responses={201: AddedLead})
    def post(self, request: SignedInRequest) -> Response:
        """Add a lead, for older pages."""
        return Response({"success": True, "lead": _added(request)}, status=status.HTTP_201_CREATED)


class RecentlyAdded(APIView):
    permission_classes: Any = [AllowAny]

    @extend_schema(responses=RecentLeads)
    def get(self, request: SignedInRequest) -> Response:
        """The newest 20 leads; none without a token."""
        if not request.auth:
            return Response({"success": True, "leads": []})
        newest = Lead.objects.for_workspace(request.workspace).flat().order_by("-workspace_id", "-id")[:20]
        return Response({"success": True, "leads": [Fragment(lead) for lead in newest]})


def _added(request: SignedInRequest) -> Fragment:
    lead_id = editing.create(
        NewLeadRequest.parse(request), workspace=request.workspace, by=Author.of(request.membership)
    )
    return Fragment(Lead.objects.filter(pk=lead_id).flat()[0])
