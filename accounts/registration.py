"""Registering: a user, and a workspace of their own."""

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.errors import AccountExists
from accounts.models import Membership, Role, User, Workspace
from zevix.errors import ValidationFailed

_NAME_LENGTH = Workspace._meta.get_field("name").max_length  # an address may be longer


@transaction.atomic
def register(
    email: str, password: str, *, username: str = "", workspace_name: str = "", is_beta_user: bool = False
) -> Membership:
    """Create a user with a workspace, whose admin they are.

    Raises AccountExists when the address or the username is taken, ValidationFailed for a weak password or somebody else's
    address as a username. ``is_beta_user`` is granted only where the installation is open to it.
    """
    email = email.strip().lower()
    granted = is_beta_user and settings.ZEVIX_BETA_SIGNUP == "open"
    user = create_account(email, password, username=username, is_beta_user=granted)
    workspace = Workspace.objects.create(name=workspace_name or email.split("@")[0][:_NAME_LENGTH])
    return Membership.objects.create(user=user, workspace=workspace, role=Role.ADMIN)


@transaction.atomic
def create_account(email: str, password: str, *, username: str = "", is_beta_user: bool = False) -> User:
    """Create a user who is a member of nothing yet. ``email`` is in small letters. Refuses as `register` does."""
    if "@" in username and username.lower() != email:
        raise ValidationFailed(fields={"username": [_("A username with @ can only be one's own e-mail address.")]})
    check_password_strength(password, User(email=email, username=username))
    _refuse_taken(email, username)
    return _create_user(email=email, username=username, password=password, is_beta_user=is_beta_user)


def check_password_strength(password: str, user: User, *, field: str = "password") -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationFailed(fields={field: list(error.messages)})


def _refuse_taken(email: str, username: str) -> None:
    """Ask before writing: PostgreSQL logs a statement that fails, with the address and the password's hash in it."""
    if User.objects.with_email(email).exists():
        raise AccountExists(field="email")
    if User.objects.with_username(username or email).exists():
        raise AccountExists(field="username" if username else "email")


def _create_user(*, email: str, username: str, password: str, is_beta_user: bool) -> User:
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, username=username, is_beta_user=is_beta_user)
    except IntegrityError:
        _refuse_taken(email, username)  # somebody else was as quick
        raise
