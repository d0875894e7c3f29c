"""What every request passes: its id, the rules for pages elsewhere, and text that is text."""

import re

import pytest
from django.utils.translation import gettext, override

pytestmark = pytest.mark.django_db

PAGE, FOREIGN = "https://page.example", "https://evil.example"


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.CORS_ALLOWED_ORIGINS = [PAGE]
    settings.CORS_ALLOWED_ORIGIN_REGEXES = []


# Request ids ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc", "0b6d7a3e-6c8f-4a3e-9f61-2f6c1d1d9d0a", "a.b_c:d", "x" * 128])
def test_a_sane_request_id_comes_back(anonymous, given):
    answer = anonymous.get("/api/auth/me", HTTP_X_REQUEST_ID=given)

    assert answer["X-Request-ID"] == answer.json()["request_id"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "a\nSet-Cookie: x=y", "abc\n", "x" * 129, "x" * 200, "ä", "日", "<b>", "a\x00"]
)
def test_another_is_replaced(anonymous, given):
    answer = anonymous.get("/api/auth/me", HTTP_X_REQUEST_ID=given)

    assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-ID"])
    assert answer.json()["request_id"] == answer["X-Request-ID"]


@pytest.mark.parametrize("url", ["/api/docs", "/nowhere", "/nowhere?a=%00", "/admin/", "/api/auth/me"])
def test_every_answer_carries_one(anonymous, url):
    first, second = anonymous.get(url), anonymous.get(url)

    assert first["X-Request-ID"] != second["X-Request-ID"]


# Pages elsewhere ------------------------------------------------------------------------------------------------------------


def preflight(client, origin=PAGE, url="/zevix/export-lead"):
    return client.options(
        url,
        HTTP_ORIGIN=origin,
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS="authorization,content-type,idempotency-key",
    )


def listed(answer, header):
    return set(answer.get(header, "").lower().split(", ")) - {""}


def test_a_preflight_allows_what_the_contract_needs(anonymous):
    answer = preflight(anonymous)

    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert listed(answer, "Access-Control-Allow-Headers") == {
        "accept", "accept-language", "authorization", "content-type", "idempotency-key", "if-match", "x-request-id",
    }  # fmt: skip
    assert listed(answer, "Access-Control-Allow-Methods") >= {"get", "post", "put", "patch", "delete"}


def test_an_allowed_page_may_read_the_headers_that_the_contract_speaks_of(anonymous):
    answer = anonymous.get("/api/auth/me", HTTP_ORIGIN=PAGE)

    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert listed(answer, "Access-Control-Expose-Headers") == {
        "etag", "idempotent-replayed", "retry-after", "x-request-id", "content-disposition",
    }  # fmt: skip
    assert "origin" in answer["Vary"].lower()


@pytest.mark.parametrize(
    "origin", [FOREIGN, "null", "http://page.example", "https://page.example:444", "http://[bad", ""]
)
def test_a_foreign_page_is_allowed_nothing(anonymous, origin):
    answers = [preflight(anonymous, origin), anonymous.get("/api/auth/me", HTTP_ORIGIN=origin)]

    assert [listed(answer, "Access-Control-Allow-Origin") for answer in answers] == [set(), set()]
    assert [answer.status_code for answer in answers] == [200, 401]


def test_errors_reach_an_allowed_page_too(anonymous):
    answers = [anonymous.get(url, HTTP_ORIGIN=PAGE) for url in ("/nowhere", "/api/auth/register", "/nowhere?a=%00")]

    assert [answer.status_code for answer in answers] == [404, 405, 400]
    assert {answer["Access-Control-Allow-Origin"] for answer in answers} == {PAGE}


# Text that is text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["/api/v1/leads?search=%00", "/api/v1/leads?%00=a", "/nowhere%00", "/password/MQ/%00"])
def test_nul_is_refused_wherever_it_stands_around_the_body(api, url):
    answer = api.get(url)

    assert answer.status_code == 400
    assert answer.json()["error"] == "malformed_request"


@pytest.mark.parametrize(
    "url",
    ["/%ff", "/%ed%a0%80", "/api/v1/leads?search=%ff", "/api/v1/leads?search=%ed%a0%80", "/api/v1/leads?limit=%d9%a1"],
)
def test_bytes_that_are_no_text_cause_no_failure(api, url):
    assert api.get(url).status_code in {200, 400, 404}


def test_a_body_of_unknown_length_is_refused(anonymous):
    answer = anonymous.generic("POST", "/api/auth/login", b"", HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="")

    assert answer.status_code == 411
    assert answer.json()["error"] == "length_required"


def test_a_refusal_before_the_language_is_chosen_speaks_the_clients_language(anonymous):
    with override("de"):
        german = gettext("The request could not be read.")
    anonymous.get("/nowhere", HTTP_ACCEPT_LANGUAGE="de")

    in_english = anonymous.get("/nowhere?a=%00").json()
    anonymous.get("/nowhere")
    in_german = anonymous.get("/nowhere?a=%00", HTTP_ACCEPT_LANGUAGE="de").json()

    assert in_english["message"] == "The request could not be read."
    assert in_german["message"] == german
