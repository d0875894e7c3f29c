"""Mail as it goes over the wire, and the jobs that send it."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from django.db import connection
from procrastinate.contrib.django.django_connector import DjangoConnector

from zevix import jobs


class Mailbox:
    """What an SMTP server took in, and whom it turns away."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.unknown: set[str] = set()

    async def handle_RCPT(self, server, session, envelope, address, options):  # aiosmtpd's name for it
        if address in self.unknown:
            return f"550 no such user: {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.mails.append(letter)
        return "250 OK"


def run_jobs(monkeypatch, queue="mail"):
    """Do what is queued, as a worker does, and keep no connection open."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    connector = jobs.app.connector
    assert isinstance(connector, DjangoConnector)
    with jobs.app.replace_connector(connector.get_worker_connector()) as app:
        app.run_worker(wait=False, install_signal_handlers=False, listen_notify=False, queues=[queue])
