"""Inviting people into a workspace, by a mailed link.

The token is signed, and only the nonce in it is kept. So a copy of the database lets nobody in, and yet the job that mails the
link can make it, now and when it is sent again. The price: another ``SECRET_KEY`` ends the links that are out.
"""

import secrets
from datetime import datetime

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts import mail, registration, seats
from accounts.errors import AlreadyMember, TokenInvalid
from accounts.models import Invitation, InvitationQuerySet, Membership, User, Workspace
from accounts.sign_in import recognise


@transaction.atomic
def invite(email: str, role: str, *, by: User, workspace: Workspace, language: str) -> Invitation:
    """Offer an address a place in a workspace, and mail it the link in ``language``. Raises AlreadyMember and SeatLimitReached.

    An open invitation of that address is renewed: it has a new token, and the old one is dead.
    """
    from accounts.jobs import mail_invitation

    email = email.strip().lower()
    # one at a time: else two for the same address would both find none to renew
    seats.lock(workspace)
    if Membership.objects.for_workspace(workspace).filter(user__in=User.objects.with_email(email)).exists():
        raise AlreadyMember
    seats.require_for_invitation(workspace, email)
    invitation, _new = Invitation.objects.open().update_or_create(
        workspace=workspace,
        email=email,
        defaults={"role": role, "invited_by": by, "nonce": secrets.token_urlsafe(24), "expires_at": _expiry()},
    )
    mail_invitation.defer(invitation_id=invitation.pk, language=language)
    return invitation


@transaction.atomic
def resend(invitations: InvitationQuerySet, *, language: str) -> int:
    """Mail the open ones of these again, valid for the whole time anew; returns how many.

    The token stays, so that it does not matter which of the two mails somebody finds. Seats are counted when it is accepted.
    """
    from accounts.jobs import mail_invitation

    chosen = list(invitations.open().select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    Invitation.objects.filter(pk__in=chosen).update(expires_at=_expiry())
    for invitation_id in chosen:
        mail_invitation.defer(invitation_id=invitation_id, language=language)
    return len(chosen)


def revoke(invitations: InvitationQuerySet) -> int:
    """Take back the open ones of these: their links are dead. Returns how many."""
    return invitations.open().update(revoked_at=timezone.now())


def find(token: str) -> Invitation:
    """The invitation that a token opens. Raises TokenInvalid for one that is wrong, used, revoked or expired."""
    return _opened_by(token, Invitation.objects.select_related("workspace", "invited_by"))


def accept(token: str, password: str, *, username: str = "", request: HttpRequest) -> Membership:
    """Make who has the token a member; the user is created, unless the address has an account, whose password it must be then.

    ``username`` is for a new account. Raises TokenInvalid; InvalidCredentials and RateLimited as signing in does;
    AccountExists and ValidationFailed as registering does; SeatLimitReached, and then the invitation stays open.
    """
    found = find(token)
    email = found.email
    user = None
    if has_account(email):
        # outside the transaction, which would forget that somebody guessed
        user = recognise(email, password, request=request)
    with transaction.atomic():
        seats.lock(found.workspace)  # before the invitation, as `invite` does: else the two could wait for each other
        # held, so that a second use at the same moment finds it used
        invitation = _opened_by(token, Invitation.objects.select_for_update(of=("self",)).select_related("workspace"))
        user = user or registration.create_account(email, password, username=username)
        member = Membership.objects.of(user_id=user.pk, workspace_id=invitation.workspace_id)
        if member is None:
            seats.require_for_member(invitation.workspace)
            member = Membership.objects.create(user=user, workspace=invitation.workspace, role=invitation.role)
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
    return member


def has_account(email: str) -> bool:
    return User.objects.with_email(email).exists()


def token_of(invitation: Invitation) -> str:
    return _signer().sign(invitation.nonce)


def link_of(invitation: Invitation) -> str:
    """Where the invitation is accepted."""
    return settings.PUBLIC_URL + reverse("invitation", args=[token_of(invitation)])


def mail_link(invitation: Invitation, language: str) -> None:
    """Raises MailNotSent."""
    with override(language):
        inviter = invitation.invited_by.email if invitation.invited_by else _("Somebody")
        # names are free text, and a line break would end the subject
        workspace = " ".join(invitation.workspace.name.split())
        subject = _("Invitation to {workspace} on Zevix").format(workspace=workspace)
        text = _(
            "{inviter} invites you to work in {workspace} on Zevix, with the role {role}. Accept here until {date}:\n\n{link}\n\n"
            "If you do not know them, there is nothing to do."
        ).format(
            inviter=inviter,
            workspace=workspace,
            role=invitation.get_role_display(),
            date=date_format(invitation.expires_at),
            link=link_of(invitation),
        )
    mail.send(subject, text, to=invitation.email)


def _opened_by(token: str, invitations: InvitationQuerySet) -> Invitation:
    try:
        nonce = _signer().unsign(token)
    except BadSignature:
        raise TokenInvalid
    invitation: Invitation | None = invitations.acceptable().filter(nonce=nonce).first()
    if invitation is None:
        raise TokenInvalid
    return invitation


def _signer() -> Signer:
    return Signer(salt="accounts.invitation", sep=".")  # a full stop is in neither part, and needs no escape in a link


def _expiry() -> datetime:
    return timezone.now() + settings.INVITATION_LIFETIME
