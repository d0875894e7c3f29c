"""Signing in with a password, and the lock-out of those who guess."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db import connection
from django.db.models import F

from accounts.models import User
from accounts.tests.factories import make_member, make_user

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery 9"


@pytest.fixture
def ann(db):
    return make_member(email="ann@example.com", username="Ann", password=PASSWORD)


def login(client, name="ann@example.com", password=PASSWORD, *, address="192.0.2.1", path="/api/auth/login", **headers):
    key = "email" if "@" in name else "username"
    return client.post(path, {key: name, "password": password}, REMOTE_ADDR=address, **headers)


def codes(answers):
    return [(answer.status_code, answer.json().get("error")) for answer in answers]


REFUSED, LOCKED = (401, "invalid_credentials"), (429, "rate_limited")


@pytest.mark.parametrize("path", ["/api/auth/login", "/auth/login"])
@pytest.mark.parametrize("name", ["ann@example.com", "ANN@Example.com", " ann@example.com ", "Ann", "ann", "ANN"])
def test_one_signs_in_by_address_or_username_in_any_case(anonymous, ann, name, path):
    answer = login(anonymous, name, path=path)

    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["success", "access_token", "refresh_token", "token", "token_type", "user"]
    assert (body["success"], body["token_type"]) == (True, "bearer")
    assert body["token"] == body["access_token"]
    assert body["user"]["id"] == ann.user_id
    assert body["user"]["workspace"] == {"id": ann.workspace_id, "name": ann.workspace.name}


def test_the_field_left_blank_is_no_obstacle(anonymous, ann):
    answer = anonymous.post("/api/auth/login", {"email": "", "username": "ann", "password": PASSWORD})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "", "username": "", "password": PASSWORD}, "email"),
        ({"email": "ann@example.com"}, "password"),
        ({"email": ["ann@example.com"], "password": PASSWORD}, "email"),
        ({"username": 5, "password": PASSWORD}, "username"),
        ({"email": "a\x00b", "password": PASSWORD}, "email"),
        ({"email": "x" * 1_000_000, "password": PASSWORD}, "email"),
        ({"email": "ann@example.com", "password": None}, "password"),
        ({"email": "ann@example.com", "password": 12345678}, "password"),
        ({"email": "ann@example.com", "password": PASSWORD, "otp": "1"}, "otp"),
    ],
)
def test_a_sign_in_of_the_wrong_shape_is_refused_at_its_field(anonymous, ann, body, field):
    answer = anonymous.post("/api/auth/login", body)

    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert list(answer.json()["fields"]) == [field]


def test_an_address_names_its_owner_even_where_it_is_somebodys_username(anonymous, ann):
    make_member(email="first@example.com", username="ann@example.com")

    answer = login(anonymous, "ann@example.com")

    assert answer.json()["user"]["id"] == ann.user_id


def test_names_that_the_index_tells_apart_are_two_users_at_sign_in_too(anonymous):
    admin = make_member(username="admin", password=PASSWORD)
    make_member(username="admın")  # the Turkish i without a dot, whose capital is I

    answer = login(anonymous, "Admin")

    assert answer.json()["user"]["id"] == admin.user_id


def test_a_name_is_looked_up_by_the_indexes(ann):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    plan = User.objects.with_email("a@example.com").explain() + User.objects.with_username("a").explain()

    assert "accounts_email_names_one_user" in plan
    assert "accounts_username_names_one_user" in plan


@pytest.mark.parametrize("name", ["ann@example.com", "ann", "nobody@example.com", "nobody"])
def test_wrong_credentials_are_refused_alike_whoever_is_known(anonymous, ann, name):
    answer = login(anonymous, name, "wrong horse battery 9")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {
        "success": False,
        "error": "invalid_credentials",
        "message": "The e-mail address, the username or the password is wrong.",
        "request_id": answer["X-Request-ID"],
    }


def test_an_inactive_user_is_refused_like_an_unknown_one(anonymous, ann):
    User.objects.update(is_active=False)

    answer = login(anonymous)

    assert codes([answer]) == [REFUSED]


def test_who_belongs_to_no_workspace_is_refused(anonymous):
    make_user(PASSWORD, email="ann@example.com")

    answer = login(anonymous)

    assert codes([answer]) == [REFUSED]


def test_a_user_without_a_password_cannot_sign_in(anonymous):
    make_member(email="ann@example.com")

    answers = [login(anonymous, password=password) for password in ("!", " ", "None")]

    assert codes(answers) == [REFUSED] * 3


def test_a_stale_token_in_the_header_is_no_obstacle(anonymous, ann):
    answer = login(anonymous, HTTP_AUTHORIZATION="Bearer stale")

    assert answer.status_code == 200


def test_in_several_workspaces_one_signs_in_to_the_first(anonymous, ann):
    second = make_member(workspace=make_member().workspace)
    second.user = ann.user
    second.save()

    answer = login(anonymous)

    assert answer.json()["user"]["workspace"]["id"] == ann.workspace_id


# Lock-out -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def limit(settings):
    settings.AXES_FAILURE_LIMIT = 3
    return 3


def test_after_as_many_failures_as_the_limit_even_the_right_password_has_to_wait(anonymous, ann, limit):
    failures = [login(anonymous, password="wrong") for _ in range(limit)]

    answer = login(anonymous)

    assert codes(failures) == [REFUSED] * limit
    assert codes([answer]) == [LOCKED]
    assert answer["Retry-After"] == "900"


def test_trying_both_names_of_an_account_does_not_double_the_tries(anonymous, ann, limit):
    names = ["ann@example.com", "ann", "ANN", "Ann@example.com"]

    answers = [login(anonymous, name, "wrong") for name in names]

    assert codes(answers) == [REFUSED, REFUSED, REFUSED, LOCKED]


def test_an_unknown_name_is_locked_out_like_a_known_one(anonymous, ann, limit):
    answers = [login(anonymous, name, "wrong") for name in ("nobody", "Nobody", "NOBODY", "nobody")]

    assert codes(answers) == [REFUSED, REFUSED, REFUSED, LOCKED]


def test_another_browser_is_not_another_address(anonymous, ann, limit):
    answers = [login(anonymous, password="wrong", HTTP_USER_AGENT=f"Browser/{number}") for number in range(4)]

    assert codes(answers) == [REFUSED, REFUSED, REFUSED, LOCKED]


def test_a_lock_out_concerns_neither_other_addresses_nor_other_accounts(anonymous, ann, limit):
    make_member(email="bob@example.com", password=PASSWORD)
    for _ in range(limit + 1):
        login(anonymous, password="wrong")

    elsewhere = login(anonymous, address="192.0.2.2")
    other_account = login(anonymous, "bob@example.com")

    assert (elsewhere.status_code, other_account.status_code) == (200, 200)


def test_a_success_forgets_the_failures_before_it(anonymous, ann, limit):
    for _ in range(limit - 1):
        login(anonymous, password="wrong")

    login(anonymous)

    assert codes([login(anonymous, password="wrong") for _ in range(limit)]) == [REFUSED] * limit


def test_a_lock_out_ends_with_its_time(anonymous, ann, limit):
    for _ in range(limit + 1):
        login(anonymous, password="wrong")

    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=16))

    assert login(anonymous).status_code == 200


def test_an_address_that_tries_many_accounts_is_locked_out_of_all(anonymous, ann, settings):
    settings.LOGIN_ADDRESS_LIMIT = 4

    failures = [login(anonymous, f"user{number}@example.com", "wrong") for number in range(4)]
    here, elsewhere = login(anonymous), login(anonymous, address="192.0.2.2")

    assert codes(failures) == [REFUSED] * 4
    assert codes([here]) == [LOCKED]
    assert here["Retry-After"] == "900"
    assert elsewhere.status_code == 200


def test_knocking_at_a_locked_account_does_not_lock_the_whole_address(anonymous, ann, limit, settings):
    settings.LOGIN_ADDRESS_LIMIT = limit + 1
    for _ in range(limit + 5):
        login(anonymous, "bob@example.com", "wrong")

    answer = login(anonymous)

    assert answer.status_code == 200


def test_a_forwarded_address_of_the_clients_own_does_not_evade_the_lock_out(anonymous, ann, limit):
    answers = [
        login(anonymous, password="wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}") for number in range(limit + 1)
    ]

    assert codes(answers) == [REFUSED, REFUSED, REFUSED, LOCKED]


def test_behind_a_proxy_of_ours_the_address_that_it_saw_counts(anonymous, ann, limit, settings):
    settings.TRUSTED_PROXIES = 1
    for number in range(limit + 1):
        login(anonymous, password="wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, 198.51.100.7")

    same = login(anonymous, HTTP_X_FORWARDED_FOR="198.51.100.7")
    other = login(anonymous, HTTP_X_FORWARDED_FOR="198.51.100.7, 198.51.100.8")

    assert codes([same]) == [LOCKED]
    assert other.status_code == 200


def test_the_lock_out_holds_at_every_door(anonymous, ann, limit):
    answers = [
        login(anonymous, password="wrong", path=path)
        for path in ("/api/auth/login", "/auth/login", "/zevix/login", "/zevix/login")
    ]

    assert codes(answers) == [REFUSED, REFUSED, REFUSED, LOCKED]
