"""The quota and its books as JSON."""

import re
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from leads.models import UsageEntry
from zevix.errors import ValidationFailed
from zevix.json_rows import json_row

# a copy is one with the catalogue's lead that was charged; the workspace knows it by its own id
_LEAD = """
    (SELECT coalesce(copy.id, c.lead_id) FROM leads_exportedlead AS c
     LEFT JOIN leads_lead AS copy ON copy.workspace_id = c.workspace_id AND copy.catalogue_lead_id = c.lead_id
     WHERE c.id = leads_usageentry.refunded_id)
"""
ENTRY_ROW = json_row(
    UsageEntry,
    ["id", "month", "kind", "leads", "credits", "reason", "export_id", "top_up_id", "user_id", "created_at"],
    computed={"lead_id": _LEAD},
)

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\Z")


def asked_month(text: str) -> str:
    """A month as it is asked for. Raises ValidationFailed."""
    if not _MONTH.match(text):
        raise ValidationFailed(fields={"month": [_("A month, as YYYY-MM.")]})
    return text


class AlertSerializer(serializers.Serializer):
    threshold = serializers.IntegerField(help_text="Percent of the limit.")
    plan = serializers.CharField()
    created_at = serializers.DateTimeField()


class MonthSerializer(serializers.Serializer):
    month = serializers.CharField()
    used = serializers.IntegerField(help_text="`charged` - `refunded` + `adjusted`")
    from_credit = serializers.IntegerField()
    exports = serializers.IntegerField()
    charged = serializers.IntegerField()
    refunded = serializers.IntegerField()
    refunded_to_credit = serializers.IntegerField()
    adjusted = serializers.IntegerField()
    credit_adjusted = serializers.IntegerField()
    topped_up = serializers.IntegerField()


class UsageSerializer(serializers.Serializer):
    """What the workspace may export this month, and what it exported in this month and those before."""

    month = serializers.CharField()
    used = serializers.IntegerField()
    remaining = serializers.IntegerField()
    limit = serializers.IntegerField(
        help_text="The plan's leads, those of this month from credit, and the credit left."
    )
    plan = serializers.CharField()
    credit = serializers.IntegerField()
    from_credit = serializers.IntegerField()
    resets_at = serializers.DateTimeField()
    alerts = AlertSerializer(many=True)
    months: Any = MonthSerializer(many=True)


class EntrySerializer(serializers.Serializer):
    id = serializers.IntegerField()
    month = serializers.CharField()
    kind = serializers.ChoiceField(choices=UsageEntry.Kind.choices)
    leads = serializers.IntegerField(help_text="What it adds to the month's `used`.")
    credits = serializers.IntegerField(help_text="What it adds to the credit.")
    reason = serializers.CharField()
    export_id = serializers.IntegerField(allow_null=True)
    lead_id = serializers.IntegerField(allow_null=True, help_text="Of a refund.")
    top_up_id = serializers.IntegerField(allow_null=True)
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class EntryPage(serializers.Serializer):
    results = EntrySerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    count = serializers.IntegerField(required=False)
