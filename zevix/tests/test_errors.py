"""One error shape, whatever goes wrong and whoever finds out: the view, REST framework, Django or the middleware."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, Throttled
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from zevix import errors
from zevix.api.json import JSONParser
from zevix.errors import Conflict, NotConfigured, ValidationFailed
from zevix.urls import handler400, handler403, handler404, handler500, urlpatterns

pytestmark = pytest.mark.django_db


class Nested(serializers.Serializer):
    names = serializers.ListField(child=serializers.CharField(max_length=3))
    owner = serializers.DictField(child=serializers.IntegerField())


RAISED: dict[str, Exception] = {
    "bug": ZeroDivisionError("the secret cause"),
    "refused": Conflict("A {thing} with {{braces}}", thing="lead"),
    "not-configured": NotConfigured(setting="STRIPE_SECRET_KEY"),
    "fields": ValidationFailed(fields={"name": ["Too short."]}),
    "forbidden": PermissionDenied("because of {braces}"),
    "missing": Http404("the secret cause"),
    "throttled": Throttled(wait=1.2),
    "throttled-for-ever": Throttled(),
    "suspicious": SuspiciousOperation("the secret cause"),
    "list": serializers.ValidationError(["One.", "Two."]),
    "django-validation": DjangoValidationError("a model's own, which no view should let out"),
}


class Raising(APIView):
    authentication_classes: Any = []
    permission_classes = [AllowAny]
    parser_classes = [JSONParser, FormParser]

    def get(self, request, what):
        raise RAISED[what]

    def post(self, request, what):
        Nested(data=request.data).is_valid(raise_exception=True)
        return Response({})


def plain(request, what):
    raise RAISED[what]


urlpatterns = [*urlpatterns, path("raise/<what>", Raising.as_view()), path("plain/<what>", plain)]

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


@pytest.fixture
def broken(settings, anonymous):
    """The API with views that fail, besides its own."""
    settings.ROOT_URLCONF = __name__
    return anonymous


def shape(answer, **more):
    """The body that an error must have, word for word, but for the sentence."""
    body = answer.json()
    assert answer["Content-Type"] == "application/json"
    return {
        "success": False,
        "error": body["error"],
        "message": body["message"],
        **more,
        "request_id": answer["X-Request-ID"],
    }


@pytest.mark.parametrize(
    ("method", "url", "status", "error"),
    [
        ("GET", "/api/v1/leads", 401, "authentication_required"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/leads/", 404, "not_found"),
        ("GET", "/api/auth/register", 405, "method_not_allowed"),
        ("BREW", "/api/auth/register", 405, "method_not_allowed"),
        ("GET", "/raise/refused", 409, "conflict"),
        ("GET", "/raise/forbidden", 403, "permission_denied"),
        ("GET", "/raise/missing", 404, "not_found"),
        ("GET", "/raise/throttled", 429, "rate_limited"),
        ("GET", "/raise/suspicious", 400, "malformed_request"),
        ("GET", "/raise/bug", 500, "internal_error"),
        ("GET", "/raise/django-validation", 500, "internal_error"),
        ("GET", "/plain/missing", 404, "not_found"),
        ("GET", "/plain/suspicious", 400, "malformed_request"),
        ("GET", "/plain/bug", 500, "internal_error"),
    ],
)
def test_every_error_has_the_one_shape(broken, method, url, status, error):
    answer = broken.generic(method, url)

    body = answer.json()
    expected = shape(answer)
    if error == "conflict":
        expected["thing"] = "lead"
    if error == "rate_limited":
        expected["seconds"] = 2
    assert (answer.status_code, body["error"]) == (status, error)
    assert body == expected
    assert body["message"].endswith((".", "}"))


@pytest.mark.parametrize(
    ("content_type", "body", "status", "error"),
    [
        ("application/json", b"{", 400, "malformed_request"),
        ("application/json", b'{"a": NaN}', 400, "malformed_request"),
        ("application/json", b'{"a": "\\ud800"}', 400, "malformed_request"),
        ("application/json", b'{"a": "\xff"}', 400, "malformed_request"),
        ("application/json", '{"a": 1}'.encode("utf-16"), 400, "malformed_request"),
        ("application/json", b"[" * 100_000, 400, "malformed_request"),
        ("application/json", b"", 400, "validation_error"),
        ("application/json", b"null", 400, "validation_error"),
        ("application/json", b'"text"', 400, "validation_error"),
        ("application/json", b"5", 400, "validation_error"),
        ("application/json", b"[]", 400, "validation_error"),
        ("application/json; charset=utf-8", b"{}", 400, "validation_error"),
        ("application/json", b" " * 2_621_441, 413, "payload_too_large"),
        ("", b"{}", 415, "unsupported_media_type"),
        ("text/plain", b"{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"email=a", 415, "unsupported_media_type"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "unsupported_media_type"),
        ("a{b}c", b"{}", 415, "unsupported_media_type"),
    ],
)
@pytest.mark.parametrize("url", ["/api/auth/register", "/zevix/login"])
def test_a_body_that_cannot_be_taken_has_the_one_shape(anonymous, url, content_type, body, status, error):
    answer = anonymous.generic("POST", url, body, content_type=content_type)

    fields = {"fields": answer.json()["fields"]} if error == "validation_error" else {}
    limit = {"limit": 2_621_440} if status == 413 else {}
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json() == shape(answer, **fields, **limit)


def test_what_is_wrong_with_the_body_as_a_whole_stands_under_one_name(anonymous):
    answer = anonymous.generic("POST", "/api/auth/register", b"[1]", content_type="application/json")

    assert list(answer.json()["fields"]) == ["non_field_errors"]


def test_nested_fields_are_named_by_their_path(broken):
    answer = broken.post("/raise/x", {"names": ["ok", "too long"], "owner": {"a": "b"}})

    assert answer.json()["fields"] == {
        "names.1": ["Ensure this field has no more than 3 characters."],
        "owner.a": ["A valid integer is required."],
    }


def test_sentences_about_nothing_in_particular_stand_under_one_name(broken):
    assert broken.get("/raise/list").json()["fields"] == {"non_field_errors": ["One.", "Two."]}


def test_only_a_validation_error_has_fields(broken):
    with_fields, without = broken.get("/raise/fields"), broken.get("/raise/refused")

    assert with_fields.json() == shape(with_fields, fields={"name": ["Too short."]})
    assert "fields" not in without.json()


def test_braces_in_a_message_are_no_placeholders(broken):
    assert broken.get("/raise/refused").json()["message"] == "A lead with {braces}"


def test_what_is_not_configured_names_the_setting(broken):
    answer = broken.get("/raise/not-configured")

    assert answer.status_code == 503
    assert answer.json() == shape(answer, setting="STRIPE_SECRET_KEY")
    assert answer.json()["message"] == "This needs the setting STRIPE_SECRET_KEY, which is not set up."


@pytest.mark.parametrize("url", ["/raise/bug", "/raise/missing", "/plain/bug", "/plain/missing", "/raise/suspicious"])
def test_the_cause_of_an_error_stays_inside(broken, url):
    assert "secret" not in broken.get(url).content.decode()


def test_the_log_knows_the_cause_under_the_request_id(broken, caplog):
    answer = broken.get("/raise/bug", HTTP_X_REQUEST_ID="abc-1")

    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert answer.json()["request_id"] == "abc-1"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.parametrize(("what", "seconds"), [("throttled", "2"), ("throttled-for-ever", "1")])
def test_who_comes_too_often_is_told_when_to_come_again(broken, what, seconds):
    answer = broken.get(f"/raise/{what}")

    assert answer.status_code == 429
    assert answer["Retry-After"] == seconds


def test_a_method_that_is_not_allowed_is_answered_with_those_that_are(anonymous):
    assert anonymous.get("/api/auth/register")["Allow"] == "POST, OPTIONS"


def test_a_401_says_how_to_sign_in(anonymous):
    assert anonymous.get("/api/v1/leads")["WWW-Authenticate"] == "Bearer"


def test_a_wish_for_another_format_than_json_has_the_one_shape(anonymous):
    answer = anonymous.get("/api/auth/me", HTTP_ACCEPT="text/html")

    assert answer.status_code == 406
    assert answer.json() == shape(answer)


def test_a_host_that_is_not_ours_has_the_one_shape(anonymous):
    answer = anonymous.get("/api/auth/me", HTTP_HOST="evil.example")

    assert (answer.status_code, answer.json()["error"]) == (400, "malformed_request")
    assert answer.json() == shape(answer)


@pytest.mark.parametrize(
    ("method", "url", "status", "error"),
    [
        ("POST", "/api/auth/register", 400, "validation_error"),
        ("GET", "/api/v1/leads", 401, "authentication_required"),
        ("GET", "/raise/forbidden", 403, "permission_denied"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/nowhere?x=%00", 400, "malformed_request"),
        ("PUT", "/api/auth/register", 405, "method_not_allowed"),
        ("GET", "/raise/throttled", 429, "rate_limited"),
        ("GET", "/raise/bug", 500, "internal_error"),
    ],
)
def test_the_code_is_the_same_in_every_language(broken, method, url, status, error):
    languages = ("en", "de", "de-AT,de;q=0.9,en;q=0.5", "fr", "*", "x" * 1000)

    answers = [broken.generic(method, url, HTTP_ACCEPT_LANGUAGE=language) for language in languages]

    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(status, error)}


def test_every_error_of_the_contract_has_its_status():
    refusals: list[type[errors.Refusal]] = [
        errors.ValidationFailed, errors.Malformed, errors.Forbidden, errors.NotFound, errors.Conflict, errors.RateLimited,
        errors.NotConfigured, errors.Unauthenticated, errors.TooLarge,
    ]  # fmt: skip

    assert {refusal.code: HTTPStatus(refusal.status) for refusal in refusals} == {
        "validation_error": 400,
        "malformed_request": 400,
        "authentication_required": 401,
        "permission_denied": 403,
        "not_found": 404,
        "conflict": 409,
        "payload_too_large": 413,
        "rate_limited": 429,
        "not_configured": 503,
    }


def test_errors_are_json_in_utf_8_without_a_parameter(anonymous):
    answer = anonymous.get("/nowhere")

    assert answer["Content-Type"] == "application/json"
    assert json.loads(answer.content.decode("utf-8"))["success"] is False
