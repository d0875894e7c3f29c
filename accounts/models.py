"""Users, workspaces and who works where, with which role."""

import uuid
from functools import cache
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.functions import RandomUUID
from django.core.validators import RegexValidator
from django.db import connection, models
from django.db.models.functions import MD5, Cast, Concat, Lower
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from zevix.tenancy import TenantQuerySet


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    def tenants(self) -> Self:
        """Customers' workspaces, without the operator's catalogue."""
        return self.filter(is_catalogue=False)

    def catalogue(self) -> "Workspace":
        """The workspace that holds the operator's own stock of leads; made on first use."""
        return self.get_or_create(is_catalogue=True, defaults={"name": "Catalogue"})[0]

    def default(self) -> "Workspace | None":
        """The workspace of ``ZEVIX_DEFAULT_WORKSPACE`` (a public key); where that is empty the oldest one."""
        named = settings.ZEVIX_DEFAULT_WORKSPACE
        return (self.tenants().filter(public_key=named) if named else self.tenants().order_by("pk")).first()


class Workspace(models.Model):
    """A tenant. One special workspace holds the catalogue, so that its leads are rows like any other and belong to no customer."""

    name = models.CharField(_("name"), max_length=200)
    public_key = models.TextField(
        _("public key"), unique=True, editable=False,
        db_default=Concat(models.Value("pk_"), MD5(Cast(RandomUUID(), models.TextField()))),
        help_text=_("Names the workspace on public pages, such as those with its chat."),
    )  # fmt: skip
    is_catalogue = models.BooleanField(_("catalogue"), default=False, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects: ClassVar[Any] = WorkspaceQuerySet.as_manager()

    class Meta:
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")
        constraints = [
            models.UniqueConstraint(
                fields=["is_catalogue"],
                condition=models.Q(is_catalogue=True),
                name="accounts_there_is_one_catalogue",
            )
        ]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.username = user.username or user.email
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """By e-mail address or username, in any case. An address names its owner, whoever has it as a username."""
        name = (username or "").strip()
        by_email = _is("email", name.lower())
        user = self.filter(by_email | _is("username", name)).order_by(by_email.desc()).first()
        if user is None:
            raise self.model.DoesNotExist
        return user

    def with_email(self, email: str) -> models.QuerySet["User"]:
        return self.filter(_is("email", email.strip().lower()))

    def with_username(self, username: str) -> models.QuerySet["User"]:
        return self.filter(_is("username", username))


def _is(field: str, text: str) -> Any:
    """Whether a user's ``field`` is ``text``, in any case.

    Both sides are folded by the database, just as its unique indexes fold. (``iexact`` folds upwards, where ``ı`` and ``i`` are
    one: it would find two users with names that the index tells apart, and could not use it.)
    """
    return Exact(Lower(field), Lower(models.Value(text)))


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who signs in. ``is_superuser`` is the operator of this installation."""

    email = models.EmailField(_("e-mail address"), max_length=254)
    username = models.CharField(
        _("username"),
        max_length=254,
        blank=True,
        validators=[RegexValidator(r"^[\w.@+-]+\Z", _("Letters, digits and @ . + - _ only."))],
        help_text=_("The e-mail address where none is given."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_beta_user = models.BooleanField(_("beta user"), default=False)
    credentials_version = models.PositiveIntegerField(
        default=1, editable=False, help_text=_("Access tokens of an older version are dead.")
    )
    last_activity = models.DateTimeField(_("last activity"), null=True, blank=True, editable=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(Lower("email"), name="accounts_email_names_one_user"),
            models.UniqueConstraint(Lower("username"), name="accounts_username_names_one_user"),
        ]

    def __str__(self) -> str:
        return self.email

    @cached_property
    def managed_workspaces(self) -> list[int]:
        """The ids of the workspaces that this user may manage."""
        return list(self.memberships.filter(role__in=MANAGING).values_list("workspace_id", flat=True))

    @cached_property
    def administered_workspaces(self) -> list[int]:
        """The ids of the workspaces whose members and roles this user may change."""
        return list(self.memberships.filter(role=Role.ADMIN).values_list("workspace_id", flat=True))

    @property
    def is_staff(self) -> bool:
        """Who may open the admin: the operator, and whoever manages a workspace."""
        return self.is_superuser or bool(self.managed_workspaces)


class Role(models.TextChoices):
    ADMIN = "admin", _("Admin")
    MANAGER = "manager", _("Manager")
    AGENT = "agent", _("Agent")


MANAGING = frozenset({Role.ADMIN, Role.MANAGER})


class MembershipQuerySet(TenantQuerySet["Membership"]):
    def of(self, *, user_id: int, workspace_id: int) -> "Membership | None":
        """The member with user and workspace, in one query.

        Every request asks this, so the statement is written once: composing it anew would take longer than running it.
        """
        with connection.cursor() as cursor:
            cursor.execute(_member_sql(), [user_id, workspace_id])
            row = cursor.fetchone()
        if row is None:
            return None
        values = iter(row)
        read: Any = (
            model.from_db(
                self.db, [field.attname for field in fields], [_read(field, next(values)) for field in fields]
            )
            for model, fields in _member_parts()
        )
        member, member.user, member.workspace = read
        return member


def _read(field: Any, value: Any) -> Any:
    return field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value


@cache
def _member_parts() -> list[tuple[type[models.Model], list[Any]]]:
    return [(model, list(model._meta.concrete_fields)) for model in (Membership, User, Workspace)]


@cache
def _member_sql() -> str:
    columns = ", ".join(
        f'{model._meta.db_table}."{field.column}"' for model, fields in _member_parts() for field in fields
    )
    return (
        f"SELECT {columns} FROM accounts_membership"
        " JOIN accounts_user ON accounts_user.id = accounts_membership.user_id"
        " JOIN accounts_workspace ON accounts_workspace.id = accounts_membership.workspace_id"
        " WHERE accounts_membership.user_id = %s AND accounts_membership.workspace_id = %s"
    )


class Membership(models.Model):
    """A user's place in a workspace, and how they do there (the figures are kept by the leaderboard)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", verbose_name=_("user"))
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships", verbose_name=_("workspace"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.AGENT)
    created_at = models.DateTimeField(_("since"), auto_now_add=True)

    conversion_rate = models.FloatField(default=0, editable=False)
    activity_score = models.FloatField(default=0, editable=False)
    deals_closed = models.PositiveIntegerField(default=0, editable=False)
    current_percentile = models.FloatField(null=True, editable=False)
    current_rank = models.PositiveIntegerField(null=True, editable=False)
    performance_score = models.FloatField(default=0, editable=False)
    badges = models.JSONField(default=list, editable=False)

    objects: ClassVar[Any] = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.UniqueConstraint(fields=["user", "workspace"], name="accounts_one_membership_per_user_and_workspace")
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.workspace}"

    @property
    def manages(self) -> bool:
        """Whether this member may change every lead, delete, merge, undo and distribute."""
        return self.role in MANAGING


class InvitationQuerySet(TenantQuerySet["Invitation"]):
    def open(self) -> Self:
        """Neither accepted nor revoked. Those that have expired are among them: they can be sent again."""
        return self.filter(accepted_at=None, revoked_at=None)

    def acceptable(self) -> Self:
        return self.open().filter(expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A place in a workspace that is offered to an e-mail address. Its token is not kept; `invitations.token_of` knows it."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="invitations", verbose_name=_("workspace"))
    email = models.EmailField(_("e-mail address"), max_length=254)
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.AGENT)
    invited_by = models.ForeignKey(
        User, models.SET_NULL, null=True, editable=False, related_name="+", verbose_name=_("invited by")
    )
    nonce = models.CharField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), editable=False)
    accepted_at = models.DateTimeField(_("accepted"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects: ClassVar[Any] = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="accounts_one_open_invitation_per_workspace_and_address",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.workspace}"

    @property
    def status(self) -> str:
        """``open``, ``expired``, ``accepted`` or ``revoked``."""
        if self.accepted_at:
            return "accepted"
        if self.revoked_at:
            return "revoked"
        return "open" if self.expires_at > timezone.now() else "expired"


class RefreshToken(models.Model):
    """A refresh token, of which only the hash is kept. Each use ends it and begins the next of its family (one sign-in)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="refresh_tokens")
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    family = models.UUIDField(default=uuid.uuid4, db_index=True, editable=False)
    digest = models.BinaryField(unique=True, editable=False)
    created_at = models.DateTimeField(_("issued"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    used_at = models.DateTimeField(_("used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")

    def __str__(self) -> str:
        return str(self.family)
