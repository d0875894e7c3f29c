"""Acts upon many leads as JSON."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Membership
from leads.bulk import NAMING, Change
from leads.filters import Asker
from leads.models import BulkChange
from leads.selections import Selection
from leads.serializers.leads import LeadRequest, Listed
from leads.values import CLEANERS, MAX_ITEMS
from zevix.api.serializers import RequestSerializer
from zevix.errors import ValidationFailed
from zevix.json_rows import json_row

MAX_IDS = 10_000

_SEEN = "coalesce((leads_bulkchange.selection ->> 'seen')::bigint, 0)"

BULK_ROW = json_row(
    BulkChange,
    ("status", "kind", "changes", "progress", "matched_count", "failure", "user_id", "created_at", "finished_at"),
    {"bulk_id": "id"},
    {
        "changed_count": "CASE WHEN leads_bulkchange.kind = 'delete' THEN 0 ELSE leads_bulkchange.changed_count END",
        "deleted_count": "CASE WHEN leads_bulkchange.kind = 'delete' THEN leads_bulkchange.changed_count ELSE 0 END",
        "unchanged_count": f"{_SEEN} - leads_bulkchange.changed_count",
        "unknown_count": "CASE WHEN leads_bulkchange.selection ? 'ids'"
        " THEN jsonb_array_length(leads_bulkchange.selection -> 'ids') - leads_bulkchange.matched_count ELSE 0 END",
    },
)


class LeadIds(serializers.ListField):
    """Leads' ids, each once."""

    child = serializers.IntegerField(min_value=1, max_value=2**63 - 1)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_empty": False, "max_length": MAX_IDS, **kwargs})

    def to_internal_value(self, data: Any) -> list[int]:
        return list(dict.fromkeys(super().to_internal_value(data)))


@extend_schema_field({"type": "object", "additionalProperties": True})
class FilterField(serializers.Field):
    """Filters as the list's query has them: name → value, or values."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        request = self.context["request"]
        try:
            Selection(filter=data).leads(Asker(request.workspace, request.user.pk))
        except ValidationFailed as error:
            said = error.fields or {}
            raise serializers.ValidationError(said.get("") or said)
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class SelectionRequest(RequestSerializer):
    """Exactly one of ``ids`` and ``filter``. An empty filter means all leads, and needs ``"all": true``."""

    ids = LeadIds(required=False)
    filter = FilterField(required=False)
    all = serializers.BooleanField(required=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        everything = fields.pop("all", False)
        ids, filter = fields.pop("ids", None), fields.pop("filter", None)
        if (ids is None) == (filter is None):
            raise serializers.ValidationError(_("Give either `ids` or `filter`."))
        if everything and filter != {}:
            raise serializers.ValidationError({"all": [_("It goes with an empty `filter` only.")]})
        if filter == {} and not everything:
            raise serializers.ValidationError({"filter": [_('An empty one means all leads: add `"all": true`.')]})
        return fields | {"selection": Selection(ids, filter)}


class SetRequest(LeadRequest):
    """Fields that many leads may have alike."""

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        naming = {name: [_("It names one lead, and can't be the same for many.")] for name in NAMING if name in fields}
        if naming:
            raise serializers.ValidationError(naming)
        if not fields:
            raise serializers.ValidationError(_("Give at least one field."))
        return fields


@extend_schema_field(
    {
        "oneOf": [
            {"type": "integer", "nullable": True},
            {"type": "array", "items": {"type": "integer"}},
            {"type": "object", "properties": {"user_id": {"type": "integer", "nullable": True}}},
        ]
    }
)
class Assignees(serializers.Field):
    """A user's id, ``{"user_id"}``, or null for nobody; of a list, each gets the leads in turn."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, [None]) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> list[int | None]:
        if isinstance(data, dict):
            if data.keys() != {"user_id"}:
                raise serializers.ValidationError(_("An object has `user_id`, and nothing else."))
            data = data["user_id"]
            if data is None:
                return [None]
        users = data if isinstance(data, list) else [data]
        if not 1 <= len(users) <= MAX_ITEMS or any(type(user) is not int or not 0 < user < 2**63 for user in users):
            raise serializers.ValidationError(_("A user's id, or a list of up to {limit}.").format(limit=MAX_ITEMS))
        workspace = self.context["request"].workspace
        members = Membership.objects.for_workspace(workspace).filter(user__in=users)
        strangers = set(users) - set(members.values_list("user_id", flat=True))
        if strangers:
            named = ", ".join(map(str, sorted(strangers)))
            raise serializers.ValidationError(_("There is no such member: {names}.").format(names=named))
        return list(dict.fromkeys(users))

    def to_representation(self, value: Any) -> Any:
        return value


class Tags(Listed):
    @property
    def cleaner(self) -> Any:
        return CLEANERS["tags"]


class BulkRequest(SelectionRequest):
    """Which leads, and exactly one of ``set``, ``assign`` and ``delete``; tags alone, or along with ``set``."""

    set = SetRequest(required=False)
    add_tags = Tags()
    remove_tags = Tags()
    assign = Assignees(required=False)
    delete = serializers.BooleanField(required=False)
    dry_run = serializers.BooleanField(required=False, default=False)

    def validate_delete(self, wanted: bool) -> bool:
        if not wanted:
            raise serializers.ValidationError(_("Only `true`; else leave it out."))
        return wanted

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        tags = {name: fields.pop(name, []) for name in ("add_tags", "remove_tags")}
        acts = [name for name in ("set", "assign", "delete") if name in fields]
        if len(acts) > 1 or not (acts or any(tags.values())):
            raise serializers.ValidationError(_("Give exactly one of `set`, `assign` and `delete`, or tags."))
        if any(tags.values()) and acts not in ([], ["set"]):
            raise serializers.ValidationError(_("Tags go with `set`, or alone."))
        self._refuse_impossible(tags, fields)
        change = Change(
            fields.get("set"), **tags, users=fields.get("assign"), delete=fields.get("delete", False)
        )  # fmt: skip
        return {"selection": fields["selection"], "change": change, "dry_run": fields["dry_run"]}

    def _refuse_impossible(self, tags: dict[str, list[str]], fields: dict[str, Any]) -> None:
        both = {*tags["add_tags"]} & {*tags["remove_tags"]}
        if both:
            raise serializers.ValidationError({"remove_tags": [_("They are to be added: {names}.").format(names=", ".join(sorted(both)))]})  # fmt: skip
        if len({*fields.get("set", {}).get("tags", []), *tags["add_tags"]}) > MAX_ITEMS:
            raise serializers.ValidationError({"add_tags": [_("At most {limit} entries.").format(limit=MAX_ITEMS)]})


class BulkSerializer(serializers.Serializer):
    """What became of an act upon many leads. Until it is completed, ``matched_count`` is how many there were when it was asked for."""

    bulk_id = serializers.IntegerField(allow_null=True, help_text="null for a dry run, which has nothing but counts")
    status = serializers.ChoiceField(choices=BulkChange.Status.choices)
    kind = serializers.ChoiceField(choices=BulkChange.Kind.choices)
    changes = serializers.DictField(required=False)
    progress = serializers.IntegerField(help_text="percent")
    matched_count = serializers.IntegerField()
    changed_count = serializers.IntegerField()
    deleted_count = serializers.IntegerField()
    unchanged_count = serializers.IntegerField(help_text="as it was asked for already")
    unknown_count = serializers.IntegerField(help_text="ids of no lead of this workspace")
    failure = serializers.CharField(required=False)
    user_id = serializers.IntegerField(allow_null=True, required=False)
    created_at = serializers.DateTimeField(required=False)
    finished_at = serializers.DateTimeField(allow_null=True, required=False)


class BulkPage(serializers.Serializer):
    results = BulkSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)
