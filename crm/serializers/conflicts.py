"""Conflicts as JSON, and how they are resolved."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from crm.models import Conflict
from leads.serializers.bulk import LeadIds
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

CHOICES = [Conflict.Choice.ZEVIX.value, Conflict.Choice.PIPEDRIVE.value]
STATES = ["open", "chosen", "resolved"]

_NAME = (
    "(SELECT coalesce(nullif(l.company, ''), nullif(l.name, ''), l.email) FROM leads_lead AS l"
    " WHERE l.id = crm_conflict.lead_id)"
)
_STATE = "CASE WHEN crm_conflict.resolved_at IS NOT NULL THEN 'resolved' WHEN crm_conflict.choice <> '' THEN 'chosen' ELSE 'open' END"
_COLUMNS = (
    "id", "lead_id", "field", "ours", "theirs", "ours_at", "theirs_at", "is_overwritten", "choice", "by_rule", "resolved_by_id",
    "resolved_at", "created_at",
)  # fmt: skip
CONFLICT_ROW = json_row(Conflict, _COLUMNS, computed={"lead": _NAME, "state": _STATE})


class ResolveRequest(RequestSerializer):
    choice = serializers.ChoiceField(choices=CHOICES)


class ResolveAllRequest(ResolveRequest):
    """All open ones, or those of a ``field``, or of these ``ids``."""

    field = serializers.CharField(required=False, max_length=200)
    ids = LeadIds(required=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "\x00" in fields.get("field", ""):
            raise serializers.ValidationError({"field": [_("It must not contain NUL characters.")]})
        return fields


class ConflictSerializer(serializers.Serializer):
    """A field that was changed on both sides. ``ours`` and ``theirs`` are in the form in which they are compared.

    ``chosen`` ones wait to be carried out. One that is overwritten has in ``theirs`` what somebody wrote in Pipedrive while our value
    was on its way, which took its place.
    """

    id = serializers.IntegerField()
    lead_id = serializers.IntegerField()
    lead = serializers.CharField(allow_null=True, help_text="its company, name or address; null where it is in the bin")
    field = serializers.CharField()
    ours = serializers.JSONField(allow_null=True)
    theirs = serializers.JSONField(allow_null=True)
    ours_at = serializers.DateTimeField(allow_null=True)
    theirs_at = serializers.DateTimeField(allow_null=True, help_text="not later than this")
    is_overwritten = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    choice = serializers.ChoiceField(choices=Conflict.Choice.choices, allow_blank=True)
    by_rule = serializers.BooleanField()
    resolved_by_id = serializers.IntegerField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class ConflictPage(serializers.Serializer):
    results = ConflictSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class ChosenSerializer(serializers.Serializer):
    """How many conflicts will be resolved; that is carried out in the background."""

    chosen = serializers.IntegerField()
