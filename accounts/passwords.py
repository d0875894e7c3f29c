"""Changing a password, knowing the old one or by a mailed link. Either ends every session and token of the user."""

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.encoding import force_bytes, force_str
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts import mail, tokens
from accounts.errors import InvalidCredentials, TokenInvalid
from accounts.models import User
from accounts.registration import check_password_strength
from accounts.sign_in import recognise
from zevix.errors import ValidationFailed


def change(user: User, current: str, new: str, *, request: HttpRequest) -> None:
    """Raises ValidationFailed when ``current`` is wrong or ``new`` is weak; RateLimited after too many wrong ones.

    A wrong one counts as a failed sign-in: else whoever got hold of an access token could guess the password without end.
    """
    try:
        recognise(user.email, current, request=request)
    except InvalidCredentials:
        raise ValidationFailed(fields={"current_password": [_("This is not your current password.")]})
    set_new(user, new)


@transaction.atomic
def set_new(user: User, new: str, *, field: str = "new_password") -> None:
    check_password_strength(new, user, field=field)
    user.set_password(new)
    # ends the access tokens; the sessions die by themselves: they carry a hash of the password
    user.credentials_version = F("credentials_version") + 1
    user.save(update_fields=["password", "credentials_version"])
    user.refresh_from_db(fields=["credentials_version"])
    tokens.revoke_all(user)


def request_reset(email: str, *, language: str) -> None:
    """Mail a link, if the address is somebody's; the caller can't tell whether it was."""
    from accounts.jobs import mail_reset_link

    user = User.objects.with_email(email).filter(is_active=True).first()
    if user:
        mail_reset_link.defer(user_id=user.pk, language=language)


def mail_link(user: User, language: str) -> None:
    """Raises MailNotSent, which does not tell the address: a job's error goes to the log."""
    uid, token = urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)
    link = settings.PUBLIC_URL + reverse("password-reset-page", args=[uid, token])
    with override(language):
        subject = _("Set a new password for Zevix")
        text = _(
            "Somebody, most likely you, asked for a new password. Set it here within an hour:\n\n{link}\n\n"
            "For programs: the token is {token}\n\n"
            "If it was not you, there is nothing to do."
        ).format(link=link, token=f"{uid}.{token}")
    mail.send(subject, text, to=user.email)


@transaction.atomic
def confirm_reset(token: str, new: str) -> None:
    """Set the password that a mailed token allows. Raises TokenInvalid for one that is wrong, used or older than an hour."""
    uid, _dot, proof = token.partition(".")
    try:
        # held, so that a second use at the same moment is checked against the new password
        named = User.objects.select_for_update(no_key=True).filter(pk=int(force_str(urlsafe_base64_decode(uid))))
        user = named.filter(is_active=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or not default_token_generator.check_token(user, proof):
        raise TokenInvalid
    set_new(user, new)
