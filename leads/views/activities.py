"""Front doors: what people do with leads."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads import activities
from leads.activity_filters import ActivityFilters, ordering
from leads.filters import narrow
from leads.history import Author
from leads.models import ACTIVITY_ROW, Activity, ActivityQuerySet, Lead
from leads.moments import moment
from leads.serializers.leads import Moment, Text
from leads.values import MAX_NOTES, text
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.api.serializers import RequestSerializer
from zevix.errors import NotFound


class ActivityText(Text):
    cleaner = staticmethod(text(MAX_NOTES))


class ActivityMoment(Moment):
    cleaner = staticmethod(moment)


class ActivityRequest(RequestSerializer):
    """``done_at`` of a call, an e-mail or a meeting is when it was: now, if it is not given. Only tasks have a ``due_at``."""

    type = serializers.ChoiceField(choices=Activity.Type.choices)
    text = ActivityText()
    due_at = ActivityMoment()
    done_at = ActivityMoment()


class ActivityChangeRequest(ActivityRequest):
    """Any subset of the fields."""

    type = serializers.ChoiceField(choices=Activity.Type.choices, required=False)


class ActivityUser(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()


class ActivitySerializer(serializers.ModelSerializer):
    """An activity as it is answered; for the OpenAPI document (rows are read flat, without serializers)."""

    lead_id = serializers.IntegerField()
    user = ActivityUser(allow_null=True)

    class Meta:
        model = Activity
        fields = ["id", "lead_id", "type", "text", "due_at", "done_at", "user", "created_at", "updated_at"]
        read_only_fields = fields


class ActivityPage(serializers.Serializer):
    results = ActivitySerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]
_FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=str(declared.extra.get("help_text") or ""))
    for name, declared in ActivityFilters.base_filters.items()
]
_ORDERING = OpenApiParameter("ordering", str, enum=["-id", "due_at"], description="`due_at`: with `open=true`")


class LeadActivities(Idempotent, APIView):
    @extend_schema(parameters=[*_FILTERS[:-1], *_PAGING, _ORDERING], responses=ActivityPage)
    def get(self, request: SignedInRequest, lead_id: int) -> Response:
        """What was done with a lead, and what is to be done; newest first."""
        _find_lead(request, lead_id)
        found = narrow(Activity.objects.for_workspace(request.workspace).filter(lead=lead_id), request, ActivityFilters)
        return Response(page(found, request, row=ACTIVITY_ROW, ordering=ordering(request)))

    @extend_schema(request=ActivityRequest, responses={201: ActivitySerializer})
    def post(self, request: SignedInRequest, lead_id: int) -> Response:
        """Write down something done, or a task. Calls, e-mails and meetings move the lead's `last_contact`, tasks its next action.

        Agents write only at leads that are assigned to them.
        """
        _find_lead(request, lead_id)  # before the body is looked at: what is wrong with it is nobody's business
        fields, by = ActivityRequest.parse(request), Author.of(request.membership)
        activity_id = activities.add(lead_id, fields, workspace=request.workspace, by=by)
        return Response(_read(request, activity_id), status=status.HTTP_201_CREATED)


class Activities(APIView):
    @extend_schema(parameters=[*_FILTERS, *_PAGING, _ORDERING], responses=ActivityPage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's activities, newest first; those of leads in the bin are not among them."""
        found = narrow(_present(request), request, ActivityFilters)
        return Response(page(found, request, row=ACTIVITY_ROW, ordering=ordering(request)))


class OneActivity(APIView):
    @extend_schema(responses=ActivitySerializer)
    def get(self, request: SignedInRequest, activity_id: int) -> Response:
        """One of the workspace's activities."""
        return Response(_read(request, activity_id))

    @extend_schema(request=ActivityChangeRequest, responses=ActivitySerializer)
    def patch(self, request: SignedInRequest, activity_id: int) -> Response:
        """Change any subset of the fields; `done_at` completes a task. Agents change their own activities."""
        _read(request, activity_id)
        changes, by = ActivityChangeRequest.parse(request), Author.of(request.membership)
        activities.change(activity_id, changes, workspace=request.workspace, by=by)
        return Response(_read(request, activity_id))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, activity_id: int) -> Response:
        """Delete an activity, for good. Agents delete their own."""
        activities.delete(activity_id, workspace=request.workspace, by=Author.of(request.membership))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _present(request: SignedInRequest) -> ActivityQuerySet:
    found: ActivityQuerySet = Activity.objects.for_workspace(request.workspace).of_present_leads()
    return found


def _find_lead(request: SignedInRequest, lead_id: int) -> None:
    if not Lead.objects.for_workspace(request.workspace).filter(pk=lead_id).exists():
        raise NotFound


def _read(request: SignedInRequest, activity_id: int) -> Any:
    """The activity as it is answered. Raises NotFound."""
    found = _present(request).filter(pk=activity_id).values_list(ACTIVITY_ROW, flat=True).first()
    if found is None:
        raise NotFound
    return Fragment(found)
