"""Tokens: short-lived signed access tokens, and refresh tokens that rotate.

A refresh token works once. Its second use means that somebody copied it, so the whole family (all tokens of that sign-in) dies.
Source: RFC 9700, section 4.14.2.
"""

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from accounts.errors import TokenExpired, TokenInvalid
from accounts.models import Membership, RefreshToken, User


@dataclass(frozen=True)
class Tokens:
    """What a sign-in hands out. ``family`` names the sign-in."""

    access: str
    refresh: str
    family: uuid.UUID
    membership: Membership


@transaction.atomic
def issue(membership: Membership, *, family: uuid.UUID | None = None) -> Tokens:
    """New tokens for a member; of a new family, unless one is given.

    Raises TokenInvalid when the password was changed (or the user deleted) since the member was read.
    """
    _note_activity(membership.user)
    family = family or uuid.uuid4()
    refresh = f"zvr_{secrets.token_urlsafe(36)}"
    RefreshToken.objects.create(
        user=membership.user,
        workspace=membership.workspace,
        family=family,
        digest=_digest(refresh),
        expires_at=timezone.now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    return Tokens(_access_token(membership, family), refresh, family, membership)


def rotate(refresh: str) -> Tokens:
    """New tokens for a refresh token, which is dead from then on.

    Raises TokenInvalid for an unknown, revoked or used one (and then ends its family), TokenExpired for an old one.
    """
    named = RefreshToken.objects.filter(digest=_digest(refresh))
    with transaction.atomic():
        _hold_users_of(named)
        token = named.first()
        if token is None:
            raise TokenInvalid
        if not token.used_at and not token.revoked_at:
            if token.expires_at <= timezone.now():
                raise TokenExpired
            token.used_at = timezone.now()
            token.save(update_fields=["used_at"])
            return issue(_membership(token), family=token.family)
        _revoke(RefreshToken.objects.filter(family=token.family))
    raise TokenInvalid  # only here: within the transaction it would undo the revocation


@transaction.atomic
def renew(membership: Membership, family: uuid.UUID) -> Tokens:
    """New tokens for somebody who shows a valid access token (or session) of a sign-in that has not been ended."""
    family_tokens = RefreshToken.objects.filter(family=family)
    _hold_users_of(family_tokens)
    if not family_tokens.filter(revoked_at=None, used_at=None, expires_at__gt=timezone.now()).exists():
        raise TokenInvalid
    return issue(membership, family=family)


def revoke(refresh: str) -> None:
    """End the sign-in that a refresh token belongs to; an unknown one is nobody's, and nothing happens."""
    token = RefreshToken.objects.filter(digest=_digest(refresh)).first()
    if token:
        revoke_family(token.family)


def revoke_family(family: uuid.UUID) -> None:
    _revoke(RefreshToken.objects.filter(family=family))


def revoke_families(families: Iterable[uuid.UUID]) -> None:
    _revoke(RefreshToken.objects.filter(family__in=list(families)))


def revoke_all(user: User) -> None:
    _revoke(RefreshToken.objects.filter(user=user))


@transaction.atomic
def forget(members: Iterable[Membership]) -> None:
    """Delete the refresh tokens of members who left, in that workspace only: else they would be good again if somebody came back.

    Deleted and not revoked, since using a revoked one ends the sign-in in the user's other workspaces, too.
    """
    leaving = list(members)
    _hold(User.objects.filter(pk__in=[member.user_id for member in leaving]))
    for member in leaving:
        RefreshToken.objects.filter(user=member.user_id, workspace=member.workspace_id).delete()


def forget_expired() -> int:
    """Delete refresh tokens that have expired; returns how many."""
    return RefreshToken.objects.filter(expires_at__lt=timezone.now()).delete()[0]


@transaction.atomic
def _revoke(tokens: QuerySet[RefreshToken]) -> None:
    _hold_users_of(tokens)
    tokens.filter(revoked_at=None).update(revoked_at=timezone.now())


def _hold_users_of(tokens: QuerySet[RefreshToken]) -> None:
    _hold(User.objects.filter(pk__in=tokens.values("user")))


def _hold(users: QuerySet[User]) -> None:
    """Let the sign-ins of a user begin and end one at a time, until this transaction ends.

    Else a token issued at the very moment at which its family (or the password) ends would outlive it, unseen by the one who
    ends it. The user's row comes before the tokens' rows, always, so that nobody waits in a circle.
    """
    list(users.order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _note_activity(user: User) -> None:
    """Hold the user's row, too; it is the same as the one read before, or the tokens would be somebody else's."""
    now = timezone.now()
    same = User.objects.filter(pk=user.pk, credentials_version=user.credentials_version)
    if not same.update(last_activity=now):
        raise TokenInvalid
    user.last_activity = now


def _access_token(membership: Membership, family: uuid.UUID) -> str:
    user = membership.user
    token = AccessToken.for_user(user)
    token.payload |= {
        "email": user.email,
        "username": user.username,
        "is_beta_user": user.is_beta_user,
        "workspace": membership.workspace_id,
        "role": membership.role,
        "sid": family.hex,
        "ver": user.credentials_version,
    }
    return str(token)


def _membership(token: RefreshToken) -> Membership:
    membership = (
        Membership.objects.select_related("user", "workspace")
        .filter(user=token.user_id, workspace=token.workspace_id, user__is_active=True)
        .first()
    )
    if membership is None:
        raise TokenInvalid
    return membership


def _digest(refresh: str) -> bytes:
    # 36 random bytes need no slow hash
    return hashlib.sha256(refresh.encode(errors="replace")).digest()
