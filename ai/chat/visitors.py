"""Who a visitor is: nobody knows, or their website has signed it.

A website that knows its visitors signs a token (JWT, HS256) with its workspace's secret: ``sub`` names the visitor there, ``exp`` is at
most a day away; ``email``, ``name`` and ``phone`` are welcome. Nobody else can: so what a signed visitor asks may be answered from
what the workspace knows of them.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from django.utils.crypto import salted_hmac

from accounts.models import Workspace
from ai.errors import IdentityExpired, IdentityInvalid
from leads import values
from leads.models import Lead

LIFETIME = timedelta(days=1)
_LEEWAY = 60  # seconds by which the website's clock may be wrong
ALGORITHM = "HS256"
_LONGEST = 200  # characters
_TEXTS = ("email", "name", "phone")
_SNIPPET = """\
import time, jwt  # pip install PyJWT

identity = jwt.encode(
    {{"sub": visitor.id, "email": visitor.email, "name": visitor.name, "exp": int(time.time()) + 3600}},
    "{secret}", algorithm="HS256",
)
"""


@dataclass(frozen=True)
class Identity:
    """``id`` is the website's own name for the visitor."""

    id: str
    email: str = ""
    name: str = ""
    phone: str = ""


def secret_of(workspace: Workspace) -> str:
    """What a workspace's website signs with; as long-lived as ``SECRET_KEY``. Never to be seen by a browser."""
    return salted_hmac("ai.chat.visitors", f"{workspace.pk}:{workspace.public_key}", algorithm="sha256").hexdigest()


def snippet(workspace: Workspace) -> str:
    """How a website's server signs who its visitor is, in Python."""
    return _SNIPPET.format(secret=secret_of(workspace))


def read(token: str, workspace: Workspace) -> Identity:
    """Whom a token names, signed for this workspace. Raises IdentityExpired, IdentityInvalid."""
    claims = _claims(token, workspace)
    if claims["exp"] > time.time() + LIFETIME.total_seconds() + _LEEWAY:
        raise IdentityInvalid
    texts = {name: claims.get(name) or "" for name in _TEXTS}
    if not all(_is_fit(text) for text in (claims["sub"], *texts.values())) or not claims["sub"].strip():
        raise IdentityInvalid
    return Identity(claims["sub"], _address(texts.pop("email")), **texts)


def lead_of(identity: Identity, workspace: Workspace) -> int | None:
    """The oldest of the workspace's leads with the visitor's e-mail address."""
    if not identity.email:
        return None
    found = Lead.objects.for_workspace(workspace).with_email(identity.email).order_by("pk")
    lead_id: int | None = found.values_list("pk", flat=True).first()
    return lead_id


def _claims(token: str, workspace: Workspace) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret_of(workspace),
            algorithms=[ALGORITHM],
            leeway=_LEEWAY,
            options={"require": ["exp", "sub"], "verify_aud": False, "verify_iss": False},
        )
    except jwt.ExpiredSignatureError:
        raise IdentityExpired
    except (
        jwt.InvalidTokenError,
        ValueError,
        OverflowError,
        RecursionError,
    ):  # the latter of times and nestings that are none
        raise IdentityInvalid
    if not isinstance(claims["exp"], int | float):
        raise IdentityInvalid
    return claims


def _is_fit(text: Any) -> bool:
    if not isinstance(text, str) or len(text) > _LONGEST or "\x00" in text:
        return False
    return text.isascii() or text.encode("utf-8", "ignore").decode() == text  # half a surrogate pair is no text


def _address(text: str) -> str:
    try:
        return values.email(text)
    except ValueError:
        raise IdentityInvalid
