from django.core.management import call_command

from accounts import invitations, passwords, tokens
from accounts.models import Invitation, User
from zevix import jobs


@jobs.task(queue="mail", retry=jobs.BACKOFF)
def mail_reset_link(user_id: int, language: str) -> None:
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user:  # else they left since
        passwords.mail_link(user, language)


@jobs.task(queue="mail", retry=jobs.BACKOFF)
def mail_invitation(invitation_id: int, language: str) -> None:
    invitation = (
        Invitation.objects.acceptable().select_related("workspace", "invited_by").filter(pk=invitation_id).first()
    )
    if invitation:  # else it was accepted or taken back since
        invitations.mail_link(invitation, language)


@jobs.periodic(cron="17 3 * * *")
@jobs.task(queue="housekeeping")
def forget_expired_sign_ins(timestamp: int) -> None:
    tokens.forget_expired()
    call_command("clearsessions")
