"""Signing in on pages that embed Zevix: the quota at hand, and a session cookie that counts from allowed pages only."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Membership, RefreshToken, User
from accounts.tests.factories import make_member
from leads.models import Usage
from leads.quotas import current_month
from leads.tests.factories import give_plan, make_catalogue, use

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery 9"
PAGE, FOREIGN = "https://page.example", "https://evil.example"
INVALID, EXPIRED, ASKED = (401, "token_invalid"), (401, "token_expired"), (401, "authentication_required")


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.PASSWORD_HASHERS = ["accounts.tests.hashers.QuickArgon2"]
    settings.CORS_ALLOWED_ORIGINS = [PAGE]
    settings.CORS_ALLOWED_ORIGIN_REGEXES = []


@pytest.fixture
def ann(db):
    return make_member(email="ann@example.com", username="ann", password=PASSWORD)


@pytest.fixture
def browser():
    """Keeps cookies, and says which page it asks from."""
    return APIClient(raise_request_exception=False, headers={"Origin": PAGE})


def login(client, **fields):
    return client.post("/zevix/login", {"email": "ann@example.com", "password": PASSWORD, **fields})


def renew(client, body=None, token=None, origin=None):
    headers = {} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    if origin is not None:
        headers["HTTP_ORIGIN"] = origin
    return client.post("/zevix/refresh-token", body or {}, **headers)


def export(client, lead="id1", **headers):
    return client.post("/zevix/export-lead", {"lead_id": lead}, **headers)


def without_origin(client):
    """The same cookies, from no page."""
    other = APIClient(raise_request_exception=False)
    other.cookies = client.cookies
    return other


def expired(token):
    old = AccessToken(token)
    old.set_exp(from_time=timezone.now(), lifetime=timedelta(minutes=-1))
    return str(old)


def code(answer):
    return answer.status_code, answer.json().get("error")


def figures(body):
    return {name: value for name, value in body.items() if name not in {"token", "refresh_token"}}


EVERYONES_FIRST = {
    "success": True,
    "email": "ann@example.com",
    "plan": "free",
    "used": 0,
    "remaining": 50,
    "limit": 50,
}


# Signing in -----------------------------------------------------------------------------------------------------------------


def test_signing_in_answers_the_tokens_the_plan_and_the_quota(browser, ann):
    answer = login(browser)

    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == [
        "success", "token", "refresh_token", "email", "plan", "used", "remaining", "limit", "month",
    ]  # fmt: skip
    assert figures(body) == EVERYONES_FIRST | {"month": current_month()}


def test_the_token_of_a_sign_in_opens_the_rest(browser, ann, anonymous):
    make_catalogue(1)
    token = login(browser).json()["token"]

    answer = export(anonymous, HTTP_AUTHORIZATION=f"Bearer {token}")

    assert answer.json()["new_ids"] == ["id1"]


def test_the_quota_is_that_of_the_plan_after_what_was_used(browser, ann):
    plan = give_plan(ann.workspace, 500)
    use(ann.workspace, 45)

    answer = login(browser)

    assert figures(answer.json()) == EVERYONES_FIRST | {
        "plan": plan.code,
        "used": 45,
        "remaining": 455,
        "limit": 500,
        "month": current_month(),
    }


def test_after_a_smaller_plan_nothing_remains_rather_than_less_than_nothing(browser, ann):
    give_plan(ann.workspace, 10)
    use(ann.workspace, 45)

    body = login(browser).json()

    assert (body["used"], body["remaining"], body["limit"]) == (45, 0, 10)


def test_one_may_sign_in_by_username(browser, ann):
    answer = browser.post("/zevix/login", {"username": "ANN", "password": PASSWORD})

    assert answer.status_code == 200


def test_wrong_credentials_are_refused_and_begin_no_session(browser, ann):
    answer = login(browser, password="wrong")

    assert code(answer) == (401, "invalid_credentials")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "zevix_session" not in browser.cookies


@pytest.mark.parametrize("fields", [{"password": None}, {"email": ["a"]}, {"plan": "business"}])
def test_a_sign_in_of_the_wrong_shape_is_refused_at_its_field(browser, ann, fields):
    answer = login(browser, **fields)

    assert code(answer) == (400, "validation_error")
    assert list(answer.json()["fields"]) == list(fields)


def test_the_session_cookie_is_out_of_reach_of_scripts(browser, ann):
    login(browser)

    cookie = browser.cookies["zevix_session"]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 30 * 24 * 3600


# Refreshing -----------------------------------------------------------------------------------------------------------------


def test_a_valid_token_is_renewed_with_the_quota_read_anew(browser, ann, anonymous):
    token = login(browser).json()["token"]
    use(ann.workspace, 7)

    answer = renew(anonymous, token=token)

    body = answer.json()
    assert answer.status_code == 200
    assert figures(body) == EVERYONES_FIRST | {"used": 7, "remaining": 43, "month": current_month()}
    assert anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {body['token']}").status_code == 200
    assert renew(anonymous, {"refresh_token": body["refresh_token"]}).status_code == 200


def test_an_expired_token_is_renewed_by_the_session_from_an_allowed_page(browser, ann):
    token = login(browser).json()["token"]

    answer = renew(browser, token=expired(token))

    assert answer.status_code == 200
    assert figures(answer.json()) == EVERYONES_FIRST | {"month": current_month()}


@pytest.mark.parametrize("origin", [FOREIGN, "null", "", "http://[bad", "https://page.example.evil.example"])
def test_an_expired_token_is_not_renewed_by_the_session_from_elsewhere(browser, ann, origin):
    token = login(browser).json()["token"]

    answer = renew(browser, token=expired(token), origin=origin)

    assert code(answer) == EXPIRED


def test_an_expired_token_is_not_renewed_by_the_session_without_an_origin(browser, ann):
    token = login(browser).json()["token"]

    answer = renew(without_origin(browser), token=expired(token))

    assert code(answer) == EXPIRED


def test_an_expired_token_is_not_renewed_without_a_session(browser, ann):
    token = login(browser).json()["token"]
    browser.cookies.clear()

    answer = renew(browser, token=expired(token))

    assert code(answer) == EXPIRED


def test_an_expired_token_is_not_renewed_by_somebody_elses_session(browser, ann):
    make_member(email="bob@example.com", password=PASSWORD)
    token = login(browser).json()["token"]
    login(browser, email="bob@example.com")

    answer = renew(browser, token=expired(token))

    assert code(answer) == EXPIRED


def test_a_forged_token_is_not_renewed_by_the_session(browser, ann):
    token = expired(login(browser).json()["token"])
    head, body, signature = token.split(".")

    answer = renew(browser, token=f"{head}.{body}.{signature[::-1]}")

    assert code(answer) == INVALID


def test_a_refresh_token_in_the_body_is_enough_and_works_once(browser, ann, anonymous):
    first = login(browser).json()["refresh_token"]

    answer, again = renew(anonymous, {"refresh_token": first}), renew(anonymous, {"refresh_token": first})

    assert answer.status_code == 200
    assert figures(answer.json()) == EVERYONES_FIRST | {"month": current_month()}
    assert code(again) == INVALID


def test_a_refresh_token_beside_an_expired_token_is_enough(browser, ann, anonymous):
    body = login(browser).json()

    answer = renew(anonymous, {"refresh_token": body["refresh_token"]}, token=expired(body["token"]))

    assert answer.status_code == 200


def test_the_session_alone_is_enough_from_an_allowed_page(browser, ann):
    login(browser)

    answer = renew(browser)

    assert answer.status_code == 200
    assert answer.json()["email"] == "ann@example.com"


@pytest.mark.parametrize("origin", [FOREIGN, "null", ""])
def test_the_session_alone_is_not_enough_from_elsewhere(browser, ann, origin):
    login(browser)

    answer = renew(browser, origin=origin)

    assert code(answer) == ASKED
    assert answer["WWW-Authenticate"] == "Bearer"


def test_our_own_pages_need_not_be_on_the_list(browser, ann):
    login(browser)

    answer = renew(browser, origin="http://testserver")

    assert answer.status_code == 200


def test_nothing_to_go_by_is_refused(anonymous):
    assert code(renew(anonymous)) == ASKED


@pytest.mark.parametrize("gone", ["inactive", "no longer a member", "the password changed"])
def test_a_session_of_somebody_who_is_gone_is_none(browser, ann, gone):
    login(browser)
    if gone == "inactive":
        User.objects.update(is_active=False)
    elif gone == "no longer a member":
        Membership.objects.all().delete()
    else:
        user = User.objects.get()
        user.set_password("quite another staple 7")
        user.save()

    answer = renew(browser)

    assert code(answer) == ASKED


# The session on the export routes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/zevix/export-lead", "/zevix/export-leads-batch"])
def test_exports_take_the_session_from_an_allowed_page(browser, ann, path):
    make_catalogue(1)
    login(browser)

    answer = browser.post(path, {"lead_id": "id1"} if path.endswith("lead") else {"lead_ids": ["id1"]})

    assert answer.status_code == 200
    assert answer.json()["new_ids"] == ["id1"]


@pytest.mark.parametrize("origin", [FOREIGN, "null", "", "http://[bad"])
def test_exports_do_not_take_the_session_from_elsewhere(browser, ann, origin):
    make_catalogue(1)
    login(browser)

    answer = export(browser, HTTP_ORIGIN=origin)

    assert code(answer) == ASKED
    assert Usage.objects.count() == 0


def test_a_bad_token_is_not_helped_by_the_session(browser, ann):
    login(browser)

    answer = export(browser, HTTP_AUTHORIZATION="Bearer x")

    assert code(answer) == INVALID


def test_other_routes_take_no_session(browser, ann):
    login(browser)

    answers = [browser.get("/api/v1/leads"), browser.get("/api/auth/me"), browser.post("/api/v1/leads", {})]

    assert [code(answer) for answer in answers] == [ASKED] * 3


# Signing out ----------------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_and_the_refresh_token(browser, ann, anonymous):
    body = login(browser).json()

    answer = browser.post("/zevix/logout", HTTP_AUTHORIZATION=f"Bearer {body['token']}")

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert code(renew(browser)) == ASKED
    assert code(renew(anonymous, {"refresh_token": body["refresh_token"]})) == INVALID
    assert code(renew(anonymous, token=body["token"])) == INVALID


def test_the_session_alone_signs_out_from_an_allowed_page(browser, ann, anonymous):
    body = login(browser).json()

    answer = browser.post("/zevix/logout")

    assert answer.status_code == 200
    assert code(export(browser)) == ASKED
    assert code(renew(anonymous, {"refresh_token": body["refresh_token"]})) == INVALID


def test_an_expired_token_is_no_obstacle_to_signing_out(browser, ann, anonymous):
    body = login(browser).json()

    answer = browser.post("/zevix/logout", HTTP_AUTHORIZATION=f"Bearer {expired(body['token'])}")

    assert answer.status_code == 200
    assert code(renew(browser)) == ASKED
    assert code(renew(anonymous, {"refresh_token": body["refresh_token"]})) == INVALID


def test_a_refresh_token_alone_signs_out(browser, ann, anonymous):
    body = login(browser).json()

    answer = anonymous.post("/zevix/logout", {"refresh_token": body["refresh_token"]})

    assert answer.status_code == 200
    assert code(renew(anonymous, {"refresh_token": body["refresh_token"]})) == INVALID


def test_signing_out_by_refresh_token_ends_the_session_of_that_sign_in(browser, ann, anonymous):
    body = login(browser).json()

    anonymous.post("/api/auth/logout", HTTP_AUTHORIZATION=f"Bearer {body['token']}")

    assert code(export(browser)) == ASKED


def test_a_foreign_page_cannot_sign_one_out(browser, ann):
    login(browser)

    answer = browser.post("/zevix/logout", HTTP_ORIGIN=FOREIGN)

    assert code(answer) == ASKED
    assert renew(browser).status_code == 200


def test_signing_out_leaves_other_sign_ins_alone(browser, ann, anonymous):
    elsewhere = login(anonymous).json()
    login(browser)

    browser.post("/zevix/logout")

    assert renew(APIClient(), {"refresh_token": elsewhere["refresh_token"]}).status_code == 200


def test_who_is_not_signed_in_may_sign_out(anonymous):
    answer = anonymous.post("/zevix/logout")

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert RefreshToken.objects.count() == 0
