"""Registering: a user, and a workspace of their own."""

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.errors import AccountExists
from accounts.models import Membership, Role, User, Workspace
from zevix.errors import ValidationFailed


@transaction.atomic
def register(
    email: str, password: str, *, username: str = "", workspace_name: str = "", is_beta_user: bool = False
) -> Membership:
    """Create a user with a workspace, whose admin they are.

    Raises AccountExists when the address or the username is taken, ValidationFailed for a weak password. ``is_beta_user`` is
    granted only where the installation is open to it.
    """
    email = email.strip().lower()
    check_password_strength(password, User(email=email, username=username))
    user = _create_user(
        email=email,
        username=username,
        password=password,
        is_beta_user=is_beta_user and settings.ZEVIX_BETA_SIGNUP == "open",
    )
    workspace = Workspace.objects.create(name=workspace_name or email.split("@")[0])
    return Membership.objects.create(user=user, workspace=workspace, role=Role.ADMIN)


def check_password_strength(password: str, user: User, *, field: str = "password") -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationFailed(fields={field: list(error.messages)})


def _create_user(*, email: str, username: str, password: str, is_beta_user: bool) -> User:
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, username=username, is_beta_user=is_beta_user)
    except IntegrityError as error:
        field = "username" if "username" in str(error) and username else "email"
        raise AccountExists(field=field)
