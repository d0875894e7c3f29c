"""Deals as JSON, and what is asked for."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.models import Deal
from crm.pipedrive.deals.wanting import Wish
from crm.pipedrive.mapping.setup import Setup
from leads.deals import deal_currency, deal_title, deal_value
from leads.serializers.leads import LeadId
from leads.values import CLEANERS
from leads.values import text as text_of
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row, moment

SETTABLE = [Deal.Status.OPEN.value, Deal.Status.WON.value, Deal.Status.LOST.value]
_CONTACT = ("name", "email", "phone", "company")


class Cleaned(serializers.Field):
    """A field whose rule is a function that raises ValueError with a sentence."""

    def __init__(self, clean: Callable[[Any], Any], accepts: tuple[type, ...] = (str,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clean, self.accepts = clean, accepts

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Forms send what was left blank as an empty text."""
        return (True, None) if data == "" and self.allow_null else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, self.accepts) or isinstance(data, bool):
            raise serializers.ValidationError(_("This is of the wrong type."))
        try:
            return self.clean(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error))

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "string"})
class Text(Cleaned):
    pass


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "string"}]})
class Amount(Cleaned):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(deal_value, (str, int, float, Decimal), **kwargs)


def _optional(cleaner: Callable[[Any], Any]) -> Text:
    return Text(cleaner, required=False, allow_null=True)


class CrmLeadRequest(RequestSerializer):
    """A lead to be sent, by ``lead_id`` or by ``name`` and ``email``, and the deal that is wanted with it."""

    lead_id = LeadId(required=False)
    name = Text(CLEANERS["name"], required=False)
    email = Text(CLEANERS["email"], required=False)
    phone = _optional(CLEANERS["phone"])
    company = _optional(CLEANERS["company"])
    deal_title = _optional(deal_title)
    deal_value = Amount(required=False, allow_null=True)
    currency = _optional(deal_currency)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        contact = {name: fields[name] for name in _CONTACT if fields.get(name)}
        problems: dict[str, Any] = {}
        if "lead_id" in fields:
            if contact:
                raise serializers.ValidationError(_("Give either `lead_id` or `name` and `email`."))
        else:
            missing = [name for name in ("name", "email") if not contact.get(name)]
            problems = {name: [_("This field is required.")] for name in missing}
        if problems:
            raise serializers.ValidationError(problems)
        return fields

    @staticmethod
    def wish(fields: dict[str, Any]) -> Wish:
        return Wish(
            lead_id=fields.get("lead_id", ""),
            contact=None if "lead_id" in fields else {name: fields[name] for name in _CONTACT if fields.get(name)},
            title=fields.get("deal_title") or "",
            value=fields.get("deal_value"),
            currency=fields.get("currency") or "",
        )


class SentLead(serializers.Serializer):
    success = serializers.BooleanField()
    lead_id = serializers.IntegerField()
    person_id = serializers.IntegerField(help_text="in Pipedrive")
    deal_id = serializers.IntegerField(help_text="in Pipedrive")


class QueuedLead(serializers.Serializer):
    success = serializers.BooleanField()
    status = serializers.CharField(help_text="`queued`")
    lead_id = serializers.IntegerField()


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class StageField(serializers.Field):
    """A stage's id or name."""

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, bool) or not isinstance(data, int | str) or not str(data).strip():
            raise serializers.ValidationError(_("A stage's id or name."))
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class DealRequest(RequestSerializer):
    """Any subset. ``null`` empties the date and the reason; a reason goes with a deal that is lost."""

    title = Text(deal_title, required=False)
    value = Amount(required=False)
    currency = Text(deal_currency, required=False)
    status = serializers.ChoiceField(choices=SETTABLE, required=False)
    stage = StageField(required=False)
    expected_close_date = serializers.DateField(required=False, allow_null=True, input_formats=["%Y-%m-%d"])
    lost_reason = Text(text_of(150), required=False, allow_null=True)

    def validate_expected_close_date(self, found: date | None) -> date | None:
        if found is not None and not 1970 <= found.year <= 2999:
            raise serializers.ValidationError(_("A date from 1970 to 2999."))
        return found


_COLUMNS = (
    "lead_id", "title", "value", "currency", "status", "is_leading", "person_id", "organization_id", "pipeline_id", "stage_id",
    "expected_close_date", "lost_reason", "problem",
)  # fmt: skip
_TIMES = {
    "created_at": moment("coalesce(crm_deal.remote_created_at, crm_deal.created_at)"),
    "updated_at": moment("coalesce(crm_deal.remote_updated_at, crm_deal.updated_at)"),
}
DEAL_ROW = json_row(Deal, _COLUMNS, {"id": "remote_id"}, _TIMES)


def shown(rows: list[str], setup: Setup) -> list[dict[str, Any]]:
    """Rows as they are answered: with the names of pipelines and stages, which the account has."""
    stages = {stage.id: stage.name for stage in setup.stages}
    return [_with_names(orjson.loads(row), setup.pipelines, stages) for row in rows]


def _with_names(deal: dict[str, Any], pipelines: dict[int, str], stages: dict[int, str]) -> dict[str, Any]:
    pipeline, stage = deal.pop("pipeline_id"), deal.pop("stage_id")
    return {
        "id": deal.pop("id"),
        **deal,
        "pipeline": {"id": pipeline, "name": pipelines.get(pipeline, "")} if pipeline else None,
        "stage": {"id": stage, "name": stages.get(stage, "")} if stage else None,
    }


class NamedPlace(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField(help_text="blank where it is no more")


class DealSerializer(serializers.Serializer):
    """A deal as it is answered."""

    id = serializers.IntegerField(allow_null=True, help_text="Pipedrive's; null while it is not there")
    lead_id = serializers.IntegerField()
    title = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    currency = serializers.CharField()
    status = serializers.ChoiceField(choices=Deal.Status.choices)
    is_leading = serializers.BooleanField(help_text="its stage is the lead's status")
    person_id = serializers.IntegerField(allow_null=True)
    organization_id = serializers.IntegerField(allow_null=True)
    expected_close_date = serializers.DateField(allow_null=True)
    lost_reason = serializers.CharField()
    problem = serializers.CharField(help_text="why it is not there yet; else blank")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    pipeline = NamedPlace(allow_null=True)
    stage = NamedPlace(allow_null=True)


class OneDealSerializer(serializers.Serializer):
    success = serializers.BooleanField()
    deal = DealSerializer()


class DealPage(serializers.Serializer):
    success = serializers.BooleanField()
    results = DealSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)
