"""Suppressions as JSON."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from leads import suppressions
from leads.models import Suppression
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

MAX_VALUES = 1_000

SUPPRESSION_ROW = json_row(Suppression, ("id", "kind", "value", "reason", "user_id", "created_at"))


class Suppressed(serializers.CharField):
    """An e-mail address or a domain."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return suppressions.clean(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error))


class SuppressionRequest(RequestSerializer):
    """Exactly one of ``value`` and ``values``."""

    value = Suppressed(required=False)
    values = serializers.ListField(child=Suppressed(), required=False, allow_empty=False, max_length=MAX_VALUES)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        if ("value" in fields) == ("values" in fields):
            raise serializers.ValidationError(_("Give either `value` or `values`."))
        return fields


class SuppressionSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Suppression.Kind.choices)
    value = serializers.CharField(help_text="in small letters")
    reason = serializers.CharField()
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class SuppressionPage(serializers.Serializer):
    results = SuppressionSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class SuppressedMany(serializers.Serializer):
    added_count = serializers.IntegerField()
    known_count = serializers.IntegerField(help_text="suppressed before, or given twice")
