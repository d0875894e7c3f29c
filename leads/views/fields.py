"""Front doors: the definitions of custom fields."""

import re
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import serializers, status
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from leads import custom_fields
from leads.custom_fields import checked_choices
from leads.history import Author
from leads.models import CustomField
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.api.serializers import RequestSerializer
from zevix.errors import NotFound
from zevix.json_rows import json_row

_FIELD_ROW = json_row(CustomField, ("id", "key", "label", "kind", "choices", "position", "created_at"))


class Words(serializers.CharField):
    """Text that the database can keep and a page can show."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class FieldRequest(RequestSerializer):
    """``choices`` go with the kind ``choice``, and only with it. The key stays what it was."""

    label = Words(max_length=100, required=False)  # type: ignore[assignment]  # REST framework has an attribute of that name
    kind = serializers.ChoiceField(choices=CustomField.Kind.choices, required=False)
    choices = serializers.ListField(child=Words(max_length=200), max_length=200, required=False)
    position = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        before: CustomField | None = self.context.get("field")
        kind = fields.get("kind", before.kind if before else "")
        kept = before.choices if before and before.kind == kind else []
        try:
            choices = checked_choices(kind, fields.get("choices", kept))
        except ValueError as error:
            raise serializers.ValidationError({"choices": [str(error)]})
        return {**fields, "choices": choices} if "choices" in fields or "kind" in fields else fields


class NewFieldRequest(FieldRequest):
    """The label is the key, where none is given."""

    key = Words(max_length=60)
    kind = serializers.ChoiceField(choices=CustomField.Kind.choices)

    def validate_key(self, key: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
            raise serializers.ValidationError(_("Small letters, digits and _, beginning with a letter."))
        return key

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        return super().validate({"label": fields["key"], **fields})


class FieldSerializer(serializers.ModelSerializer):
    class Meta:
        model = CustomField
        fields = ["id", "key", "label", "kind", "choices", "position", "created_at"]
        read_only_fields = fields


class FieldPage(serializers.Serializer):
    results = FieldSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class _ManagersChange(APIView):
    def get_permissions(self) -> Any:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else IsManager()]


class Fields(Idempotent, _ManagersChange):
    @extend_schema(parameters=PAGING, responses=FieldPage)
    def get(self, request: SignedInRequest) -> Response:
        """The custom fields that are defined, in their order."""
        fields = CustomField.objects.for_workspace(request.workspace)
        return Response(page(fields, request, row=_FIELD_ROW, ordering=["position", "id"]))

    @extend_schema(request=NewFieldRequest, responses={201: FieldSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Define what leads may hold in `extra` under a key; for managers.

        What they hold there already is rewritten as the kind has it; where some can't be, nothing is changed, and the answer is 409.
        """
        wanted = NewFieldRequest.parse(request)
        field = custom_fields.define(wanted, workspace=request.workspace, by=Author.of(request.membership))
        return Response(_shown(request, field.pk), status=status.HTTP_201_CREATED)


class OneField(_ManagersChange):
    @extend_schema(responses=FieldSerializer)
    def get(self, request: SignedInRequest, field_id: int) -> Response:
        """One of the workspace's custom fields."""
        return Response(_shown(request, field_id))

    @extend_schema(request=FieldRequest, responses=FieldSerializer)
    def patch(self, request: SignedInRequest, field_id: int) -> Response:
        """Change a definition; for managers. Another kind is refused (409) where leads hold what can't be read so."""
        field = _find(request, field_id)
        wanted = FieldRequest(data=request.data, context={"request": request, "field": field})
        wanted.is_valid(raise_exception=True)
        custom_fields.redefine(field, wanted.validated_data, by=Author.of(request.membership))
        return Response(_shown(request, field_id))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, field_id: int) -> Response:
        """Delete a definition; for managers. What leads hold under its key stays."""
        _find(request, field_id)
        custom_fields.forget(CustomField.objects.for_workspace(request.workspace).filter(pk=field_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _find(request: SignedInRequest, field_id: int) -> CustomField:
    field: CustomField | None = CustomField.objects.for_workspace(request.workspace).filter(pk=field_id).first()
    if field is None:
        raise NotFound
    return field


def _shown(request: SignedInRequest, field_id: int) -> Fragment:
    found = CustomField.objects.for_workspace(request.workspace).filter(pk=field_id)
    row = found.values_list(_FIELD_ROW, flat=True).first()
    if row is None:
        raise NotFound
    return Fragment(row)
