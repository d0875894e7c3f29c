"""Members, workspaces and invitations as JSON."""

from django.db.models import TextField as TextColumn
from django.db.models.expressions import RawSQL
from rest_framework import serializers

from accounts.models import Role
from accounts.serializers import AddressField, PasswordField, RegisterRequest, TextField
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import moment

# Rows, written by PostgreSQL as `json_row` does, with what stands in the tables beside them ---------------------------------


def _row(columns: str, beside: str) -> RawSQL:
    return RawSQL(
        f"SELECT row_to_json(r)::text FROM (SELECT {columns} FROM {beside}) AS r", [], output_field=TextColumn()
    )


MEMBER_ROW = _row(
    "accounts_membership.id, accounts_membership.user_id, person.email, person.username, accounts_membership.role,"
    f" {moment('person.last_activity')} AS last_activity, {moment('accounts_membership.created_at')} AS joined_at,"
    " accounts_membership.conversion_rate, accounts_membership.activity_score, accounts_membership.deals_closed,"
    " accounts_membership.current_percentile, accounts_membership.current_rank,"
    " accounts_membership.performance_score, accounts_membership.badges",
    "accounts_user AS person WHERE person.id = accounts_membership.user_id",
)

WORKSPACE_ROW = _row(
    f"place.id, place.name, accounts_membership.role, {moment('accounts_membership.created_at')} AS joined_at",
    "accounts_workspace AS place WHERE place.id = accounts_membership.workspace_id",
)

INVITATION_ROW = _row(
    "accounts_invitation.id, accounts_invitation.email, accounts_invitation.role,"
    " CASE WHEN accounts_invitation.expires_at > now() THEN 'open' ELSE 'expired' END AS status,"
    " CASE WHEN person.id IS NOT NULL THEN json_build_object('id', person.id, 'email', person.email) END AS invited_by,"
    f" {moment('accounts_invitation.created_at')} AS created_at, {moment('accounts_invitation.expires_at')} AS expires_at",
    "(SELECT) AS nothing LEFT JOIN accounts_user AS person ON person.id = accounts_invitation.invited_by_id",
)

# Requests -------------------------------------------------------------------------------------------------------------------


class RoleRequest(RequestSerializer):
    role = serializers.ChoiceField(choices=Role.choices)


class InviteRequest(RequestSerializer):
    email = AddressField(max_length=254)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.AGENT.value)


class AcceptRequest(RequestSerializer):
    token = TextField(max_length=255)
    password = PasswordField()
    username = TextField(required=False, allow_blank=True, max_length=150, help_text="For a new account.")

    validate_username = RegisterRequest.validate_username


# Answers, for the OpenAPI document ------------------------------------------------------------------------------------------


class MemberSerializer(serializers.Serializer):
    id = serializers.IntegerField(help_text="The membership's; `user_id` is the user's.")
    user_id = serializers.IntegerField()
    email = serializers.EmailField()
    username = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    last_activity = serializers.DateTimeField(allow_null=True)
    joined_at = serializers.DateTimeField()
    conversion_rate = serializers.FloatField()
    activity_score = serializers.FloatField()
    deals_closed = serializers.IntegerField()
    current_percentile = serializers.FloatField(allow_null=True)
    current_rank = serializers.IntegerField(allow_null=True)
    performance_score = serializers.FloatField()
    badges = serializers.ListField(child=serializers.CharField())


class Inviter(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()


class InvitationSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    status = serializers.ChoiceField(choices=["open", "expired"])
    invited_by = Inviter(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class NewInvitationSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)
    token = serializers.CharField(help_text="Shown this once.")
    expires_at = serializers.DateTimeField()


class PlaceSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    joined_at = serializers.DateTimeField()


class _Page(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class MemberPage(_Page):
    results = MemberSerializer(many=True)


class InvitationPage(_Page):
    results = InvitationSerializer(many=True)


class PlacePage(_Page):
    results = PlaceSerializer(many=True)
