"""Rules, availability and explanations as JSON."""

from typing import Any

from django.conf import settings
from django.db.models import TextField as TextColumn
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.models import Membership
from accounts.serializers import TextField
from leads.distribution.deciding import NO_MEMBERS, NO_RULE, NOBODY_FREE, Strategy
from leads.distribution.rules import distinct
from leads.models import LEAD_ROW, DistributionRule
from leads.serializers.leads import LeadSerializer
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import moment

# Rows, written by PostgreSQL ------------------------------------------------------------------------------------------------


def _row(columns: str, source: str) -> RawSQL:
    return RawSQL(f"SELECT row_to_json(r)::text FROM (SELECT {columns} {source}) AS r", [], output_field=TextColumn())


_TERRITORY = ("states", "zip_prefixes", "specialties", "tags")


def _of(table: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{table}.{column}" for column in columns)


# members who have left are as good as none
_MEMBERS = f"""
    coalesce((
        SELECT json_agg(shown ORDER BY m.id) FROM leads_rulemember AS m
        JOIN accounts_membership AS seat ON seat.user_id = m.user_id AND seat.workspace_id = leads_distributionrule.workspace_id
        JOIN accounts_user AS person ON person.id = m.user_id
        CROSS JOIN LATERAL (SELECT m.user_id, person.email, m.weight, {_of("m", _TERRITORY)}) AS shown
        WHERE m.rule_id = leads_distributionrule.id
    ), '[]'::json) AS members
"""

RULE_ROW = _row(
    f"{_of('leads_distributionrule', ('id', 'name', 'strategy', 'position', 'is_active', *_TERRITORY))}, {_MEMBERS},"
    f" {moment('leads_distributionrule.created_at')} AS created_at,"
    f" {moment('leads_distributionrule.updated_at')} AS updated_at",
    "",
)

AVAILABILITY_ROW = _row(
    "accounts_membership.user_id, person.email, a.daily_capacity, a.absent_from, a.absent_until, ("
    " SELECT count(*) FROM leads_assignment AS given"
    " WHERE given.workspace_id = accounts_membership.workspace_id AND given.user_id = accounts_membership.user_id"
    " AND given.created_at >= date_trunc('day', now(), 'UTC')"
    ") AS given_today",
    "FROM accounts_user AS person LEFT JOIN leads_availability AS a"
    " ON a.user_id = person.id AND a.workspace_id = accounts_membership.workspace_id"
    " WHERE person.id = accounts_membership.user_id",
)

WAITING_ROW = _row(
    f"leads_waitinglead.lead_id, leads_waitinglead.reason, {moment('leads_waitinglead.created_at')} AS waiting_since,"
    f" (SELECT ({LEAD_ROW.sql})::json FROM leads_lead WHERE leads_lead.id = leads_waitinglead.lead_id) AS lead",
    "",
)

# Requests -------------------------------------------------------------------------------------------------------------------


class Named(serializers.ListField):
    """What a territory names; repeats, in whatever case, count once."""

    def __init__(self) -> None:
        super().__init__(child=TextField(max_length=200), max_length=2_000, required=False)

    def to_internal_value(self, data: Any) -> list[str]:
        return distinct(super().to_internal_value(data))


class TerritoryRequest(RequestSerializer):
    states = Named()
    zip_prefixes = Named()
    specialties = Named()
    tags = Named()


def names_a_territory(fields: dict[str, Any]) -> bool:
    return any(fields.get(name) for name in _TERRITORY)


class RuleMemberRequest(TerritoryRequest):
    user_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    weight = serializers.IntegerField(min_value=1, max_value=1000, default=1)
    email = serializers.CharField(required=False, help_text="As it was read; it changes nothing.")

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields.pop("email", None)
        return fields


class RuleRequest(TerritoryRequest):
    """Any subset of a rule's fields. ``members`` are all that it has afterwards."""

    name = TextField(max_length=200, required=False)
    strategy = serializers.ChoiceField(choices=Strategy.choices, required=False)
    position = serializers.IntegerField(min_value=0, max_value=1_000_000, required=False)
    is_active = serializers.BooleanField(required=False)
    members = RuleMemberRequest(many=True, required=False, max_length=500)  # type: ignore[call-arg]  # goes to the list

    def validate_members(self, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [member["user_id"] for member in members]
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError(_("Nobody can be in a rule twice."))
        known = Membership.objects.for_workspace(self.context["request"].workspace).filter(user__in=ids)
        if known.count() < len(ids):
            raise serializers.ValidationError(_("There is no such member."))
        return members

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        rule: DistributionRule | None = self.context.get("rule")
        strategy = fields.get("strategy", rule.strategy if rule else None)
        if strategy == Strategy.TERRITORY:
            members = fields.get("members")
            if members is None:
                members = list(rule.members.values(*_TERRITORY)) if rule else []
            if not all(map(names_a_territory, members)):
                raise serializers.ValidationError({"members": [_("Each member needs a territory of their own.")]})
        return fields


class NewRuleRequest(RuleRequest):
    name = TextField(max_length=200)


class AvailabilityRequest(RequestSerializer):
    """Any subset. A date that is ``null`` leaves that end open; without both somebody is there."""

    daily_capacity = serializers.IntegerField(min_value=0, max_value=1_000_000, required=False, allow_null=True)
    absent_from = serializers.DateField(required=False, allow_null=True, help_text="The first day away, in UTC")
    absent_until = serializers.DateField(required=False, allow_null=True, help_text="The last day away, in UTC")


class DistributeRequest(RequestSerializer):
    lead_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, allow_empty=False
    )
    filter = serializers.DictField(
        required=False,
        help_text="Filters as `GET /api/v1/leads` has them; of what they find, the leads without an owner",
    )
    reassign = serializers.BooleanField(default=False, help_text="Also those of `lead_ids` that have an owner")

    def validate_lead_ids(self, ids: list[int]) -> list[int]:
        if len(ids) > settings.EXPORT_BATCH_MAX:
            raise serializers.ValidationError(_("At most {limit} ids.").format(limit=settings.EXPORT_BATCH_MAX))
        return list(dict.fromkeys(ids))

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "lead_ids" in fields and "filter" in fields:
            raise serializers.ValidationError(_("Give lead_ids or a filter, not both."))
        if fields["reassign"] and "lead_ids" not in fields:
            raise serializers.ValidationError({"reassign": [_("Only leads that are named can be given to others.")]})
        return fields


# Answers, for the OpenAPI document ------------------------------------------------------------------------------------------


class RuleMemberSerializer(serializers.Serializer):
    user_id = serializers.IntegerField()
    email = serializers.EmailField()
    weight = serializers.IntegerField()
    states = serializers.ListField(child=serializers.CharField())
    zip_prefixes = serializers.ListField(child=serializers.CharField())
    specialties = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())


class RuleSerializer(serializers.ModelSerializer):
    strategy = serializers.ChoiceField(choices=Strategy.choices)
    members = RuleMemberSerializer(many=True)

    class Meta:
        model = DistributionRule
        fields = [
            "id", "name", "strategy", "position", "is_active", *_TERRITORY, "members", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class _Page(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class RulePage(_Page):
    results = RuleSerializer(many=True)


class AvailabilitySerializer(serializers.Serializer):
    user_id = serializers.IntegerField()
    email = serializers.EmailField()
    daily_capacity = serializers.IntegerField(allow_null=True)
    absent_from = serializers.DateField(allow_null=True)
    absent_until = serializers.DateField(allow_null=True)
    given_today = serializers.IntegerField(help_text="Leads that rules have given them today, in UTC")


class AvailabilityPage(_Page):
    results = AvailabilitySerializer(many=True)


_REASONS = [NO_RULE, NO_MEMBERS, NOBODY_FREE]


class WaitingLeadSerializer(serializers.Serializer):
    lead_id = serializers.IntegerField()
    reason = serializers.ChoiceField(choices=_REASONS)
    waiting_since = serializers.DateTimeField()
    lead = LeadSerializer()


class WaitingPage(_Page):
    results = WaitingLeadSerializer(many=True)


class GivenSerializer(serializers.Serializer):
    user_id = serializers.IntegerField()
    count = serializers.IntegerField()


class LeftSerializer(serializers.Serializer):
    lead_id = serializers.IntegerField()
    reason = serializers.ChoiceField(choices=_REASONS)


class DistributedSerializer(serializers.Serializer):
    """``unchanged_count`` are leads that were named and keep their owner, ``unknown_count`` ids that name none."""

    status = serializers.ChoiceField(choices=["completed"])
    distribution = serializers.CharField(help_text="Names it in the leads' history and in events")
    assigned_count = serializers.IntegerField()
    waiting_count = serializers.IntegerField()
    unchanged_count = serializers.IntegerField()
    unknown_count = serializers.IntegerField()
    by_user = GivenSerializer(many=True)
    waiting = LeftSerializer(many=True, help_text="The first 100")


class QueuedSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=["queued"])
    distribution = serializers.CharField()
    lead_count = serializers.IntegerField()


class RuleNameSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    strategy = serializers.ChoiceField(choices=Strategy.choices)


class WhyOwnerSerializer(serializers.Serializer):
    user_id = serializers.IntegerField()
    email = serializers.EmailField()
    by = serializers.CharField(help_text="rule, user, import, api, crm, ai, scrape, catalogue, system")
    rule = RuleNameSerializer(allow_null=True)
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    facts = serializers.DictField()


class WhyWaitingSerializer(serializers.Serializer):
    reason = serializers.ChoiceField(choices=_REASONS)
    message = serializers.CharField()
    since = serializers.DateTimeField()


class WhyScoreSerializer(serializers.Serializer):
    value = serializers.IntegerField(allow_null=True)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # REST framework has an attribute of that name
    at = serializers.DateTimeField(allow_null=True)
    user_id = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()


class WhyPriceSerializer(serializers.Serializer):
    exported = serializers.BooleanField()
    export_id = serializers.IntegerField(allow_null=True)
    cost = serializers.IntegerField()
    reason = serializers.CharField()


class WhySerializer(serializers.Serializer):
    lead_id = serializers.IntegerField()
    owner = WhyOwnerSerializer(allow_null=True)
    waiting = WhyWaitingSerializer(allow_null=True)
    score = WhyScoreSerializer()
    price = WhyPriceSerializer()
