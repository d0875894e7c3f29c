"""Tokens: short-lived signed access tokens, and refresh tokens that rotate.

A refresh token works once. Its second use means that somebody copied it, so the whole family (all tokens of that sign-in) dies.
Source: RFC 9700, section 4.14.2.
"""

import hashlib
import secrets
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
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


def issue(membership: Membership, *, family: uuid.UUID | None = None) -> Tokens:
    """New tokens for a member; of a new family, unless one is given."""
    family = family or uuid.uuid4()
    refresh = f"zvr_{secrets.token_urlsafe(36)}"
    RefreshToken.objects.create(
        user=membership.user,
        workspace=membership.workspace,
        family=family,
        digest=_digest(refresh),
        expires_at=timezone.now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    User.objects.filter(pk=membership.user_id).update(last_activity=timezone.now())
    return Tokens(_access_token(membership, family), refresh, family, membership)


def rotate(refresh: str) -> Tokens:
    """New tokens for a refresh token, which is dead from then on.

    Raises TokenInvalid for an unknown, revoked or used one (and then ends its family), TokenExpired for an old one.
    """
    with transaction.atomic():
        token = RefreshToken.objects.select_for_update().filter(digest=_digest(refresh)).first()
        reused = token is not None and (token.used_at or token.revoked_at)
        if token is not None and not reused:
            if token.expires_at <= timezone.now():
                raise TokenExpired
            token.used_at = timezone.now()
            token.save(update_fields=["used_at"])
            return issue(_membership(token), family=token.family)
    if token is not None:
        revoke_family(token.family)
    raise TokenInvalid


def renew(membership: Membership, family: uuid.UUID) -> Tokens:
    """New tokens for somebody who shows a valid access token (or session) of a sign-in that has not been ended."""
    family_tokens = RefreshToken.objects.filter(family=family)
    if not family_tokens.filter(revoked_at=None, used_at=None, expires_at__gt=timezone.now()).exists():
        raise TokenInvalid
    return issue(membership, family=family)


def revoke(refresh: str) -> None:
    """End the sign-in that a refresh token belongs to; an unknown one is nobody's, and nothing happens."""
    token = RefreshToken.objects.filter(digest=_digest(refresh)).first()
    if token:
        revoke_family(token.family)


def revoke_family(family: uuid.UUID) -> None:
    RefreshToken.objects.filter(family=family, revoked_at=None).update(revoked_at=timezone.now())


def revoke_all(user: User) -> None:
    RefreshToken.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())


def forget_expired() -> int:
    """Delete refresh tokens that have expired; returns how many."""
    return RefreshToken.objects.filter(expires_at__lt=timezone.now()).delete()[0]


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
