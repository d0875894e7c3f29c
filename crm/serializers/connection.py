"""The connection with Pipedrive as JSON, in and out. The token goes in, and never out."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.models import Connection, TokenMeter
from crm.pipedrive import accounts
from crm.pipedrive.accounts.opening import mapping_of
from crm.pipedrive.mapping import DEFAULTS, OWNERS, Setup
from crm.pipedrive.mapping.setup import ENTITIES
from crm.pipedrive.mapping.stages import OPEN
from zevix.api.serializers import RequestSerializer

SETTABLE = (Connection.State.ACTIVE.value, Connection.State.PAUSED.value)
_MOST_TOKENS, _MOST_REQUESTS = 2**31 - 1, 32_767  # what the columns hold

# In -----------------------------------------------------------------------------------------------------------------------


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 255}]})
class IdOrName(serializers.Field):
    """An id, as a number, or a name."""

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, bool) or not isinstance(data, int | str):
            raise serializers.ValidationError(_("Give an id or a name."))
        if isinstance(data, str) and not 0 < len(data.strip()) <= 255:
            raise serializers.ValidationError(_("Give an id or a name."))
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class MappingEntryRequest(RequestSerializer):
    """A lead's field and the one in Pipedrive, by its name, or by its ``key`` where that is known."""

    lead = serializers.CharField(max_length=210)
    entity = serializers.ChoiceField(choices=ENTITIES)
    field = serializers.CharField(max_length=255, required=False)
    key = serializers.CharField(max_length=100, required=False)
    owner = serializers.ChoiceField(choices=OWNERS, default="latest")

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if not fields.get("field") and not fields.get("key"):
            raise serializers.ValidationError({"field": [_("Give the field's name in Pipedrive.")]})
        return {"field": fields.get("key"), **fields}


class ConnectionRequest(RequestSerializer):
    """Any of these; the first time `api_token`."""

    api_token = serializers.RegexField(r"^[\x21-\x7e]+\Z", max_length=200, required=False, write_only=True)
    domain = serializers.CharField(max_length=300, required=False, allow_blank=True)
    scope = serializers.ChoiceField(choices=Connection.Scope.choices, required=False)
    takes_new = serializers.BooleanField(required=False)
    state = serializers.ChoiceField(choices=SETTABLE, required=False)
    pipeline = IdOrName(required=False)
    stages = serializers.DictField(child=IdOrName(), required=False)
    mapping = serializers.ListField(child=MappingEntryRequest(), max_length=200, required=False)
    daily_tokens = serializers.IntegerField(min_value=1, max_value=_MOST_TOKENS, required=False)
    burst = serializers.IntegerField(min_value=1, max_value=_MOST_REQUESTS, required=False)


# Out ----------------------------------------------------------------------------------------------------------------------


class NamedSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class MappingEntrySerializer(serializers.Serializer):
    lead = serializers.CharField()
    entity = serializers.ChoiceField(choices=ENTITIES)
    field = serializers.CharField(help_text="its name in Pipedrive")
    key = serializers.CharField()
    owner = serializers.ChoiceField(choices=OWNERS)


class AvailableFieldSerializer(serializers.Serializer):
    key = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    options = serializers.ListField(child=serializers.CharField(), help_text="of a choice")


class AvailablePipelineSerializer(NamedSerializer):
    stages = NamedSerializer(many=True)


class AvailableSerializer(serializers.Serializer):
    """What the account has, as it was last read."""

    person = AvailableFieldSerializer(many=True)
    organization = AvailableFieldSerializer(many=True)
    deal = AvailableFieldSerializer(many=True)
    pipelines = AvailablePipelineSerializer(many=True)
    read_at = serializers.DateTimeField(allow_null=True)


class ConnectionWebhookSerializer(serializers.Serializer):
    is_registered = serializers.BooleanField()
    problem = serializers.CharField()


class ConnectionSerializer(serializers.Serializer):
    """Not connected: `{"connected": false}` and no more."""

    connected = serializers.BooleanField()
    source = serializers.ChoiceField(  # type: ignore[assignment]  # REST framework has an attribute of that name
        choices=["workspace", "settings"], required=False, help_text="whose token it is"
    )
    token = serializers.CharField(required=False, help_text="its last four characters")
    domain = serializers.CharField(required=False)
    company = serializers.CharField(required=False)
    user = serializers.CharField(required=False, help_text="whose token it is in Pipedrive")
    state = serializers.ChoiceField(choices=Connection.State.choices, required=False)
    problem = serializers.CharField(required=False, help_text="what is wrong with the whole, and what to do")
    problem_at = serializers.DateTimeField(required=False, allow_null=True)
    retry_at = serializers.DateTimeField(required=False, allow_null=True)
    mapping_problems = serializers.ListField(child=serializers.CharField(), required=False)
    scope = serializers.ChoiceField(choices=Connection.Scope.choices, required=False)
    takes_new = serializers.BooleanField(required=False)
    pipeline = NamedSerializer(required=False, allow_null=True)
    stages = serializers.DictField(child=NamedSerializer(), required=False, help_text="status → stage")
    mapping = MappingEntrySerializer(many=True, required=False)
    available = AvailableSerializer(required=False)
    webhook = ConnectionWebhookSerializer(required=False)
    daily_tokens = serializers.IntegerField(required=False)
    burst = serializers.IntegerField(required=False)
    connected_at = serializers.DateTimeField(required=False)


def as_connection(connection: Connection | None) -> dict[str, Any]:
    """The answer. A connection's takes four queries, and those that find the settings' workspace."""
    if connection is None:
        return {"connected": False}
    setup = accounts.setup_of(connection)
    meter = (
        TokenMeter.objects.for_workspace(connection.workspace_id).filter(connection=connection).first() or TokenMeter()
    )
    return {
        "connected": True,
        "source": "workspace" if connection.sealed_token else "settings",
        "token": accounts.hint(connection),
        "domain": connection.domain,
        "company": connection.company_name,
        "user": connection.account.get("user", ""),
        "state": str(connection.state),
        "problem": connection.problem,
        "problem_at": connection.problem_at,
        "retry_at": connection.retry_at,
        "mapping_problems": mapping_of(connection).problems if connection.account else [],
        "scope": str(connection.scope),
        "takes_new": connection.takes_new,
        "pipeline": _named(connection.pipeline_id, setup.pipelines),
        "stages": _stages(connection, setup),
        "mapping": [_entry(entry, setup) for entry in connection.mapping or DEFAULTS],
        "available": _available(connection, setup),
        "webhook": {"is_registered": connection.webhook_id is not None, "problem": connection.webhook_problem},
        "daily_tokens": meter.daily_limit,
        "burst": meter.burst_limit,
        "connected_at": connection.connected_at,
    }


def _named(number: int | None, names: dict[int, str]) -> dict[str, Any] | None:
    """Without a name what is no longer there."""
    return None if number is None else {"id": number, "name": names.get(number, "")}


def _stages(connection: Connection, setup: Setup) -> dict[str, Any]:
    names = {stage.id: stage.name for stage in setup.stages}
    return {status: _named(connection.stages[status], names) for status in OPEN if status in connection.stages}


def _entry(entry: dict[str, Any], setup: Setup) -> dict[str, Any]:
    """Under the name that the field has by now."""
    there = setup.by_key(entry["entity"], entry["key"])
    return {
        "lead": entry["lead"],
        "entity": entry["entity"],
        "field": there.name if there else entry.get("field", entry["key"]),
        "key": entry["key"],
        "owner": entry["owner"],
    }


def _available(connection: Connection, setup: Setup) -> dict[str, Any]:
    fields: dict[str, Sequence[Any]] = {
        entity: [
            {"key": there.key, "name": there.name, "type": there.kind, "options": list(there.options.values())}
            for there in setup.fields_of(entity)
        ]
        for entity in ENTITIES
    }
    pipelines = [
        {
            "id": number,
            "name": name,
            "stages": [{"id": stage.id, "name": stage.name} for stage in setup.stages_of(number)],
        }
        for number, name in setup.pipelines.items()
    ]
    return {**fields, "pipelines": pipelines, "read_at": connection.account_read_at}
