"""Front doors: what was changed on both sides, and taking one side's value."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from crm.models import Conflict
from crm.pipedrive.syncing import conflicts, resolving
from crm.serializers.conflicts import (
    CONFLICT_ROW,
    ChosenSerializer,
    ConflictPage,
    ConflictSerializer,
    ResolveAllRequest,
    ResolveRequest,
)
from leads.errors import NotYourLead
from leads.filters import narrow
from leads.history import Author
from leads.models import Lead
from zevix.api.pages import page
from zevix.errors import NotFound

_STATES = ("open", "resolved", "all")


class ConflictFilters(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=[(state, state) for state in _STATES], method="in_state")
    lead_id = django_filters.NumberFilter(field_name="lead", min_value=1, max_value=2**63 - 1)

    class Meta:
        model = Conflict
        fields: list[str] = []

    def in_state(self, rows: QuerySet[Conflict], name: str, value: str) -> QuerySet[Conflict]:
        return rows if value == "all" else rows.filter(resolved_at__isnull=value == "open")


_FILTERS = [
    OpenApiParameter("state", OpenApiTypes.STR, enum=_STATES, description="default `open`"),
    OpenApiParameter("lead_id", int),
]


class Conflicts(APIView):
    @extend_schema(parameters=[*_FILTERS, *PAGING], responses=ConflictPage)
    def get(self, request: SignedInRequest) -> Response:
        """Fields that were changed both here and in Pipedrive, with both values, the newest first; the open ones unless asked otherwise.

        Those that a rule decided are among the resolved ones, with the value that was lost by it.
        """
        rows = narrow(Conflict.objects.for_workspace(request.workspace), request, ConflictFilters)
        if not request.query_params.get("state"):
            rows = rows.filter(resolved_at=None)
        return Response(page(rows, request, row=CONFLICT_ROW, ordering=["-id"]))


class ResolveConflict(APIView):
    @extend_schema(request=ResolveRequest, responses=ConflictSerializer)
    def post(self, request: SignedInRequest, conflict_id: int) -> Response:
        """Take one side's value; agents for leads that are assigned to them.

        It is carried out at once if Pipedrive answers, else before long: then the state is `chosen`. If somebody changes the value that
        would be lost before that, the conflict is open again.
        """
        conflict = _find(conflict_id, request)
        choice = ResolveRequest.parse(request)["choice"]
        _refuse_strangers(conflict, request)
        resolving.resolve_now(conflict, choice, by=request.user)
        return Response(_row(conflict))


class ResolveConflicts(APIView):
    permission_classes = [IsManager]

    @extend_schema(request=ResolveAllRequest, responses=ChosenSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """Take one side's value in all open conflicts, or in those of a field, or in these; for managers."""
        wanted = ResolveAllRequest.parse(request)
        count = conflicts.resolve_all(request.workspace, wanted.pop("choice"), by=request.user, **wanted)
        return Response({"chosen": count})


def _find(conflict_id: int, request: SignedInRequest) -> Conflict:
    """Raises NotFound."""
    found: Conflict | None = Conflict.objects.for_workspace(request.workspace).filter(pk=conflict_id).first()
    if found is None:
        raise NotFound
    return found


def _refuse_strangers(conflict: Conflict, request: SignedInRequest) -> None:
    """Raises NotYourLead."""
    assigned = Lead.objects.filter(pk=conflict.lead_id).values_list("assigned_user_id", flat=True).first()
    if not Author.of(request.membership).may_change(assigned):
        raise NotYourLead


def _row(conflict: Conflict) -> Fragment:
    return Fragment(Conflict.objects.filter(pk=conflict.pk).values_list(CONFLICT_ROW, flat=True).get())
