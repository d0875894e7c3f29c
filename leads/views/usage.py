"""Front doors: what a workspace used of its quota, and the ledger behind it."""

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads import ledger, quotas
from leads.models import UsageAlert, UsageEntry
from leads.serializers.usage import ENTRY_ROW, EntryPage, UsageSerializer, asked_month
from zevix.api.pages import page
from zevix.errors import ValidationFailed

_KINDS = UsageEntry.Kind.values


class UsageNow(APIView):
    @extend_schema(responses=UsageSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """The quota as it stands, what was told of it this month, and each month's sums, the newest first."""
        standing = quotas.standing(request.workspace)
        told = UsageAlert.objects.for_workspace(request.workspace).filter(month=standing.month)
        return Response(
            standing.figures()
            | {
                "plan": standing.plan,
                "credit": standing.credit,
                "from_credit": standing.from_credit,
                "resets_at": quotas.resets_at(standing.month),
                "alerts": list(told.order_by("pk").values("threshold", "plan", "created_at")),
                "months": ledger.months(request.workspace, standing.month),
            }
        )


class UsageEntries(APIView):
    @extend_schema(
        parameters=[
            OpenApiParameter("kind", str, enum=_KINDS),
            OpenApiParameter("month", str, description="YYYY-MM"),
            OpenApiParameter("limit", int, description="1–500, default 50"),
            OpenApiParameter("cursor", str),
            OpenApiParameter("count", bool, description="`true` adds `count`"),
        ],
        responses=EntryPage,
    )
    def get(self, request: SignedInRequest) -> Response:
        """The ledger: each line that the figures are the sum of, the newest first."""
        found = ledger.entries(request.workspace)
        if kind := request.query_params.get("kind"):
            if kind not in _KINDS:
                raise ValidationFailed(fields={"kind": [_("One of {choices}.").format(choices=", ".join(_KINDS))]})
            found = found.filter(kind=kind)
        if month := request.query_params.get("month"):
            found = found.filter(month=asked_month(month))
        return Response(page(found, request, row=ENTRY_ROW, ordering=["-id"]))
