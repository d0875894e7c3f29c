"""Signing in with a password, and keeping out those who guess."""

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db.models import Sum
from django.db.models.functions import Least
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import InvalidCredentials
from accounts.models import Membership, User
from zevix.addresses import client_address
from zevix.errors import RateLimited, ValidationFailed

_WINDOW = int(settings.AXES_COOLOFF_TIME.total_seconds())


def sign_in(identifier: str, password: str, *, request: HttpRequest, workspace_id: int | None = None) -> Membership:
    """The member whom an e-mail address or username and a password name, in the workspace given, else in the one joined first.

    Raises InvalidCredentials; RateLimited once an account, or an address over many accounts, has failed too often;
    ValidationFailed when the password is right, but the user is no member of that workspace.
    """
    user = recognise(identifier, password, request=request)
    memberships = user.memberships.select_related("user", "workspace").order_by("pk")
    if workspace_id is not None:
        memberships = memberships.filter(workspace=workspace_id)
    membership = memberships.first()
    if membership is None and workspace_id is not None:
        raise ValidationFailed(fields={"workspace": [_("You are no member of this workspace.")]})
    if membership is None:
        raise InvalidCredentials
    return membership


def recognise(identifier: str, password: str, *, request: HttpRequest) -> User:
    """The user whom an e-mail address or username and a password name. Refuses as `sign_in` does.

    Requests that come at the same moment are checked against the same count, so as many more guesses as there are threads may pass.
    """
    if _failures_of(client_address(request)) >= settings.LOGIN_ADDRESS_LIMIT:
        raise RateLimited(seconds=_WINDOW)
    user = authenticate(request=request, username=identifier, password=password)
    if user is None:
        # the failure that fills the measure was still a guess, and is answered as one
        locked_out_before = (getattr(request, "axes_failures_since_start", 0) or 0) > settings.AXES_FAILURE_LIMIT
        raise RateLimited(seconds=_WINDOW) if locked_out_before else InvalidCredentials
    user_logged_in.send(sender=type(user), request=request, user=user)  # forgets the account's failures
    return user


def _failures_of(address: str) -> int:
    """How often an address has guessed wrongly of late, all accounts together.

    Knocking at an account that is locked out already is no guess, else one stubborn script would lock out its whole office.
    """
    recent = AccessAttempt.objects.filter(
        ip_address=address, attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME
    )
    guesses = Sum(Least("failures_since_start", settings.AXES_FAILURE_LIMIT))
    return recent.aggregate(found=guesses)["found"] or 0
