"""Who is asking: by access token, or, for the embed routes, by session cookie from an allowed page."""

import uuid
from typing import Any, cast

import structlog
from django.contrib.auth import get_user
from django.db.models import Exists
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import AccessToken

from accounts import origins
from accounts.errors import TokenExpired, TokenInvalid
from accounts.models import Membership, RefreshToken, User
from accounts.requests import SignedInRequest

Authenticated = tuple[User, Membership]


class AccessTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer …``. Sets ``request.workspace`` and ``request.membership``; one query."""

    def authenticate(self, request: Request) -> Authenticated | None:
        text = bearer(request)
        if text is None:
            return None
        claims = read(text)
        membership = Membership.objects.of(user_id=int(claims["sub"]), workspace_id=int(claims["workspace"]))
        if membership is None or not membership.user.is_active or membership.user.credentials_version != claims["ver"]:
            raise TokenInvalid
        return enter(request, membership, uuid.UUID(claims["sid"]))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionFromAllowedOrigin(BaseAuthentication):
    """The session cookie of ``/zevix/login``, without an ``Authorization`` header and from an allowed ``Origin`` only.

    The ``Origin`` rule is what protects against forged requests: browsers always tell it, and a page can't choose its own.
    """

    def authenticate(self, request: Request) -> Authenticated | None:
        if bearer(request) is not None or not origin_allowed(request):
            return None
        return authenticate_session(request)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def authenticate_session(request: Request) -> Authenticated | None:
    """The member whom the session cookie names, if the session still holds: it ends with its sign-in."""
    # not `request._request.user`: REST framework has put an anonymous one there already, where a view authenticates nobody
    user = get_user(request._request)
    session = request._request.session
    if not user.is_authenticated or "workspace" not in session:
        return None
    sign_in_lasts = Exists(RefreshToken.objects.filter(family=session["family"], revoked_at=None))
    membership = (
        Membership.objects.select_related("user", "workspace")
        .filter(sign_in_lasts, user=user.pk, workspace=session["workspace"], user__is_active=True)
        .first()
    )
    return None if membership is None else enter(request, membership, uuid.UUID(session["family"]))


def enter(request: Request, membership: Membership, family: uuid.UUID) -> Authenticated:
    signed_in = cast(SignedInRequest, request)
    signed_in.membership = membership
    signed_in.workspace = membership.workspace
    signed_in.sign_in = family
    structlog.contextvars.bind_contextvars(user=membership.user_id, workspace=membership.workspace_id)
    return membership.user, membership


def bearer(request: Request) -> str | None:
    """The Bearer token's text; None without an ``Authorization`` header."""
    header = get_authorization_header(request)
    if not header:
        return None
    scheme, _, text = header.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise TokenInvalid
    return text.strip()


def read(text: str) -> dict[str, Any]:
    """The claims of an access token. Raises TokenExpired or TokenInvalid."""
    try:
        claims = AccessToken(text).payload  # type: ignore[arg-type]  # simplejwt annotates its own class
    except ExpiredTokenError:
        raise TokenExpired
    except TokenError:
        raise TokenInvalid
    if not {"sub", "workspace", "ver", "sid"} <= claims.keys():
        raise TokenInvalid
    return claims


def subject_of_expired(text: str) -> str:
    """Whose an access token was, once `read` has found its signature right and its time over."""
    return str(AccessToken(text, verify=False).payload["sub"])  # type: ignore[arg-type]  # simplejwt annotates its own class


def origin_allowed(request: Request) -> bool:
    """Whether the page that asks is one of ours or on the list (``CORS_ALLOWED_ORIGINS``)."""
    origin = request.META.get("HTTP_ORIGIN", "")
    if not origin:
        return False
    return origins.is_listed(origin) or origin == f"{request.scheme}://{request.get_host()}"


class AccessTokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.SessionFromAllowedOrigin"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "zevix_session"}
