"""Accepting an invitation, by the API and by the page that the mailed link leads to."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.throttling import ScopedRateThrottle

from accounts import invitations, registration
from accounts.errors import AccountExists, TokenInvalid
from accounts.models import Invitation, Membership, Role, User
from accounts.tests.factories import make_member, make_user, make_workspace
from accounts.tests.threads import at_once
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

ACCEPT = "/api/v1/invitations/accept"
EVE, PASSWORD, OTHER = "eve@example.com", "correct horse battery 9", "quite another staple 7"


@pytest.fixture
def invitation(member):
    return make_invitation(member)


@pytest.fixture
def token(invitation):
    return invitations.token_of(invitation)


def make_invitation(member, email=EVE, role=Role.MANAGER):
    return invitations.invite(email, role, by=member.user, workspace=member.workspace, language="en")


def accept(client, token, password=PASSWORD, **fields):
    return client.post(ACCEPT, {"token": token, "password": password, **fields})


def code(answer):
    return answer.status_code, answer.json().get("error")


def roles_of(email):
    return dict(Membership.objects.filter(user__email=email).values_list("workspace", "role"))


# Somebody new ---------------------------------------------------------------------------------------------------------------


def test_somebody_new_gets_an_account_and_is_signed_in(member, invitation, token, anonymous):
    answer = accept(anonymous, token, username="Eve")

    given = answer.json()
    assert answer.status_code == 201
    assert (given["success"], given["token_type"], given["token"]) == (True, "bearer", given["access_token"])
    assert (given["user"]["email"], given["user"]["username"]) == (EVE, "Eve")
    assert (given["user"]["role"], given["user"]["is_beta_user"]) == ("manager", False)
    assert given["user"]["workspace"] == {"id": member.workspace_id, "name": member.workspace.name}
    me = anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {given['token']}"})
    assert me.json() == given["user"]
    assert anonymous.post("/api/auth/refresh", {"refresh_token": given["refresh_token"]}).status_code == 200
    assert anonymous.post("/api/auth/login", {"username": "eve", "password": PASSWORD}).status_code == 200
    invitation.refresh_from_db()
    assert invitation.status == "accepted"


def test_without_a_username_it_is_the_address(token, anonymous):
    assert accept(anonymous, token, username="").json()["user"]["username"] == EVE


@pytest.mark.parametrize("password", ["short1", "password123", "83519264071", EVE])
def test_a_weak_password_is_refused_and_the_token_lives(token, anonymous, password):
    weak, strong = accept(anonymous, token, password), accept(anonymous, token)

    assert code(weak) == (400, "validation_error")
    assert list(weak.json()["fields"]) == ["password"]
    assert strong.status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "two words"),
        ("username", "somebody@else.example"),
        ("username", "x" * 151),
        ("username", "a\x00"),
        ("username", 7),
        ("password", None),
        ("password", ""),
        ("password", 12345678),
        ("password", ["a"]),
        ("password", "x" * 1025),
        ("password", "a\x00b"),
        ("token", None),
        ("token", ""),
        ("token", 7),
        ("token", {"a": 1}),
        ("token", "x" * 256),
        ("token", "a\x00"),
        ("role", "admin"),
        ("email", EVE),
    ],
)
def test_what_can_not_be_is_refused_at_its_field(token, anonymous, field, value):
    answer = anonymous.post(ACCEPT, {"token": token, "password": PASSWORD, field: value})

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [field]
    assert not User.objects.with_email(EVE).exists()


def test_a_taken_username_is_refused_and_the_token_lives(token, anonymous):
    make_user(username="Ada")

    taken, free = accept(anonymous, token, username="ADA"), accept(anonymous, token, username="Eve")

    assert code(taken) == (409, "conflict")
    assert free.status_code == 201


# Somebody known -------------------------------------------------------------------------------------------------------------


def test_somebody_known_joins_with_their_password_and_keeps_their_own_workspace(member, invitation, token, anonymous):
    eve = make_member(email=EVE, password=PASSWORD, username="Eve")

    answer = accept(anonymous, token, username="Another")

    assert answer.status_code == 201
    assert answer.json()["user"]["workspace"]["id"] == member.workspace_id
    assert answer.json()["user"]["username"] == "Eve"
    assert roles_of(EVE) == {eve.workspace_id: "admin", member.workspace_id: "manager"}


def test_a_wrong_password_of_somebody_known_is_refused_and_the_token_lives(token, anonymous):
    eve = make_member(email=EVE, password=PASSWORD)

    wrong, right = accept(anonymous, token, OTHER), accept(anonymous, token)

    assert code(wrong) == (401, "invalid_credentials")
    assert right.status_code == 201
    assert User.objects.get(pk=eve.user_id).check_password(PASSWORD)


def test_guessing_the_password_is_locked_out_like_a_sign_in(token, anonymous, settings):
    make_member(email=EVE, password=PASSWORD)
    settings.AXES_FAILURE_LIMIT = 2

    answers = [accept(anonymous, token, OTHER) for _ in range(3)] + [
        accept(anonymous, token),
        anonymous.post("/api/auth/login", {"email": EVE, "password": PASSWORD}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 429, 429, 429]
    assert len(roles_of(EVE)) == 1


def test_a_user_who_may_not_sign_in_may_not_join(token, anonymous):
    make_member(email=EVE, password=PASSWORD, is_active=False)

    assert code(accept(anonymous, token)) == (401, "invalid_credentials")


def test_a_username_that_is_the_address_of_the_invitation_opens_no_other_account(token, anonymous):
    make_user(PASSWORD, email="mallory@example.com", username=EVE)

    answer = accept(anonymous, token)

    assert code(answer) == (409, "conflict")
    assert not Membership.objects.filter(user__username=EVE).exists()


def test_who_was_made_a_member_meanwhile_keeps_the_role(member, token, anonymous):
    make_member(Role.ADMIN, member.workspace, email=EVE, password=PASSWORD)

    answer = accept(anonymous, token)

    assert (answer.status_code, answer.json()["user"]["role"]) == (201, "admin")


# Tokens that open nothing ---------------------------------------------------------------------------------------------------


def test_a_token_works_once(member, token, anonymous):
    accept(anonymous, token)
    Membership.objects.filter(user__email=EVE).delete()

    again = accept(anonymous, token)

    assert code(again) == (401, "token_invalid")
    assert roles_of(EVE) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"revoked_at": timezone.now()},
        {"accepted_at": timezone.now()},
        {"nonce": "another"},
    ],
)
def test_a_token_that_is_expired_revoked_used_or_renewed_opens_nothing(token, anonymous, changes):
    Invitation.objects.update(**changes)

    answer = accept(anonymous, token)

    assert code(answer) == (401, "token_invalid")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert not User.objects.with_email(EVE).exists()


def test_what_is_no_token_opens_nothing(invitation, token, anonymous):
    nonce, _dot, proof = token.partition(".")
    forged = [nonce, f"{nonce}.", f"{nonce}.{proof[:-1]}", f".{proof}", f"x{token}", "x", ".", "ä.ö", f"{nonce}.١"]

    answers = [accept(anonymous, text) for text in forged]

    assert [code(answer) for answer in answers] == [(401, "token_invalid")] * len(forged)


def test_accepting_too_often_is_refused_for_a_while(anonymous, monkeypatch):
    monkeypatch.setitem(ScopedRateThrottle.THROTTLE_RATES, "password_reset", "2/hour")

    answers = [accept(anonymous, "x") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]


# At the same moment ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("attempt", range(3))
def test_accepting_at_the_same_moment_makes_one_user_and_one_member(known, attempt, rf):
    admin = make_member()
    if known:
        make_user(PASSWORD, email=EVE)
    token = invitations.token_of(make_invitation(admin))

    def join():
        try:
            return invitations.accept(token, PASSWORD, request=rf.post(ACCEPT)).role
        except TokenInvalid:
            return "too late"

    fates = at_once([join] * 4)

    assert sorted(fates) == ["manager", "too late", "too late", "too late"]
    assert roles_of(EVE) == {admin.workspace_id: "manager"}
    assert User.objects.with_email(EVE).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_an_account_registered_at_the_same_moment_is_never_joined_without_its_password(attempt, rf):
    admin = make_member()
    token = invitations.token_of(make_invitation(admin))

    def join():
        try:
            invitations.accept(token, PASSWORD, request=rf.post(ACCEPT))
        except AccountExists:
            return "refused"
        return "joined"

    def register():
        try:
            registration.register(EVE, PASSWORD)
        except AccountExists:
            return "refused"
        return "registered"

    fates = at_once([join, register])

    # who is late by a little more finds the account and gives its password
    assert fates in (["joined", "refused"], ["refused", "registered"], ["joined", "registered"])
    assert User.objects.with_email(EVE).count() == 1
    assert Invitation.objects.open().count() == (fates[0] == "refused")


# The page -------------------------------------------------------------------------------------------------------------------


def page_of(invitation):
    return f"/invitations/{invitations.token_of(invitation)}"


def test_the_page_tells_where_to_and_by_whom_and_asks_for_a_password_and_a_username():
    admin = make_member(email="boss@example.com", workspace=make_workspace(name="<b>Praxis</b>"))

    page = Client().get(page_of(make_invitation(admin)))

    text = page.content.decode()
    assert page.status_code == 200
    assert all(part in text for part in ("&lt;b&gt;Praxis", "boss@example.com", EVE, "Manager"))
    assert list(page.context["form"].fields) == ["username", "password", "again"]
    assert "no-store" in page["Cache-Control"]


def test_somebody_new_joins_by_the_page_and_signs_in(member, invitation, anonymous):
    browser = Client(enforce_csrf_checks=True)
    page = browser.get(page_of(invitation))

    joined = browser.post(
        page.request["PATH_INFO"], filled(page, username="Eve", password=PASSWORD, again=PASSWORD), follow=True
    )

    assert joined.redirect_chain == [("/invitations/done", 302)]
    assert "You can sign in now" in joined.content.decode()
    assert roles_of(EVE) == {member.workspace_id: "manager"}
    assert anonymous.post("/api/auth/login", {"username": "Eve", "password": PASSWORD}).status_code == 200


def test_somebody_known_joins_by_the_page_with_their_password(member, invitation):
    eve = make_member(email=EVE, password=PASSWORD)
    browser = Client()

    page = browser.get(page_of(invitation))
    wrong = browser.post(page_of(invitation), filled(page, password=OTHER))
    right = browser.post(page_of(invitation), filled(page, password=PASSWORD))

    assert list(page.context["form"].fields) == ["password"]
    assert wrong.context["form"].errors == {"password": ["This is not your current password."]}
    assert right.status_code == 302
    assert roles_of(EVE) == {eve.workspace_id: "admin", member.workspace_id: "manager"}


def test_guessing_at_the_page_is_locked_out_too(invitation, settings):
    make_member(email=EVE, password=PASSWORD)
    settings.AXES_FAILURE_LIMIT = 2
    browser = Client()

    answers = [browser.post(page_of(invitation), {"password": word}) for word in (OTHER, OTHER, OTHER, PASSWORD)]

    assert answers[-1].context["form"].non_field_errors() == ["Too many requests. Try again in 900 seconds."]
    assert Invitation.objects.open().exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "password123", "again": "password123"}, "password"),
        ({"password": EVE, "again": EVE}, "password"),
        ({"again": OTHER}, "again"),
        ({"password": "", "again": ""}, "password"),
        ({"password": "a\x00b", "again": "a\x00b"}, "password"),
        ({"username": "two words"}, "username"),
        ({"username": "somebody@else.example"}, "username"),
        ({"username": "ADA"}, "__all__"),
    ],
)
def test_the_page_asks_again_where_something_can_not_be(invitation, changes, field):
    make_user(username="ada")

    page = Client().post(page_of(invitation), {"username": "eve", "password": PASSWORD, "again": PASSWORD} | changes)

    assert page.status_code == 200
    assert field in page.context["form"].errors
    assert 'class="errorlist' in page.content.decode()
    assert not User.objects.with_email(EVE).exists()


@pytest.mark.parametrize("ask", ["get", "post"])
def test_the_page_of_a_dead_link_says_so(invitation, ask):
    path = page_of(invitation)
    invitations.revoke(Invitation.objects.all())

    pages = [
        getattr(Client(), ask)(where, {"password": PASSWORD, "again": PASSWORD}) for where in (path, "/invitations/x")
    ]

    assert [page.status_code for page in pages] == [404, 404]
    assert all("<form" not in page.content.decode() for page in pages)
    assert not User.objects.with_email(EVE).exists()


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_pages_speak_the_browsers_language(invitation, language):
    browser = Client(headers={"Accept-Language": language})

    pages = [browser.get(path) for path in (page_of(invitation), "/invitations/x", "/invitations/done")]

    assert all(f'<html lang="{language}">' in page.content.decode() for page in pages)
