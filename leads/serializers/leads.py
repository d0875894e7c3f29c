"""Leads as JSON."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import Membership
from leads.custom_fields import Definitions, InvalidValues
from leads.models import DisgType, EmailStatus, Lead, LeadStatus
from leads.values import ALIASES, CLEANERS, IDENTIFYING, custom_fields
from zevix.api.serializers import RequestSerializer

_KEPT_BY_US = {"id", "import_batch_id", "created_at", "updated_at", "version", "email_status", "exported"}


class CleanedField(serializers.Field):
    """A field whose rule stands in `leads.values`. ``null`` empties it."""

    def __init__(self, accepts: tuple[type, ...] = (str, int, float), empty: Any = "", **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)
        self.accepts, self.empty = accepts, empty

    @property
    def cleaner(self) -> Callable[[Any], Any]:
        return CLEANERS[ALIASES.get(self.field_name or "", self.field_name or "")]

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, self.empty) if data is None or data == "" else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, self.accepts) or (isinstance(data, bool) and bool not in self.accepts):
            raise serializers.ValidationError(_("This is of the wrong type."))
        try:
            return self.cleaner(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error))

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "string"})
class Text(CleanedField):
    pass


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class Listed(CleanedField):
    def __init__(self) -> None:
        super().__init__(accepts=(list, str), empty=[])


@extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
class Moment(CleanedField):
    def __init__(self) -> None:
        super().__init__(accepts=(str,), empty=None)


@extend_schema_field({"type": "boolean", "nullable": True})
class YesNo(CleanedField):
    def __init__(self, empty: bool | None = None) -> None:
        super().__init__(accepts=(bool, str), empty=empty)


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": 100, "nullable": True})
class Score(CleanedField):
    def __init__(self) -> None:
        super().__init__(accepts=(int, str), empty=None)


@extend_schema_field({"type": "string", "enum": LeadStatus.values})
class Status(CleanedField):
    def __init__(self) -> None:
        super().__init__(accepts=(str,), empty=LeadStatus.NEW.value)


@extend_schema_field({"type": "string", "enum": ["", *DisgType.values]})
class Disg(CleanedField):
    pass


@extend_schema_field({"type": "object", "additionalProperties": True})
class Extra(serializers.Field):
    """Custom fields: a JSON object, of at most 64 KiB."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            custom_fields(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error))
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class LeadRequest(RequestSerializer):
    """Any subset of a lead's fields. Those that we keep ourselves may be sent along, and change nothing."""

    external_id = Text()
    name = Text()
    email = Text()
    phone = Text()
    company = Text()
    website = Text()
    channel = Text()
    owner_phone = Text()
    address = Text()
    city = Text()
    state = Text()
    zip_code = Text()
    country = Text()
    ein = Text()
    npi = Text()
    entity_type = Text()
    providers = Listed()
    specialties = Listed()
    is_sole_proprietor = YesNo()
    status = Status()
    score = Score()
    needs_action = YesNo(empty=False)
    next_action_at = Moment()
    next_action_description = Text()
    last_contact = Moment()
    disg_type = Disg()
    notes = Text()
    tags = Listed()
    source = Text()  # type: ignore[assignment]  # REST framework has an attribute of that name
    extra = Extra(required=False)
    assigned_user_id = serializers.IntegerField(required=False, allow_null=True, min_value=1)

    practice_name = Text()
    owner_name = Text()
    practice_phone = Text()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if name not in _KEPT_BY_US}
        return super().to_internal_value(data)

    def validate_assigned_user_id(self, user_id: int | None) -> int | None:
        workspace = self.context["request"].workspace
        if user_id is not None and not Membership.objects.for_workspace(workspace).filter(user=user_id).exists():
            raise serializers.ValidationError(_("There is no such member."))
        return user_id

    def validate_extra(self, extra: dict[str, Any]) -> dict[str, Any]:
        if not extra:
            return extra
        try:
            return Definitions.of(self.context["request"].workspace).clean(extra)
        except InvalidValues as error:
            raise serializers.ValidationError({key: [sentence] for key, sentence in error.problems.items()})

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        for alias, name in ALIASES.items():
            if alias not in fields:
                continue
            value = fields.pop(alias)
            if fields.setdefault(name, value) != value:
                raise serializers.ValidationError({alias: [_("It differs from {name}.").format(name=name)]})
        return fields


class NewLeadRequest(LeadRequest):
    """A lead to add: something must tell who it is."""

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().validate(fields)
        if not any(fields.get(name) for name in IDENTIFYING):
            raise serializers.ValidationError(_("Give at least one of: {names}.").format(names=", ".join(IDENTIFYING)))
        return fields


class LeadSerializer(serializers.ModelSerializer):
    """A lead as it is answered; for the OpenAPI document (rows are read flat, without serializers)."""

    assigned_user_id = serializers.IntegerField(allow_null=True)
    import_batch_id = serializers.IntegerField(allow_null=True)
    status = Status()
    disg_type = Disg()
    email_status = serializers.ChoiceField(choices=EmailStatus.choices)
    extra = serializers.DictField()
    practice_name = serializers.CharField(source="company")
    owner_name = serializers.CharField(source="name")
    practice_phone = serializers.CharField(source="phone")

    class Meta:
        model = Lead
        fields = [*Lead.COLUMNS, "practice_name", "owner_name", "practice_phone"]
        read_only_fields = fields


class CatalogueLeadSerializer(LeadSerializer):
    exported = serializers.BooleanField()

    class Meta(LeadSerializer.Meta):
        fields = [*LeadSerializer.Meta.fields, "exported"]
        read_only_fields = fields


class LeadPage(serializers.Serializer):
    results = LeadSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class CataloguePage(LeadPage):
    results = CatalogueLeadSerializer(many=True)


class AddedLead(serializers.Serializer):
    success = serializers.BooleanField()
    lead = LeadSerializer()


class RecentLeads(serializers.Serializer):
    success = serializers.BooleanField()
    leads = LeadSerializer(many=True)


class ListedLeads(RecentLeads):
    total = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)


class Standing(serializers.Serializer):
    """How the month's quota stands."""

    used = serializers.IntegerField()
    remaining = serializers.IntegerField()
    limit = serializers.IntegerField()
    month = serializers.CharField(help_text="YYYY-MM")


class EmbedSignedIn(Standing):
    success = serializers.BooleanField()
    token = serializers.CharField()
    refresh_token = serializers.CharField()
    email = serializers.EmailField()
    plan = serializers.CharField()


class EmbedRefreshed(EmbedSignedIn):
    stale = serializers.BooleanField(required=False)


class ExportReceipt(Standing):
    success = serializers.BooleanField()
    new_ids = serializers.ListField(child=serializers.CharField())
    duplicate_ids = serializers.ListField(child=serializers.CharField())
    not_exported = serializers.ListField(child=serializers.CharField())
    unknown_ids = serializers.ListField(child=serializers.CharField())
    export_id = serializers.IntegerField()
    message = serializers.CharField()


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "integer"}]})
class LeadId(serializers.Field):
    """A lead's ``id`` or ``external_id``, as a text or a number."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, str | int):
            raise serializers.ValidationError(_("An id is a text or a whole number."))
        found = str(data).strip()
        if len(found) > 200 or "\x00" in found:
            raise serializers.ValidationError(_("This is no id."))
        return found

    def to_representation(self, value: Any) -> Any:
        return value


class ExportLeadRequest(RequestSerializer):
    lead_id = LeadId()


class ExportBatchRequest(RequestSerializer):
    lead_ids = serializers.ListField(child=LeadId())

    def validate_lead_ids(self, ids: list[str]) -> list[str]:
        distinct = list(dict.fromkeys(filter(None, ids)))
        if not distinct:
            raise serializers.ValidationError(_("There is no usable id."))
        if len(ids) > settings.EXPORT_BATCH_MAX:
            raise serializers.ValidationError(_("At most {limit} ids.").format(limit=settings.EXPORT_BATCH_MAX))
        return distinct
