"""How Stripe says no: https://docs.stripe.com/api/errors"""

from typing import Any


class Refused(Exception):
    """A refusal with Stripe's status and body.

    ``is_saved`` is False where Stripe would not replay it for its idempotency key; ``keeps_changes`` is True where what the
    request did until then stays, as a failed try of an invoice does.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int = 400,
        kind: str = "invalid_request_error",
        is_saved: bool = True,
        keeps_changes: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        told = {"type": kind, "code": code, "message": message, "param": param, **more}
        self.status, self.is_saved, self.keeps_changes = status, is_saved, keeps_changes
        self.body = {"error": {name: value for name, value in told.items() if value is not None}}


def missing(thing: str, id: str, param: str) -> Refused:
    return Refused(f"No such {thing}: '{id}'", code="resource_missing", param=param, status=404)


def lacks(param: str) -> Refused:
    return Refused(f"Missing required param: {param}.", code="parameter_missing", param=param, is_saved=False)


def declined(*, keeps_changes: bool = False) -> Refused:
    return Refused(
        "Your card was declined.",
        keeps_changes=keeps_changes,
        code="card_declined",
        status=402,
        kind="card_error",
        decline_code="generic_decline",
    )


def not_modelled(what: str) -> Refused:
    """Stripe would take it; these tests do not know how it would answer."""
    return Refused(
        f"The stand-in does not model {what}.", code="not_modelled", status=400, kind="api_error", is_saved=False
    )
