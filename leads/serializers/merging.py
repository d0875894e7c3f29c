"""Duplicates and merges as JSON."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leads import duplicates
from leads.merging import survivorship
from leads.merging.merging import Wish
from leads.models import DuplicatePair
from leads.serializers.leads import LeadRequest, LeadSerializer
from leads.serializers.undo import KeptSerializer
from leads.values import ALIASES
from zevix.api.serializers import RequestSerializer

MAX_MERGES, MAX_LOSERS, MAX_LEADS = 1_000, 100, 10_000
# what is known of an address follows it: to choose it would make a lead dead that is not
_CHOOSABLE = set(survivorship.FIELDS) - {"catalogue_lead_id", "email_status"}


class LeadKey(serializers.IntegerField):
    """A lead's own id."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=2**63 - 1, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | float):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {
            "oneOf": [{"type": "integer"}, {"type": "object", "required": ["value"], "properties": {"value": {}}}]
        },
    }
)
class Choices(serializers.Field):
    """Field → the lead whose value survives, or ``{"value": …}``. Gives ``(taken_from, given)``."""

    def to_internal_value(self, data: Any) -> tuple[dict[str, int], dict[str, Any]]:
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("A JSON object."))
        taken_from: dict[str, int] = {}
        written: dict[str, Any] = {}
        for name, choice in data.items():
            field = ALIASES.get(name, name)
            if field not in _CHOOSABLE:
                raise serializers.ValidationError(_("There is no field {field}.").format(field=name))
            if isinstance(choice, dict) and choice.keys() == {"value"} and field in LeadRequest().fields:
                written[field] = choice["value"]
            elif type(choice) is int:
                taken_from[field] = choice
            else:
                sentence = _("{field}: name a lead, or give a value as an object with the key value.")
                raise serializers.ValidationError(sentence.format(field=name))
        return taken_from, self._checked(written)

    def _checked(self, written: dict[str, Any]) -> dict[str, Any]:
        if not written:
            return {}
        request = LeadRequest(data=written, context=self.context)
        if not request.is_valid():
            problems = [f"{name}: {line}" for name, lines in request.errors.items() for line in lines]
            raise serializers.ValidationError(problems)
        given: dict[str, Any] = request.validated_data
        if "extra" in given:
            given["extra"] = {key: value for key, value in given["extra"].items() if value is not None}
        return given

    def to_representation(self, value: Any) -> Any:
        return value


def _lead_ids() -> Any:
    return serializers.ListField(child=LeadKey(), required=False, min_length=1, max_length=MAX_LOSERS + 1)


class OneMergeRequest(RequestSerializer):
    """A merge: ``survivor`` (or ``survivor_id``) and ``losers``, or ``lead_ids``, among which the survivor may be."""

    survivor = LeadKey(required=False)
    survivor_id = LeadKey(required=False)
    losers = _lead_ids()
    lead_ids = _lead_ids()
    values = Choices(required=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        survivor = _one_of(fields, "survivor", "survivor_id")
        losers = _one_of(fields, "losers", "lead_ids")
        if "lead_ids" in fields:
            losers = [lead_id for lead_id in losers if lead_id != survivor]
        if not 1 <= len(losers) <= MAX_LOSERS:
            sentence = _("Name 1 to {limit} leads besides the survivor.").format(limit=MAX_LOSERS)
            raise serializers.ValidationError({"losers": [sentence]})
        taken_from, given = fields.get("values", ({}, {}))
        return {"wish": Wish(survivor, tuple(losers), taken_from, given)}


def _one_of(fields: dict[str, Any], name: str, alias: str) -> Any:
    """The value given by either name."""
    if name in fields and alias in fields:
        raise serializers.ValidationError(
            {alias: [_("Give {name} or {alias}, not both.").format(name=name, alias=alias)]}
        )
    if name not in fields and alias not in fields:
        raise serializers.ValidationError({name: [_("This field is required.")]})
    return fields.get(name, fields.get(alias))


class MergeRequest(OneMergeRequest):
    """One merge, or up to 1,000 under ``merges``. ``preview`` tells what would come of them."""

    merges = serializers.ListField(child=OneMergeRequest(), required=False, min_length=1, max_length=MAX_MERGES)
    preview = serializers.BooleanField(default=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        preview = fields.pop("preview")
        if "merges" not in fields:
            return {"wishes": [super().validate(fields)["wish"]], "preview": preview, "several": False}
        if len(fields) > 1:
            raise serializers.ValidationError({"merges": [_("Give one merge, or merges.")]})
        wishes = [one["wish"] for one in fields["merges"]]
        if sum(len(wish.lead_ids) for wish in wishes) > MAX_LEADS:
            raise serializers.ValidationError({"merges": [_("At most {limit} leads in all.").format(limit=MAX_LEADS)]})
        return {"wishes": wishes, "preview": preview, "several": True}


# Answers ------------------------------------------------------------------------------------------------------------------


class PairSerializer(serializers.Serializer):
    """Two leads that may be one. ``survivor`` is the id of the more complete one, else of the older."""

    id = serializers.IntegerField()
    leads = LeadSerializer(many=True)
    reasons = serializers.ListField(child=serializers.ChoiceField(choices=duplicates.REASONS))
    survivor = serializers.IntegerField()
    state = serializers.ChoiceField(choices=DuplicatePair.State.choices)
    created_at = serializers.DateTimeField()


class PairPage(serializers.Serializer):
    results = PairSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)
    uncompared = serializers.IntegerField(help_text="Leads that are still to be compared.")


class PairState(serializers.Serializer):
    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=DuplicatePair.State.choices)


class MergedSerializer(serializers.Serializer):
    """A merge that was done. With ``merges`` in the request, these stand in a list of that name."""

    merge_id = serializers.IntegerField()
    survivor_id = serializers.IntegerField()
    merged_ids = serializers.ListField(child=serializers.IntegerField())
    lead = LeadSerializer()


class MergePreviewSerializer(serializers.Serializer):
    """Field → ``{"value", "lead_id", "alternatives": [{"lead_id", "value"}]}``; ``lead_id`` is null for a value of several leads."""

    survivor_id = serializers.IntegerField()
    merged_ids = serializers.ListField(child=serializers.IntegerField())
    fields = serializers.DictField()  # type: ignore[assignment]  # REST framework has an attribute of that name


class MergeSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    survivor_id = serializers.IntegerField()
    merged_ids = serializers.ListField(child=serializers.IntegerField())
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    undone_at = serializers.DateTimeField(allow_null=True)


class MergePage(serializers.Serializer):
    results = MergeSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class UnmergedSerializer(serializers.Serializer):
    """``kept`` are the survivor's fields that somebody has changed since the merge; they stay."""

    merge_id = serializers.IntegerField()
    survivor_id = serializers.IntegerField()
    restored_ids = serializers.ListField(child=serializers.IntegerField())
    kept = KeptSerializer(many=True)
    lead = LeadSerializer()
