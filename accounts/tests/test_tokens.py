"""Tokens: what an access token opens, and how a sign-in goes on and ends."""

from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import jobs, tokens
from accounts.models import Membership, RefreshToken, Role, User
from accounts.tests.factories import make_member, make_workspace
from accounts.tests.threads import at_once

pytestmark = pytest.mark.django_db


def refresh(token, client=None, **headers):
    return (client or APIClient(raise_request_exception=False)).post(
        "/api/auth/refresh", {"refresh_token": token}, **headers
    )


def me(token, path="/api/auth/me"):
    return APIClient(raise_request_exception=False).get(path, HTTP_AUTHORIZATION=f"Bearer {token}")


def code(answer):
    return answer.status_code, answer.json().get("error")


def expired(token):
    """The same access token, a minute after its end."""
    old = AccessToken(token)
    old.set_exp(from_time=timezone.now(), lifetime=timedelta(minutes=-1))
    return str(old)


INVALID, EXPIRED = (401, "token_invalid"), (401, "token_expired")


# Access tokens --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/auth/me", "/auth/me"])
def test_the_user_sees_themselves_in_the_workspace_of_the_token(api, member, stranger, path):
    answer = api.get(path)

    assert answer.status_code == 200
    assert answer.json() == {
        "id": member.user_id,
        "email": member.user.email,
        "username": member.user.username,
        "role": "admin",
        "is_beta_user": False,
        "workspace": {"id": member.workspace_id, "name": member.workspace.name},
        "last_activity": answer.json()["last_activity"],
        "conversion_rate": 0.0,
        "activity_score": 0.0,
        "deals_closed": 0,
        "current_percentile": None,
        "current_rank": None,
        "performance_score": 0.0,
        "badges": [],
    }


def test_recognising_a_token_takes_one_query(api, django_assert_num_queries):
    with django_assert_num_queries(1):
        api.get("/api/auth/me")


def test_the_role_is_the_present_one_not_the_tokens(api, member):
    Membership.objects.filter(pk=member.pk).update(role=Role.AGENT)

    answer = api.get("/api/auth/me")

    assert answer.json()["role"] == "agent"


def test_in_another_workspace_the_same_user_needs_another_token(member, client_of):
    second = Membership.objects.create(user=member.user, workspace=make_workspace(name="Second"), role=Role.AGENT)

    first_seen, second_seen = (client_of(place).get("/api/auth/me").json() for place in (member, second))

    assert (first_seen["role"], second_seen["role"]) == ("admin", "agent")
    assert second_seen["workspace"] == {"id": second.workspace_id, "name": "Second"}


def test_without_a_token_one_is_asked_to_sign_in(anonymous):
    answer = anonymous.get("/api/auth/me")

    assert code(answer) == (401, "authentication_required")
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer ÿþ", "Basic YTpi", "zvx", "Bearer " + "x" * 100_000],
)
def test_what_is_no_token_is_refused(anonymous, header):
    answer = anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=header)

    assert code(answer) == INVALID
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_signed_by_somebody_else_or_by_nobody_is_refused(member):
    token = tokens.issue(member).access
    head, body, signature = token.split(".")
    unsigned = f"eyJhbGciOiJub25lIn0.{body}."

    answers = [me(f"{head}.{body}.{signature[::-1]}"), me(unsigned)]

    assert [code(answer) for answer in answers] == [INVALID, INVALID]


def test_a_refresh_token_opens_nothing_by_itself(member):
    answer = me(tokens.issue(member).refresh)

    assert code(answer) == INVALID


def test_an_expired_token_says_so(member):
    answer = me(expired(tokens.issue(member).access))

    assert code(answer) == EXPIRED
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_lasts_as_long_as_the_setting_says(member, settings):
    token = AccessToken(tokens.issue(member).access)

    assert token["exp"] - token["iat"] == settings.ACCESS_TOKEN_LIFETIME.total_seconds()


@pytest.mark.parametrize("gone", ["inactive", "deleted", "no longer a member"])
def test_the_tokens_of_somebody_who_is_gone_are_refused(member, gone):
    issued = tokens.issue(member)
    if gone == "inactive":
        User.objects.filter(pk=member.user_id).update(is_active=False)
    elif gone == "deleted":
        member.user.delete()
    else:
        Membership.objects.filter(pk=member.pk).delete()

    answers = [me(issued.access), refresh(issued.refresh)]

    assert [code(answer) for answer in answers] == [INVALID, INVALID]


# Refreshing -----------------------------------------------------------------------------------------------------------------


def test_refreshing_answers_a_new_pair(member):
    issued = tokens.issue(member)

    answer = refresh(issued.refresh)

    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["success", "access_token", "refresh_token", "token", "token_type", "user"]
    assert body["token"] == body["access_token"]
    assert body["refresh_token"] != issued.refresh
    assert me(body["access_token"]).json()["id"] == body["user"]["id"] == member.user_id
    assert refresh(body["refresh_token"]).status_code == 200


def test_a_refresh_token_may_come_as_bearer(member, anonymous):
    issued = tokens.issue(member)

    answer = anonymous.post("/api/auth/refresh", HTTP_AUTHORIZATION=f"Bearer {issued.refresh}")

    assert answer.status_code == 200
    assert code(refresh(issued.refresh)) == INVALID


def test_an_expired_access_token_beside_the_refresh_token_does_no_harm(member):
    issued = tokens.issue(member)

    answer = refresh(issued.refresh, HTTP_AUTHORIZATION=f"Bearer {expired(issued.access)}")

    assert answer.status_code == 200


def test_a_second_use_ends_the_whole_sign_in_the_newest_token_too(member):
    first = tokens.issue(member).refresh
    second = refresh(first).json()["refresh_token"]
    third = refresh(second).json()["refresh_token"]

    answers = [refresh(first), refresh(third), refresh(second)]

    assert [code(answer) for answer in answers] == [INVALID] * 3


def test_a_second_use_leaves_other_sign_ins_alone(member):
    stolen, other = tokens.issue(member).refresh, tokens.issue(member).refresh
    refresh(stolen)

    refresh(stolen)

    assert refresh(other).status_code == 200


def test_an_expired_refresh_token_says_so(member):
    issued = tokens.issue(member)
    RefreshToken.objects.update(expires_at=timezone.now())

    answer = refresh(issued.refresh)

    assert code(answer) == EXPIRED
    assert answer["WWW-Authenticate"] == "Bearer"


def test_an_access_token_refreshes_nothing(member):
    assert code(refresh(tokens.issue(member).access)) == INVALID


def test_refreshing_with_nothing_is_refused(anonymous):
    answer = anonymous.post("/api/auth/refresh", {})

    assert code(answer) == (401, "authentication_required")


@pytest.mark.parametrize("value", [None, "", 5, ["a"], {"a": 1}, "x" * 513, "a\x00"])
def test_a_refresh_token_of_the_wrong_kind_is_refused_at_its_field(anonymous, value):
    answer = anonymous.post("/api/auth/refresh", {"refresh_token": value})

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == ["refresh_token"]


def test_only_a_hash_of_a_refresh_token_is_kept(member):
    issued = tokens.issue(member)

    kept = bytes(RefreshToken.objects.get().digest)

    assert len(kept) == 32
    assert issued.refresh.encode() not in kept


def test_refresh_tokens_past_their_time_are_forgotten(member):
    old, fresh = tokens.issue(member), tokens.issue(member)
    RefreshToken.objects.filter(family=old.family).update(expires_at=timezone.now() - timedelta(seconds=1))

    jobs.forget_expired_sign_ins(0)

    assert list(RefreshToken.objects.values_list("family", flat=True)) == [fresh.family]


@pytest.mark.django_db(transaction=True)
def test_of_parallel_uses_of_one_refresh_token_one_succeeds_and_the_sign_in_ends():
    member = make_member()
    token = tokens.issue(member).refresh

    answers = at_once([lambda: refresh(token) for _ in range(6)])

    won = [answer.json()["refresh_token"] for answer in answers if answer.status_code == 200]
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401, 401]
    assert code(refresh(won[0])) == INVALID


# Ending a sign-in -----------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_refresh_tokens_of_this_sign_in_only(member, anonymous):
    here, elsewhere = tokens.issue(member), tokens.issue(member)
    newer = refresh(here.refresh).json()

    answer = anonymous.post("/api/auth/logout", HTTP_AUTHORIZATION=f"Bearer {newer['access_token']}")

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert code(refresh(newer["refresh_token"])) == INVALID
    assert refresh(elsewhere.refresh).status_code == 200


def test_signing_out_ends_the_sign_in_of_the_refresh_token_given(member, api):
    other = tokens.issue(member)

    api.post("/api/auth/logout", {"refresh_token": other.refresh})

    assert code(refresh(other.refresh)) == INVALID


def test_signing_out_takes_a_token(anonymous):
    answer = anonymous.post("/api/auth/logout")

    assert code(answer) == (401, "authentication_required")


def test_nobody_signs_others_out(api, stranger):
    theirs = tokens.issue(stranger)

    api.post("/api/auth/logout", {"refresh_token": "zvr_unknown"})

    assert refresh(theirs.refresh).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ends", ["the sign-in", "every sign-in"])
def test_a_token_that_is_issued_while_its_sign_in_ends_does_not_outlive_it(ends):
    member = make_member()
    old = tokens.issue(member)
    issued: list[str] = []
    rotated, may_commit = Event(), Event()

    def rotate_slowly():
        try:
            with transaction.atomic():
                issued.append(tokens.rotate(old.refresh).refresh)
                rotated.set()
                may_commit.wait(10)
        finally:
            connection.close()

    def end():
        try:
            tokens.revoke_family(old.family) if ends == "the sign-in" else tokens.revoke_all(member.user)
        finally:
            connection.close()

    slow, ending = Thread(target=rotate_slowly), Thread(target=end)
    slow.start()
    rotated.wait(10)
    ending.start()
    ending.join(0.2)
    waited = ending.is_alive()
    may_commit.set()
    slow.join(10)
    ending.join(10)

    assert waited
    assert code(refresh(issued[0])) == INVALID


def test_who_was_recognised_by_an_old_password_gets_no_tokens(member):
    recognised = Membership.objects.select_related("user", "workspace").get(pk=member.pk)
    User.objects.update(credentials_version=2)

    with pytest.raises(tokens.TokenInvalid):
        tokens.issue(recognised)

    assert RefreshToken.objects.count() == 0
