"""Front doors: whom a workspace does not want to buy or write to."""

from typing import Any

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from leads import suppressions
from leads.filters import narrow
from leads.models import Suppression
from leads.serializers.suppressions import (
    SUPPRESSION_ROW,
    SuppressedMany,
    SuppressionPage,
    SuppressionRequest,
    SuppressionSerializer,
)
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound


class _Filters(django_filters.FilterSet):
    search = django_filters.CharFilter(field_name="value", lookup_expr="icontains", max_length=320)
    kind = django_filters.ChoiceFilter(choices=Suppression.Kind.choices)


_FILTERS = [
    OpenApiParameter("search", OpenApiTypes.STR, description="A part of the address or of the domain"),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=Suppression.Kind.values),
]
_ADDED = PolymorphicProxySerializer(
    component_name="Suppressed", serializers=[SuppressionSerializer, SuppressedMany], resource_type_field_name=None
)


class Suppressions(Idempotent, APIView):
    def get_permissions(self) -> Any:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else IsManager()]

    @extend_schema(parameters=_FILTERS + PAGING, responses=SuppressionPage)
    def get(self, request: SignedInRequest) -> Response:
        """Suppressed addresses and domains, by the alphabet. An export by a quote leaves them out."""
        rows = narrow(Suppression.objects.for_workspace(request.workspace), request, _Filters)
        return Response(page(rows, request, row=SUPPRESSION_ROW, ordering=["value"]))

    @extend_schema(request=SuppressionRequest, responses={200: SuppressionSerializer, 201: _ADDED})
    def post(self, request: SignedInRequest) -> Response:
        """Suppress an address or a domain, or up to 1,000 of them; for managers. What is suppressed already stays as it is."""
        wanted = SuppressionRequest.parse(request)
        values = wanted["values"] if "values" in wanted else [wanted["value"]]
        added = suppressions.add(values, reason=wanted["reason"], workspace=request.workspace, user_id=request.user.pk)
        if "values" in wanted:
            counts = {"added_count": added, "known_count": len(values) - added}
            return Response(counts, status=status.HTTP_201_CREATED)
        row = suppressions.find(values[0], request.workspace).values_list(SUPPRESSION_ROW, flat=True).get()
        return Response(Fragment(row), status=status.HTTP_201_CREATED if added else status.HTTP_200_OK)


class OneSuppression(APIView):
    permission_classes = [IsManager]

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, suppression_id: int) -> Response:
        """Suppress it no longer; for managers."""
        deleted, _counts = Suppression.objects.for_workspace(request.workspace).filter(pk=suppression_id).delete()
        if not deleted:
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)
