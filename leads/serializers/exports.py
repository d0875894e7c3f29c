"""Quotes and receipts as JSON."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leads import filters
from leads.exports import quoting
from leads.exports.quoting import Search
from leads.filters import Asker
from leads.models import Export, ExportQuote
from leads.serializers.leads import ExportBatchRequest, LeadId, Standing
from zevix.api.serializers import RequestSerializer
from zevix.errors import ValidationFailed
from zevix.json_rows import json_row

_LISTS = ("new_ids", "duplicate_ids", "not_exported", "unknown_ids")
_COUNTS = ("new_count", "duplicate_count", "not_exported_count", "unknown_count")
_COLUMNS = (
    "id",
    "status",
    "progress",
    "failure",
    "month",
    *_COUNTS,
    "used",
    "limit",
    "user_id",
    "created_at",
    "finished_at",
)
_DOWNLOAD = {"download": "'/api/v1/exports/' || leads_export.id || '/download'"}

EXPORT_ROW = json_row(Export, _COLUMNS, None, _DOWNLOAD)
RECEIPT_ROW = json_row(Export, _COLUMNS, None, _DOWNLOAD | {name: f"leads_export.lists -> '{name}'" for name in _LISTS})


@extend_schema_field({"type": "object", "additionalProperties": True})
class FilterField(serializers.Field):
    """Filters as the lists' queries have them: name → value, or values."""

    def to_internal_value(self, data: Any) -> filters.Asked:
        try:
            return filters.asked_as(data)
        except ValidationFailed as error:
            raise serializers.ValidationError(said_of(error))

    def to_representation(self, value: Any) -> Any:
        return value


def said_of(error: ValidationFailed) -> Any:
    said = error.fields or {}
    return said.get("") or said


class QuoteRequest(RequestSerializer):
    """Exactly one of ``lead_ids`` and ``filter``. An empty filter means all leads; ``from`` says whose, of both by default."""

    lead_ids = serializers.ListField(child=LeadId(), required=False)
    filter = FilterField(required=False)

    def get_fields(self) -> dict[str, Any]:
        places = serializers.ChoiceField(choices=[quoting.CATALOGUE, quoting.WORKSPACE], required=False)
        return super().get_fields() | {"from": places}  # a keyword of Python

    def validate_lead_ids(self, ids: list[str]) -> list[str]:
        return ExportBatchRequest().validate_lead_ids(ids)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        if ("lead_ids" in fields) == ("filter" in fields):
            raise serializers.ValidationError(_("Give either `lead_ids` or `filter`."))
        if "lead_ids" in fields:
            if "from" in fields:
                raise serializers.ValidationError({"from": [_("It goes with a `filter` only.")]})
            return fields
        return {"search": self._possible(Search(fields["filter"], fields.get("from")))}

    def _possible(self, search: Search) -> Search:
        request = self.context["request"]
        try:
            search.roots(Asker(request.workspace, request.user.pk))
        except ValidationFailed as error:
            raise serializers.ValidationError({"filter": said_of(error)})
        return search


class QuoteSerializer(serializers.Serializer):
    """What an export would cost. Each id, or each lead that was found, is counted once."""

    quote = serializers.SerializerMethodField(help_text="for `POST /api/v1/exports`")
    new = serializers.IntegerField(source="new_count", help_text="to be charged, as far as the quota goes")
    owned = serializers.IntegerField(source="owned_count", help_text="paid already, or a second id of another; free")
    suppressed = serializers.IntegerField(source="suppressed_count", help_text="left out: see `/api/v1/suppressions`")
    undeliverable = serializers.IntegerField(source="undeliverable_count", help_text="left out: the address is dead")
    unknown = serializers.IntegerField(source="unknown_count", help_text="ids of no lead")
    cost = serializers.IntegerField(help_text="the most that will be charged, in leads")
    remaining = serializers.SerializerMethodField(help_text="of the month's leads, before")
    remaining_after = serializers.IntegerField()
    not_covered = serializers.SerializerMethodField(help_text="new leads that the quota has no room for")
    expires_at = serializers.DateTimeField()

    def get_quote(self, quote: ExportQuote) -> str:
        return quoting.signed(quote)

    def get_remaining(self, quote: ExportQuote) -> int:
        return quote.cost + quote.remaining_after

    def get_not_covered(self, quote: ExportQuote) -> int:
        return quote.new_count - quote.cost


class ExportRequest(RequestSerializer):
    """Exactly one of ``quote`` and ``lead_ids``."""

    quote = serializers.CharField(required=False, max_length=200)
    lead_ids = serializers.ListField(child=LeadId(), required=False)

    def validate_lead_ids(self, ids: list[str]) -> list[str]:
        return ExportBatchRequest().validate_lead_ids(ids)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        if ("quote" in fields) == ("lead_ids" in fields):
            raise serializers.ValidationError(_("Give either `quote` or `lead_ids`."))
        return fields


class ExportSerializer(serializers.Serializer):
    """An export: what was charged, and how the quota stood afterwards."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Export.Status.choices)
    progress = serializers.IntegerField(help_text="percent")
    failure = serializers.CharField(help_text="why it failed; else blank")
    month = serializers.CharField(help_text="YYYY-MM")
    new_count = serializers.IntegerField()
    duplicate_count = serializers.IntegerField()
    not_exported_count = serializers.IntegerField()
    unknown_count = serializers.IntegerField()
    used = serializers.IntegerField(help_text="afterwards")
    limit = serializers.IntegerField()
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    download = serializers.CharField(help_text="free, for ever")


class ReceiptSerializer(ExportSerializer):
    """With the ids as they were given, by what became of them; of a quote the leads' own ids. Null for an export of very many."""

    new_ids = serializers.ListField(child=serializers.CharField(), allow_null=True)
    duplicate_ids = serializers.ListField(child=serializers.CharField(), allow_null=True)
    not_exported = serializers.ListField(child=serializers.CharField(), allow_null=True)
    unknown_ids = serializers.ListField(child=serializers.CharField(), allow_null=True)


class NewReceiptSerializer(ReceiptSerializer, Standing):
    success = serializers.BooleanField()
    export_id = serializers.IntegerField(help_text="the same as `id`")
    message = serializers.CharField()


class ExportPage(serializers.Serializer):
    results = ExportSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)
