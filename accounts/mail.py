from django.core.mail import send_mail

from accounts.errors import MailNotSent


def send(subject: str, text: str, *, to: str) -> None:
    """Raises MailNotSent, which does not tell the address: a job's error goes to the log."""
    try:
        send_mail(subject, text, from_email=None, recipient_list=[to])
    except OSError as error:  # smtplib's errors are such, and name the recipient
        raise MailNotSent(reason=type(error).__name__) from None
