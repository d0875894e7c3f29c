"""Changing a password, and setting a new one by a mailed link."""

import re
from datetime import timedelta
from traceback import format_exception
from urllib.parse import urlsplit

import pytest
from axes.models import AccessAttempt
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.translation import gettext, override
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient
from rest_framework.throttling import ScopedRateThrottle

from accounts import passwords, tokens
from accounts.errors import MailNotSent
from accounts.models import User
from accounts.tests.factories import make_member
from accounts.tests.mailbox import run_jobs
from accounts.tests.threads import at_once

pytestmark = pytest.mark.django_db

OLD, NEW = "correct horse battery 9", "quite another staple 7"


@pytest.fixture
def ann(db):
    return make_member(email="ann@example.com", password=OLD)


def login(client, password):
    return client.post("/api/auth/login", {"email": "ann@example.com", "password": password})


def change(client, current=OLD, new=NEW):
    return client.post("/api/auth/change-password", {"current_password": current, "new_password": new})


def code(answer):
    return answer.status_code, answer.json().get("error")


# Knowing the old one --------------------------------------------------------------------------------------------------------


def test_a_changed_password_is_the_one_to_sign_in_with(ann, client_of, anonymous):
    answer = change(client_of(ann))

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert code(login(anonymous, OLD)) == (401, "invalid_credentials")
    assert login(anonymous, NEW).status_code == 200


def test_changing_the_password_ends_every_token_and_session_of_the_user(ann, client_of, anonymous, stranger):
    here, elsewhere = client_of(ann), tokens.issue(ann)
    browser = APIClient(headers={"Origin": "http://localhost"})
    browser.post("/zevix/login", {"email": "ann@example.com", "password": OLD})
    others = tokens.issue(stranger)

    change(here)

    assert code(here.get("/api/auth/me")) == (401, "token_invalid")
    assert code(anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {elsewhere.access}")) == (
        401,
        "token_invalid",
    )
    assert code(anonymous.post("/api/auth/refresh", {"refresh_token": elsewhere.refresh})) == (401, "token_invalid")
    assert code(browser.post("/zevix/refresh-token")) == (401, "authentication_required")
    assert anonymous.post("/api/auth/refresh", {"refresh_token": others.refresh}).status_code == 200


def test_a_wrong_current_password_is_refused_at_its_field_and_nothing_ends(ann, client_of, anonymous):
    client = client_of(ann)

    answer = change(client, current="wrong")

    assert code(answer) == (400, "validation_error")
    assert answer.json()["fields"] == {"current_password": ["This is not your current password."]}
    assert client.get("/api/auth/me").status_code == 200
    assert login(anonymous, OLD).status_code == 200


def test_guessing_the_current_password_is_locked_out_like_a_sign_in(ann, client_of, settings):
    settings.AXES_FAILURE_LIMIT = 2
    client = client_of(ann)

    answers = [change(client, current="wrong") for _ in range(3)] + [change(client)]

    assert [answer.status_code for answer in answers] == [400, 400, 429, 429]
    assert answers[-1]["Retry-After"] == "900"


def test_a_right_current_password_forgets_the_wrong_ones(ann, client_of):
    client = client_of(ann)
    change(client, current="wrong")

    change(client)

    assert AccessAttempt.objects.count() == 0


@pytest.mark.parametrize("new", ["short1", "password123", "83519264071", "ann@example.com"])
def test_a_weak_new_password_is_refused_at_its_field_and_nothing_ends(ann, client_of, new):
    client = client_of(ann)

    answer = change(client, new=new)

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == ["new_password"]
    assert client.get("/api/auth/me").status_code == 200


@pytest.mark.parametrize("value", [None, "", 12345678, ["a"], {"a": 1}, "x" * 1025, "a\x00b"])
@pytest.mark.parametrize("field", ["current_password", "new_password"])
def test_a_password_of_the_wrong_kind_is_refused_at_its_field(api, field, value):
    answer = api.post("/api/auth/change-password", {"current_password": OLD, "new_password": NEW, field: value})

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [field]


def test_changing_takes_a_token(anonymous):
    assert code(change(anonymous)) == (401, "authentication_required")


# By a mailed link -----------------------------------------------------------------------------------------------------------


def job_for(user_id):
    # the tables of the jobs are not emptied between tests
    return ProcrastinateJob.objects.get(args__user_id=user_id)


def ask(client, email="ann@example.com", **headers):
    return client.post("/api/auth/password-reset", {"email": email}, **headers)


def reset_token(user):
    """The token in the mail, and the path of its link."""
    passwords.mail_link(user, "en")
    text = str(mail.outbox[-1].body)
    found = re.search(r"token is (\S+)", text)
    link = re.search(r"http\S+", text)
    assert found and link
    return found[1], urlsplit(link[0]).path


def confirm(client, token, new=NEW):
    return client.post("/api/auth/password-reset/confirm", {"token": token, "new_password": new})


def test_the_answer_never_tells_whether_an_address_is_known(ann, anonymous):
    known, unknown = ask(anonymous), ask(anonymous, "nobody@example.com")

    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json()) == (200, {"success": True})
    assert job_for(ann.user_id).args == {"user_id": ann.user_id, "language": "en"}


def test_an_inactive_user_gets_no_mail(ann, anonymous):
    User.objects.update(is_active=False)

    answer = ask(anonymous)

    assert answer.json() == {"success": True}
    assert not ProcrastinateJob.objects.filter(args__user_id=ann.user_id).exists()


def test_asking_for_links_too_often_is_refused_for_a_while(anonymous, monkeypatch):
    monkeypatch.setitem(ScopedRateThrottle.THROTTLE_RATES, "password_reset", "2/hour")
    for _ in range(2):
        ask(anonymous)

    answer = ask(anonymous)

    assert code(answer) == (429, "rate_limited")
    assert 0 < int(answer["Retry-After"]) <= 3600


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_link_is_mailed_in_the_language_of_who_asked_and_sets_a_password(mailbox, anonymous, language, monkeypatch):
    ann = make_member(email="ann@example.com", password=OLD)
    issued = tokens.issue(ann)
    with override(language):
        subject = gettext("Set a new password for Zevix")
    ask(anonymous, "Ann@Example.com", HTTP_ACCEPT_LANGUAGE=f"{language},en;q=0.5")

    run_jobs(monkeypatch)

    [letter] = mailbox.mails
    assert (letter["To"], letter["Subject"]) == ("ann@example.com", subject)
    link = urlsplit(next(word for word in letter.get_content().split() if word.startswith("https://")))
    assert link.netloc == "zevix.example"

    browser = Client(headers={"Accept-Language": language})
    page = browser.get(link.path, follow=True)
    saved = browser.post(page.request["PATH_INFO"], {"new_password1": NEW, "new_password2": NEW}, follow=True)

    assert page.status_code == saved.status_code == 200
    assert f'<html lang="{language}">' in page.content.decode()
    assert saved.redirect_chain == [("/password/done", 302)]
    assert login(anonymous, NEW).status_code == 200
    assert code(anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {issued.access}")) == (401, "token_invalid")
    assert code(anonymous.post("/api/auth/refresh", {"refresh_token": issued.refresh})) == (401, "token_invalid")


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_the_server_does_not_take_is_tried_again_later(mailbox, anonymous, monkeypatch):
    ann = make_member(email="ann@example.com")
    mailbox.unknown = {"ann@example.com"}
    ask(anonymous)

    run_jobs(monkeypatch)

    job = job_for(ann.user_id)
    assert mailbox.mails == []
    assert (job.status, job.attempts) == ("todo", 1)
    assert job.scheduled_at is not None and job.scheduled_at > timezone.now()


@pytest.mark.parametrize(
    ("unknown", "port", "reason"),
    [("ann@example.com", None, "SMTPRecipientsRefused"), ("", 1, "ConnectionRefusedError")],
)
def test_a_failure_of_the_mail_server_is_told_without_the_address(ann, mailbox, settings, unknown, port, reason):
    mailbox.unknown = {unknown}
    settings.EMAIL_PORT = port or settings.EMAIL_PORT

    with pytest.raises(MailNotSent) as failure:
        passwords.mail_link(ann.user, "en")

    # what a worker writes to the log
    written = "".join(format_exception(failure.value))
    assert str(failure.value) == f"The mail could not be handed to the mail server ({reason})."
    assert "ann@example.com" not in written


@pytest.mark.django_db(transaction=True)
def test_the_mail_of_a_user_who_left_meanwhile_is_dropped(mailbox, anonymous, monkeypatch):
    ann_id = make_member(email="ann@example.com").user_id
    ask(anonymous)
    User.objects.all().delete()

    run_jobs(monkeypatch)

    assert mailbox.mails == []
    assert job_for(ann_id).status == "succeeded"


def test_a_program_sets_the_password_by_the_token(ann, anonymous):
    issued = tokens.issue(ann)
    token, _path = reset_token(ann.user)

    answer = confirm(anonymous, token)

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert login(anonymous, NEW).status_code == 200
    assert code(anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {issued.access}")) == (401, "token_invalid")


def test_a_token_works_once(ann, anonymous):
    token, path = reset_token(ann.user)
    confirm(anonymous, token)

    again, page = confirm(anonymous, token, "a third password 5"), Client().get(path)

    assert code(again) == (401, "token_invalid")
    assert "<form" not in page.content.decode()
    assert login(anonymous, NEW).status_code == 200


def test_a_link_works_once(ann, anonymous):
    token, path = reset_token(ann.user)
    browser = Client()
    form = browser.get(path, follow=True).request["PATH_INFO"]
    browser.post(form, {"new_password1": NEW, "new_password2": NEW})

    again = browser.post(form, {"new_password1": OLD, "new_password2": OLD})

    assert again.status_code == 200
    assert "<form" not in again.content.decode()
    assert code(confirm(anonymous, token)) == (401, "token_invalid")
    assert login(anonymous, NEW).status_code == 200


def test_the_links_page_asks_again_after_a_weak_or_a_mistyped_password(ann):
    browser = Client()
    form = browser.get(reset_token(ann.user)[1], follow=True).request["PATH_INFO"]

    weak = browser.post(form, {"new_password1": "password123", "new_password2": "password123"})
    mistyped = browser.post(form, {"new_password1": NEW, "new_password2": OLD})

    assert [weak.status_code, mistyped.status_code] == [200, 200]
    assert all('class="errorlist"' in page.content.decode() for page in (weak, mistyped))
    assert User.objects.get(pk=ann.user_id).check_password(OLD)


def test_the_page_keeps_the_token_out_of_its_own_address(ann):
    token, path = reset_token(ann.user)

    page = Client().get(path, follow=True)

    assert token.split(".")[1] not in page.request["PATH_INFO"]


def test_a_token_is_dead_after_an_hour(ann, anonymous, monkeypatch):
    token, _path = reset_token(ann.user)
    monkeypatch.setattr(
        "django.contrib.auth.tokens.PasswordResetTokenGenerator._now",
        lambda self: timezone.now().replace(tzinfo=None) + timedelta(minutes=61),
    )

    answer = confirm(anonymous, token)

    assert code(answer) == (401, "token_invalid")


def test_a_token_is_dead_once_the_user_signed_in_or_was_put_off(ann, anonymous):
    signed_in, _path = reset_token(ann.user)
    login(anonymous, OLD)
    ann.user.refresh_from_db()
    put_off, _path = reset_token(ann.user)
    User.objects.update(is_active=False)

    answers = [confirm(anonymous, signed_in), confirm(anonymous, put_off)]

    assert [code(answer) for answer in answers] == [(401, "token_invalid")] * 2


@pytest.mark.parametrize(
    "token",
    [
        "x",
        ".",
        "x.y",
        "MQ",
        "MQ.",
        "MQ.a-b",
        "OTk5OTk5OTk5OTk5OTk5OTk5OTk5.a-b",
        "١.a-b",
        "/w==.a-b",
        "MQ.ä-ö",
        "LTE.a-b",
    ],
)
def test_what_is_no_reset_token_is_refused(ann, anonymous, token):
    answer = confirm(anonymous, token)

    assert code(answer) == (401, "token_invalid")
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_of_one_user_sets_no_other_users_password(ann, anonymous, stranger):
    token, _path = reset_token(ann.user)
    theirs, _path = reset_token(stranger.user)

    answer = confirm(anonymous, f"{theirs.split('.')[0]}.{token.split('.')[1]}")

    assert code(answer) == (401, "token_invalid")


def test_a_weak_password_leaves_the_token_alive(ann, anonymous):
    token, _path = reset_token(ann.user)

    weak, strong = confirm(anonymous, token, "password123"), confirm(anonymous, token)

    assert code(weak) == (400, "validation_error")
    assert list(weak.json()["fields"]) == ["new_password"]
    assert strong.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_parallel_uses_of_one_reset_token_one_succeeds(client):
    token, _path = reset_token(make_member(email="ann@example.com", password=OLD).user)
    acts = [lambda number=number: confirm(APIClient(), token, f"{NEW}{number}") for number in range(4)]

    answers = at_once(acts)

    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
