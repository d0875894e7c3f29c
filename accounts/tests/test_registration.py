"""Registering: a user with a workspace of their own, and nothing odd gets in."""

import jwt
import pytest
from rest_framework.test import APIClient
from rest_framework.throttling import ScopedRateThrottle

from accounts.models import Membership, Role, User, Workspace
from accounts.tests.factories import make_member, make_user
from accounts.tests.threads import at_once
from zevix.settings import PASSWORD_HASHERS

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery 9"


def register(client, **fields):
    return client.post("/api/auth/register", {"email": "ann@example.com", "password": PASSWORD, **fields})


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def test_registering_answers_the_tokens_and_the_user(anonymous):
    answer = register(anonymous, email="Ann@Example.com", username="ann", workspace_name="Ann & Co")

    body = answer.json()
    member = Membership.objects.get()
    assert answer.status_code == 201
    assert body == {
        "success": True,
        "access_token": body["access_token"],
        "refresh_token": body["refresh_token"],
        "token": body["access_token"],
        "token_type": "bearer",
        "user": {
            "id": member.user_id,
            "email": "ann@example.com",
            "username": "ann",
            "role": "admin",
            "is_beta_user": False,
            "workspace": {"id": member.workspace_id, "name": "Ann & Co"},
            "last_activity": body["user"]["last_activity"],
            "conversion_rate": 0.0,
            "activity_score": 0.0,
            "deals_closed": 0,
            "current_percentile": None,
            "current_rank": None,
            "performance_score": 0.0,
            "badges": [],
        },
    }
    assert body["user"]["last_activity"].endswith("Z")


def test_the_access_token_tells_who_it_is_for(anonymous):
    answer = register(anonymous, username="ann")

    claims = claims_of(answer.json()["access_token"])
    member = Membership.objects.get()
    told = {name: claims[name] for name in ("sub", "email", "username", "is_beta_user", "workspace", "role")}
    assert told == {
        "sub": str(member.user_id),
        "email": "ann@example.com",
        "username": "ann",
        "is_beta_user": False,
        "workspace": member.workspace_id,
        "role": "admin",
    }


def test_who_registers_is_the_admin_of_a_new_workspace_and_signed_in(anonymous):
    make_member()

    token = register(anonymous).json()["access_token"]

    member = Membership.objects.get(user__email="ann@example.com")
    me = anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert member.role == Role.ADMIN
    assert member.workspace.memberships.count() == 1
    assert me.json()["workspace"] == {"id": member.workspace_id, "name": "ann"}


def test_without_a_username_it_is_the_address(anonymous):
    answer = register(anonymous, username="", workspace_name="")

    assert answer.json()["user"]["username"] == "ann@example.com"
    assert answer.json()["user"]["workspace"]["name"] == "ann"


@pytest.mark.parametrize(("signup", "granted"), [("open", True), ("closed", False)])
def test_a_beta_user_is_one_only_where_the_installation_is_open(anonymous, settings, signup, granted):
    settings.ZEVIX_BETA_SIGNUP = signup

    answer = register(anonymous, is_beta_user=True)

    assert answer.status_code == 201
    assert answer.json()["user"]["is_beta_user"] is granted
    assert claims_of(answer.json()["token"])["is_beta_user"] is granted
    assert User.objects.get().is_beta_user is granted


def test_the_password_is_kept_as_an_argon2_hash(anonymous, settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS

    register(anonymous)

    kept = User.objects.get().password
    assert kept.startswith("argon2$argon2id$")
    assert PASSWORD not in kept


def test_blanks_around_a_password_belong_to_it(anonymous):
    register(anonymous, password=f" {PASSWORD} ")

    user = User.objects.get()
    assert user.check_password(f" {PASSWORD} ")
    assert not user.check_password(PASSWORD)


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@example.COM"])
def test_a_taken_address_is_a_conflict_in_any_case(anonymous, email):
    make_user(email="Ann@Example.com", username="ann")

    answer = register(anonymous, email=email, username="other")

    assert answer.status_code == 409
    assert answer.json() == {
        "success": False,
        "error": "conflict",
        "message": "There is an account with this email already.",
        "field": "email",
        "request_id": answer["X-Request-ID"],
    }
    assert User.objects.count() == 1
    assert Workspace.objects.count() == 0


@pytest.mark.parametrize("username", ["ann", "ANN"])
def test_a_taken_username_is_a_conflict_in_any_case(anonymous, username):
    make_user(username="Ann")

    answer = register(anonymous, username=username)

    assert answer.status_code == 409
    assert answer.json()["error"] == "conflict"
    assert answer.json()["field"] == "username"
    assert User.objects.count() == 1


def test_an_address_that_is_somebodys_username_is_taken(anonymous):
    make_user(email="moved@example.com", username="ann@example.com")

    answer = register(anonymous)

    assert answer.status_code == 409
    assert answer.json()["field"] == "email"


def test_nobody_takes_somebody_elses_address_as_a_username(anonymous):
    make_user(email="boss@example.com", username="boss")

    answer = register(anonymous, username="Boss@example.com")

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["username"]


@pytest.mark.parametrize("password", ["short1", "password123", "83519264071", "ann@example.com"])
def test_a_weak_password_is_refused_at_its_field(anonymous, password):
    answer = register(anonymous, password=password)

    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert list(answer.json()["fields"]) == ["password"]
    assert User.objects.count() == 0


def test_an_unknown_field_is_an_error(anonymous):
    answer = register(anonymous, is_superuser=True, role="admin")

    assert answer.status_code == 400
    assert answer.json()["fields"] == {
        "is_superuser": ["There is no such field."],
        "role": ["There is no such field."],
    }


@pytest.mark.parametrize("field", ["email", "password"])
def test_a_field_that_is_needed_is_asked_for(anonymous, field):
    fields = {"email": "ann@example.com", "password": PASSWORD}
    del fields[field]

    answer = anonymous.post("/api/auth/register", fields)

    assert answer.status_code == 400
    assert answer.json()["fields"] == {field: ["This field is required."]}


WRONG = {
    "null": None,
    "list": ["a"],
    "object": {"a": "b"},
    "number": 12345678901,
    "fraction": 1.5,
    "true": True,
    "long": "x" * 1_000_000,
    "nul": "a\x00b-and-more-of-it",
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("field", ["email", "password", "username", "workspace_name"])
def test_text_of_the_wrong_kind_is_refused_at_its_field(anonymous, field, kind):
    answer = register(anonymous, **{field: WRONG[kind]})

    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert list(answer.json()["fields"]) == [field]
    assert User.objects.count() == 0


@pytest.mark.parametrize("value", [None, [], {}, 5, "perhaps"])
def test_a_beta_flag_of_the_wrong_kind_is_refused(anonymous, value):
    answer = register(anonymous, is_beta_user=value)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["is_beta_user"]


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.com", "ann@example", "a b@example.com", "a@b@c.de"])
def test_what_is_no_address_is_refused(anonymous, email):
    answer = register(anonymous, email=email)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["email"]


@pytest.mark.parametrize("username", ["a b", "<script>", "a/b", "a\nb", "x" * 151])
def test_what_is_no_username_is_refused(anonymous, username):
    answer = register(anonymous, username=username)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["username"]


def test_an_address_may_be_longer_than_a_workspaces_name(anonymous):
    answer = register(anonymous, email=f"{'a' * 240}@example.com")

    assert answer.status_code == 201
    assert answer.json()["user"]["workspace"]["name"] == "a" * 200


def test_an_address_that_grows_in_small_letters_is_measured_in_small_letters(anonymous):
    answer = register(anonymous, email=f"{'a' * 120}@{'İ' * 60}.{'b' * 60}.com")

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["email"]


@pytest.mark.django_db(transaction=True)
def test_of_parallel_registrations_of_one_address_one_succeeds():
    acts = [lambda: register(APIClient(raise_request_exception=False), username="") for _ in range(6)]

    answers = at_once(acts)

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {answer.json().get("field") for answer in answers} == {None, "email"}
    assert User.objects.count() == Workspace.objects.count() == Membership.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_parallel_registrations_of_one_username_one_succeeds():
    emails = [f"ann{number}@example.com" for number in range(6)]
    acts = [
        lambda email=email: register(APIClient(raise_request_exception=False), email=email, username="ann")
        for email in emails
    ]

    answers = at_once(acts)

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {answer.json().get("field") for answer in answers} == {None, "username"}
    assert User.objects.count() == Workspace.objects.count() == 1


def test_registering_too_often_from_one_address_is_refused_for_a_while(anonymous, monkeypatch):
    monkeypatch.setitem(ScopedRateThrottle.THROTTLE_RATES, "register", "2/hour")
    for _ in range(2):
        register(anonymous, email="")

    answer = anonymous.post("/api/auth/register", {}, HTTP_X_FORWARDED_FOR="203.0.113.9")

    assert answer.status_code == 429
    assert answer.json()["error"] == "rate_limited"
    assert 0 < int(answer["Retry-After"]) <= 3600
