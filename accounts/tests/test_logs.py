"""Neither a secret nor an e-mail address is written to the log."""

import json
import logging
import re

import pytest
from django.core import mail

from accounts import passwords, tokens
from accounts.models import User
from accounts.tests.factories import make_member

pytestmark = pytest.mark.django_db

PASSWORD, WRONG, NEW = "correct horse battery 9", "wrong horse battery 9", "quite another staple 7"


class Lines(logging.Handler):
    """The lines that the log would have, in the form that it has."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log():
    root = logging.getLogger()
    written = next(handler for handler in root.handlers if type(handler) is logging.StreamHandler)
    assert written.formatter
    lines = Lines(written.formatter)
    root.addHandler(lines)
    yield lines.lines
    root.removeHandler(lines)


def assert_silent_about(log, *secrets):
    text = "\n".join(log)
    assert len(log) > 0
    assert [secret for secret in ("ann@example.com", "@example", *secrets) if secret in text] == []


def test_registering_writes_no_secret(anonymous, log):
    fields = {"email": "ann@example.com", "password": PASSWORD, "username": "ann.the.secret"}

    body = anonymous.post("/api/auth/register", fields).json()
    anonymous.post("/api/auth/register", fields)
    anonymous.post("/api/auth/register", fields | {"password": "ann@example.com"})

    assert_silent_about(log, PASSWORD, "ann.the.secret", body["access_token"], body["refresh_token"])


@pytest.mark.parametrize("path", ["/api/auth/login", "/zevix/login"])
def test_signing_in_and_failing_to_writes_no_secret(anonymous, log, settings, path):
    settings.AXES_FAILURE_LIMIT = 2
    make_member(email="ann@example.com", username="ann.the.secret", password=PASSWORD)

    body = anonymous.post(path, {"email": "ann@example.com", "password": PASSWORD}).json()
    for name in ("ann@example.com", "ann.the.secret", "ann@example.com", "ann@example.net"):
        anonymous.post(path, {"email": name, "password": WRONG})

    assert_silent_about(log, PASSWORD, WRONG, "ann.the.secret", "ann@", body["token"], body["refresh_token"])


def test_using_tokens_writes_none_of_them(anonymous, log):
    issued = tokens.issue(make_member(email="ann@example.com"))
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {issued.access}"}

    anonymous.get("/api/auth/me", **bearer)
    anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {issued.access}x")
    newer = anonymous.post("/api/auth/refresh", {"refresh_token": issued.refresh}).json()
    anonymous.post("/api/auth/refresh", {"refresh_token": issued.refresh})
    anonymous.post("/api/auth/logout", {"refresh_token": newer["refresh_token"]}, **bearer)

    assert_silent_about(log, issued.access, issued.refresh, newer["access_token"], newer["refresh_token"])


def test_setting_a_new_password_writes_no_secret(anonymous, client, log):
    ann = make_member(email="ann@example.com")
    anonymous.post("/api/auth/password-reset", {"email": "ann@example.com"})
    passwords.mail_link(User.objects.get(pk=ann.user_id), "en")
    token = re.findall(r"token is (\S+)", str(mail.outbox[0].body))[0]
    uid, proof = token.split(".")

    client.get(f"/password/{uid}/{proof}", follow=True)
    client.get(f"/password/{uid}/{proof}x", follow=True)
    anonymous.post("/api/auth/password-reset/confirm", {"token": f"{token}x", "new_password": NEW})
    anonymous.post("/api/auth/password-reset/confirm", {"token": token, "new_password": NEW})

    assert_silent_about(log, token, proof, NEW)


def test_a_request_is_one_line_with_its_route_and_who_asked(api, member, log):
    api.get("/api/v1/leads/123456", HTTP_X_REQUEST_ID="abc-1")

    [line] = log
    told = json.loads(line)
    assert {name: told[name] for name in ("event", "method", "route", "status", "request_id", "user", "workspace")} == {
        "event": "request",
        "method": "GET",
        "route": "api/v1/leads/<int:lead_id>",
        "status": 404,
        "request_id": "abc-1",
        "user": member.user_id,
        "workspace": member.workspace_id,
    }
