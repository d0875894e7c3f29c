"""Front doors: saved views."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from leads import saved_views
from leads.custom_fields import PREFIX
from leads.models import Lead, SavedView
from leads.values import ALIASES
from leads.views.fields import Words
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

_VIEW_ROW = json_row(
    SavedView,
    ("id", "name", "filters", "ordering", "columns", "is_shared", "user_id", "created_at", "updated_at"),
)


class Filters(serializers.DictField):
    """Name → value, or values, as the query of a list has them."""

    child = serializers.JSONField()

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        return data


class ViewRequest(RequestSerializer):
    name = Words(max_length=100, required=False)
    filters = Filters(required=False)
    ordering = Words(required=False, allow_blank=True, help_text="as `ordering` of the list; blank: the newest first")
    columns = serializers.ListField(child=Words(max_length=100), max_length=100, required=False)
    is_shared = serializers.BooleanField(required=False)

    def validate_columns(self, columns: list[str]) -> list[str]:
        known = {*Lead.COLUMNS, *ALIASES}
        unknown = [column for column in columns if column not in known and not column.startswith(PREFIX)]
        if unknown:
            raise serializers.ValidationError(_("There is no such field: {names}.").format(names=", ".join(unknown)))
        return list(dict.fromkeys(columns))


class NewViewRequest(ViewRequest):
    name = Words(max_length=100)


class ViewSerializer(serializers.ModelSerializer):
    filters = Filters()
    user_id = serializers.IntegerField(help_text="The owner's.")

    class Meta:
        model = SavedView
        fields = [
            "id", "name", "filters", "ordering", "columns", "is_shared", "user_id", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class ViewPage(serializers.Serializer):
    results = ViewSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class Views(Idempotent, APIView):
    @extend_schema(parameters=PAGING, responses=ViewPage)
    def get(self, request: SignedInRequest) -> Response:
        """One's own saved views, and those that others share, the oldest first."""
        return Response(page(saved_views.seen_by(request.membership), request, row=_VIEW_ROW, ordering=["id"]))

    @extend_schema(request=NewViewRequest, responses={201: ViewSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Save filters and an order under a name; `GET /api/v1/leads?view=<id>` shows what they find."""
        view = saved_views.create(NewViewRequest.parse(request), by=request.membership)
        return Response(_shown(view), status=status.HTTP_201_CREATED)


class OneView(APIView):
    @extend_schema(responses=ViewSerializer)
    def get(self, request: SignedInRequest, view_id: int) -> Response:
        """A saved view of one's own, or a shared one."""
        return Response(_shown(saved_views.find(view_id, by=request.membership)))

    @extend_schema(request=ViewRequest, responses=ViewSerializer)
    def patch(self, request: SignedInRequest, view_id: int) -> Response:
        """Change a view of one's own; managers change shared ones, too."""
        view = saved_views.find(view_id, by=request.membership)
        saved_views.change(view, ViewRequest.parse(request), by=request.membership)
        return Response(_shown(view))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, view_id: int) -> Response:
        """Delete a view of one's own; managers delete shared ones, too."""
        saved_views.delete(saved_views.find(view_id, by=request.membership), by=request.membership)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(view: SavedView) -> Fragment:
    return Fragment(SavedView.objects.filter(pk=view.pk).values_list(_VIEW_ROW, flat=True).get())
