"""What an answer that is no success means: whether it is worth another try, and whether what was asked for may have been done."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from django.utils.translation import gettext as _

from crm.errors import TokenRefused
from zevix.errors import Rejected, Unanswered, Unreachable, UpstreamError

_LONGEST_REASON = 300  # characters
_TOO_MANY = (408, 425, 429)
_GONE = (404, 410)


@dataclass(frozen=True)
class Refused:
    """An answer that is no success. ``may_be_done``: what was asked for would change something there."""

    status: int
    text: bytes
    is_html: bool
    may_be_done: bool
    secrets: Sequence[str]

    @property
    def reason(self) -> str:
        """In Pipedrive's own words, without secrets, short enough to be shown; empty where it has none."""
        said = {} if self.is_html else _object(self.text)
        found = [said.get(name) for name in ("error", "message", "error_info")]
        reason = next((_plain(text) for text in found if isinstance(text, str) and text), "")
        for secret in filter(None, self.secrets):
            reason = reason.replace(secret, "…")
        return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"


def failure(answer: Refused) -> UpstreamError:
    """Unreachable (Unanswered), Rejected or TokenRefused, with a sentence."""
    status = answer.status
    if status >= 500:
        kind = Unanswered if answer.may_be_done else Unreachable
        return kind(vendor="Pipedrive", reason=answer.reason or f"HTTP {status}", kind="server_error")
    if status in _TOO_MANY or (status == 403 and answer.is_html):
        return Unreachable(vendor="Pipedrive", reason=_("too many requests"), kind="rate_limited")
    if status in _GONE and not _object(answer.text):
        # somebody in between: taken for Pipedrive's own word, all that we have linked would be gone
        return Unreachable(vendor="Pipedrive", reason=f"HTTP {status}", kind="no_json")
    return _rejected(answer)


def _rejected(answer: Refused) -> Rejected:
    match answer.status:
        case 401:
            return TokenRefused(vendor="Pipedrive", reason=_("the API token is not valid"), kind="token")
        case 402:
            reason = _("the account is closed or not paid for")
            return TokenRefused(vendor="Pipedrive", reason=reason, kind="account_closed")
        case 403:
            kind = "feature_capping" if b"feature_capping" in answer.text else "forbidden"
            reason = answer.reason or _("the token's user may not do this")
            return Rejected(vendor="Pipedrive", reason=reason, kind=kind)
        case 404 | 410:
            return Rejected(vendor="Pipedrive", reason=answer.reason or f"HTTP {answer.status}", kind="not_found")
        case status if status < 400:
            reason = _("it is found elsewhere; check the company's domain")
            return Rejected(vendor="Pipedrive", reason=reason, kind="redirect")
        case status:
            return Rejected(vendor="Pipedrive", reason=answer.reason or f"HTTP {status}", kind="bad_request")


def is_gone(error: Rejected) -> bool:
    """Whether there is no such object there."""
    return error.details["kind"] == "not_found"


def _object(text: bytes) -> dict[str, object]:
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip().rstrip(".")
