"""Front doors: leads and the catalogue."""

from functools import partial
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads import catalogue, editing, saved_views
from leads.filters import NAMES, NEWEST_FIRST, ORDERINGS, Asker, asked_in, find, order
from leads.history import Author
from leads.models import LEAD_ROW, Lead
from leads.serializers.leads import (
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
from zevix.errors import ValidationFailed

_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
    OpenApiParameter("ordering", str, enum=[sign + name for name in ORDERINGS for sign in ("", "-")]),
]
_FILTERS = [OpenApiParameter(name, OpenApiTypes.STR, description=help) for name, help in NAMES.items()]
_VIEW = OpenApiParameter("view", int, description="A saved view: its filters and its order, where the query has none")


class Leads(Idempotent, APIView):
    @extend_schema(parameters=[*_FILTERS, _VIEW, *_PAGING], responses=LeadPage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's leads, newest first.

        Custom fields are filters, too: `extra.<key>=value`, and for numbers and dates `extra.<key>.min` and `extra.<key>.max`. Given
        several times, any of the values will do. A key without a definition is compared as text.
        """
        query = request.query_params
        asked, ordering = saved_views.applied(
            query.get("view"), asked_in(query), query.get("ordering"), by=request.membership
        )
        found = find(Lead.objects.for_workspace(request.workspace), asked, _asker(request))
        return Response(page(found, request, row=LEAD_ROW, ordering=order(ordering, asked)))

    @extend_schema(request=NewLeadRequest, responses={201: LeadSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Add a lead."""
        return Response(_added(request), status=status.HTTP_201_CREATED)


class Catalogue(APIView):
    @extend_schema(parameters=_FILTERS + _PAGING, responses=CataloguePage)
    def get(self, request: SignedInRequest) -> Response:
        """The operator's stock: masked, until a lead is exported."""
        query = request.query_params
        if "view" in query:
            raise ValidationFailed(fields={"view": [_("Saved views are of the workspace's own leads.")]})
        asked = asked_in(query)
        found = find(Lead.objects.in_catalogue(), asked, _asker(request), masked=True)
        masked = partial(catalogue.as_seen_by, request.workspace)
        ordering = order(query.get("ordering"), asked)
        return Response(page(found, request, row=LEAD_ROW, ordering=ordering, show=masked))


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


def _asker(request: SignedInRequest) -> Asker:
    return Asker(request.workspace, request.user.pk)


def _added(request: SignedInRequest) -> Fragment:
    lead_id = editing.create(
        NewLeadRequest.parse(request), workspace=request.workspace, by=Author.of(request.membership)
    )
    return Fragment(Lead.objects.filter(pk=lead_id).flat()[0])
