"""How the CRM refuses."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from zevix.errors import Conflict, Forbidden, NotConfigured, Refusal, Rejected, Unreachable


class NotConnected(NotConfigured):
    message = _("This workspace is not connected to Pipedrive. Connect it with an API token.")

    def __init__(self) -> None:
        super().__init__(setting="PIPEDRIVE_API_KEY")


class TokenRefused(Rejected):
    """The account can't be used at all: bad token, closed account. Until somebody mends that, nothing is asked any more."""


class BudgetSpent(Unreachable):
    """The day's tokens are used up, or those that work in the background may use. ``until`` is when there are new ones."""

    message = _("Pipedrive's tokens of today are used up; it goes on at {until}.")

    def __init__(self, *, until: datetime, **details: Any) -> None:
        super().__init__(vendor="Pipedrive", reason="tokens", kind="tokens", until=until, **details)


class Busy(Unreachable):
    """Somebody else is at this very object, or it is not known yet whether it was made. Worth another try soon."""

    message = _("This is being worked on already. Try again in a moment.")


class ForBetaUsers(Forbidden):
    message = _("This is for beta users.")


class Paused(Conflict):
    message = _("The connection with Pipedrive is paused. Let it go on first.")


class WrongPassword(Refusal):
    code, status = "invalid_credentials", 401
    message = _("The webhook's user or password is wrong.")

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Basic"})


class NothingWaits(Conflict):
    message = _("This deal is in Pipedrive already, or nobody wants it any more.")


class MayBeThere(Conflict):
    message = _("Pipedrive was asked for this deal already, and may have made it. Try again in some minutes.")


class AlreadyResolved(Conflict):
    message = _("This conflict is resolved already.")
