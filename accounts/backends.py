"""How credentials are checked, and what the lock-out counts by."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.models import User


class EmailOrUsername(ModelBackend):
    """Password sign-in by e-mail address or username.

    ``UserManager.get_by_natural_key`` knows both; Django's backend does the rest, and hashes a password for unknown names too, so
    that the time taken tells nothing.
    """


def account_attempted(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The account that a sign-in is for, by its id, so that trying its two names does not give twice as many tries."""
    name = str(
        (credentials or {}).get("username") or (credentials or {}).get("email") or request.POST.get("username", "")
    )
    try:
        return str(User.objects.get_by_natural_key(name).pk)
    except User.DoesNotExist:
        return name.strip().lower()[:254]
