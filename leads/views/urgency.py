"""The front door to the leads that need action."""

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads import urgency
from leads.models import Lead, LeadQuerySet
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

_COLUMNS = (
    "id", "name", "email", "company", "status", "next_action_at", "next_action_description", "last_contact",
)  # fmt: skip
_ROW = json_row(Lead, _COLUMNS)


class UrgentQuery(RequestSerializer):
    limit = serializers.IntegerField(min_value=1, max_value=500, default=8)
    assigned_to = serializers.CharField(required=False, help_text="A user's id, `me` or `none`")

    def validate_assigned_to(self, value: str) -> str:
        if value not in ("me", "none") and not (value.isascii() and value.isdigit() and len(value) < 19):
            raise serializers.ValidationError(_("A user's id, `me` or `none`."))
        return value


class UrgentLead(serializers.ModelSerializer):
    class Meta:
        model = Lead
        fields = _COLUMNS
        read_only_fields = fields


class UrgentLeads(serializers.Serializer):
    leads = UrgentLead(many=True)


class LeadsNeedingAction(APIView):
    @extend_schema(parameters=[UrgentQuery], responses=UrgentLeads)
    def get(self, request: SignedInRequest) -> Response:
        """Leads that need action, the most urgent first: by next action, then never contacted, then longest silent."""
        query = UrgentQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        leads = _assigned(Lead.objects.for_workspace(request.workspace), request, wanted.get("assigned_to"))
        found = urgency.most_urgent_first(leads).values_list(_ROW, flat=True)[: wanted["limit"]]
        return Response({"leads": [Fragment(lead) for lead in found]})


def _assigned(leads: LeadQuerySet, request: SignedInRequest, to: str | None) -> LeadQuerySet:
    match to:
        case None:
            return leads
        case "none":
            return leads.filter(assigned_user=None)
        case "me":
            return leads.filter(assigned_user=request.user)
    return leads.filter(assigned_user=int(to))
