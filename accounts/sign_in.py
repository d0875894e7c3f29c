"""Signing in with a password, and keeping out those who guess."""

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.core.cache import cache
from django.http import HttpRequest

from accounts.errors import InvalidCredentials
from accounts.models import Membership
from zevix.addresses import client_address
from zevix.errors import RateLimited

_WINDOW = int(settings.AXES_COOLOFF_TIME.total_seconds())


def sign_in(identifier: str, password: str, *, request: HttpRequest) -> Membership:
    """The member (in the workspace joined first) whom an e-mail address or username and a password name.

    Raises InvalidCredentials; RateLimited once an account, or an address over many accounts, has failed too often.
    """
    failures = f"sign-in-failures:{client_address(request)}"
    if cache.get(failures, 0) >= settings.LOGIN_ADDRESS_LIMIT:
        raise RateLimited(seconds=_WINDOW)
    user = authenticate(request=request, username=identifier, password=password)
    if getattr(request, "axes_locked_out", False):
        raise RateLimited(seconds=_WINDOW)
    membership = user and user.memberships.select_related("user", "workspace").order_by("pk").first()
    if not user or not membership:
        cache.add(failures, 0, _WINDOW)
        cache.incr(failures)
        raise InvalidCredentials
    user_logged_in.send(sender=type(user), request=request, user=user)  # forgets the account's failures
    return membership
