"""How accounts refuse."""

from django.utils.translation import gettext_lazy as _

from zevix.errors import Conflict, Refusal, Unauthenticated


class InvalidCredentials(Unauthenticated):
    code = "invalid_credentials"
    message = _("The e-mail address, the username or the password is wrong.")


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    message = _("This token is not valid.")


class TokenExpired(Unauthenticated):
    code = "token_expired"
    message = _("This token has expired.")


class AccountExists(Conflict):
    message = _("There is an account with this {field} already.")


class AlreadyMember(Conflict):
    message = _("Somebody with this address is a member already.")


class LastAdmin(Conflict):
    message = _("A workspace keeps at least one admin; make somebody else an admin first.")


class SeatLimitReached(Conflict):
    code = "seat_limit_reached"
    message = _("All {limit} seats are taken: members {members}, open invitations {invited}.")


class MailNotSent(Refusal):
    code, status = "upstream_error", 502
    message = _("The mail could not be handed to the mail server ({reason}).")
