"""How Zevix refuses. A refusal is expected, has a code that clients rely on, and a sentence for people."""

from typing import Any

from django.utils.translation import gettext_lazy as _


class Refusal(Exception):
    """Something that may not be done. Subclasses give ``code``, ``status`` and ``message``; ``details`` fill the message and the answer.

    ``fields`` (field → sentences) goes with ``validation_error`` only; ``headers`` go with the HTTP answer.
    """

    code = "conflict"
    status = 409
    message: Any = _("This can't be done.")

    def __init__(
        self,
        message: Any = None,
        *,
        fields: dict[str, list[Any]] | None = None,
        headers: dict[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message or self.message)
        self.template = message or self.message
        self.fields = fields
        self.headers = headers or {}
        self.details = details

    def __str__(self) -> str:
        return str(self.template).format(**self.details)


class ValidationFailed(Refusal):
    code, status = "validation_error", 400
    message = _("Some of the input is not valid.")


class Malformed(Refusal):
    code, status = "malformed_request", 400
    message = _("The request could not be read.")


class TooLarge(Refusal):
    code, status = "payload_too_large", 413
    message = _("The body is larger than {limit} bytes.")


class LengthRequired(Refusal):
    code, status = "length_required", 411
    message = _("Send the body with a Content-Length; chunked bodies are not read.")


class NotFound(Refusal):
    code, status = "not_found", 404
    message = _("There is no such object.")


class Forbidden(Refusal):
    code, status = "permission_denied", 403
    message = _("You may not do this.")


class Conflict(Refusal):
    code, status = "conflict", 409
    message = _("There is such an object already.")


class RateLimited(Refusal):
    code, status = "rate_limited", 429
    message = _("Too many requests. Try again in {seconds} seconds.")

    def __init__(self, *, seconds: int) -> None:
        super().__init__(seconds=seconds, headers={"Retry-After": str(seconds)})


class NotConfigured(Refusal):
    code, status = "not_configured", 503
    message = _("This needs the setting {setting}, which is not set up.")


class UpstreamError(Refusal):
    """Somebody else's server failed us. ``vendor`` is its name; nothing of ours is lost."""

    code, status = "upstream_error", 502
    message = _("{vendor} could not do this: {reason}")


class Unreachable(UpstreamError):
    """For now: no connection, no answer in time, too many requests, or a fault over there. Worth another try later."""

    message = _("{vendor} can't be reached at the moment ({reason}). Try again later.")


class Unanswered(Unreachable):
    """No connection, or no answer in time: what was asked may have been done or not."""


class Rejected(UpstreamError):
    """For good: the same request would be refused again. ``kind`` is the vendor's own word for the reason."""


class Unauthenticated(Refusal):
    code, status = "authentication_required", 401
    message = _("Sign in first.")

    def __init__(self, *args: Any, **details: Any) -> None:
        super().__init__(*args, headers={"WWW-Authenticate": "Bearer"}, **details)
