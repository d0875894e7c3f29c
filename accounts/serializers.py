"""Accounts as JSON."""

from typing import Any

from rest_framework import serializers

from accounts.models import Membership, User
from accounts.tokens import Tokens
from zevix.api.serializers import RequestSerializer


class TextField(serializers.CharField):
    """Text that came as text. A number is none: 1.0 and 1e0 would be one password, or two."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class AddressField(TextField, serializers.EmailField):
    """An e-mail address in small letters. They count before its length is checked, since some letters grow (İ)."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).lower()


class PasswordField(TextField):
    """A password as it was typed: blanks at its ends count."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=1024, trim_whitespace=False, style={"input_type": "password"}, **kwargs)


class RegisterRequest(RequestSerializer):
    email = AddressField(max_length=254)
    password = PasswordField()
    username = TextField(required=False, allow_blank=True, max_length=150)
    workspace_name = TextField(required=False, allow_blank=True, max_length=200)
    is_beta_user = serializers.BooleanField(required=False, default=False)

    def validate_username(self, username: str) -> str:
        for validator in User._meta.get_field("username").validators:
            validator(username) if username else None
        return username


class LoginRequest(RequestSerializer):
    email = TextField(required=False, allow_blank=True, max_length=254)
    username = TextField(required=False, allow_blank=True, max_length=254)
    password = PasswordField()
    workspace = serializers.IntegerField(
        required=False, help_text="Which of one's workspaces; else the one joined first."
    )

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if not fields.get("email") and not fields.get("username"):
            raise serializers.ValidationError({"email": [self.error_messages["required"]]})
        return fields

    @property
    def identifier(self) -> str:
        return self.validated_data.get("email") or self.validated_data["username"]


class RefreshRequest(RequestSerializer):
    refresh_token = TextField(required=False, max_length=512)


class ChangePasswordRequest(RequestSerializer):
    current_password = PasswordField()
    new_password = PasswordField()


class ResetRequest(RequestSerializer):
    email = AddressField(max_length=254)


class ConfirmResetRequest(RequestSerializer):
    token = TextField(max_length=255)
    new_password = PasswordField()


class WorkspaceInUser(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class UserSerializer(serializers.Serializer):
    """A member as the contract's ``user``."""

    id = serializers.IntegerField(source="user.id")
    email = serializers.EmailField(source="user.email")
    username = serializers.CharField(source="user.username")
    role = serializers.CharField()
    is_beta_user = serializers.BooleanField(source="user.is_beta_user")
    workspace = WorkspaceInUser()
    last_activity = serializers.DateTimeField(source="user.last_activity", allow_null=True)
    conversion_rate = serializers.FloatField()
    activity_score = serializers.FloatField()
    deals_closed = serializers.IntegerField()
    current_percentile = serializers.FloatField(allow_null=True)
    current_rank = serializers.IntegerField(allow_null=True)
    performance_score = serializers.FloatField()
    badges = serializers.ListField(child=serializers.CharField())


class SignedInSerializer(serializers.Serializer):
    """What registering, signing in and refreshing answer; ``token`` is ``access_token``, for older pages."""

    success = serializers.BooleanField()
    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token = serializers.CharField()
    token_type = serializers.CharField()
    user = UserSerializer()


class DoneSerializer(serializers.Serializer):
    success = serializers.BooleanField()


def signed_in(tokens: Tokens) -> dict[str, Any]:
    return {
        "success": True,
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "token": tokens.access,
        "token_type": "bearer",
        "user": as_user(tokens.membership),
    }


def as_user(membership: Membership) -> dict[str, Any]:
    return dict(UserSerializer(membership).data)
