"""Front door: what AI did and cost."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from ai import usage
from ai.serializers.usage import AIUsageSerializer, asked_days

_DAYS = [
    OpenApiParameter("from", OpenApiTypes.DATE, description="The first day, in UTC; by default the month's"),
    OpenApiParameter("to", OpenApiTypes.DATE, description="The last day; at most 366 of them"),
]


class AIUsage(APIView):
    @extend_schema(parameters=_DAYS, responses=AIUsageSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """Calls, tokens and cost, by day, action, model and user, and how the plan's budget of this month stands."""
        first, last = asked_days(request.query_params)
        budget = usage.budget(request.workspace)
        figures = {name: usage.dollars(getattr(budget, name)) for name in ("amount", "spent", "reserved", "remaining")}
        return Response(
            {"from": first, "to": last, "currency": "usd"}
            | usage.between(request.workspace, first, last)
            | {"budget": {"month": budget.month, **figures}}
        )
