"""What must hold of an answer: a list of objects with one key each.

``{"contains": "…"}``, ``{"not_contains": "…"}`` (capitals do not matter), ``{"matches": "a regular expression of PostgreSQL's"}``,
``{"max_length": 600}`` (characters), ``{"language": "de"}``, ``{"equals": {"path": "analysis.status", "value": "WON"}}``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from django.db import DataError, OperationalError, connection, transaction
from django.utils.translation import gettext as _

from leads.values import custom_fields

_MAX_TEXT, _MAX_CHECKS = 1_000, 20
_WORDS = {
    "de": {"der", "die", "das", "und", "ist", "nicht", "sie", "ich", "wir", "ein", "eine", "mit", "für", "auf", "ihr", "ihnen", "zu", "den", "von", "im"},
    "en": {"the", "and", "is", "not", "you", "i", "we", "a", "with", "for", "on", "your", "to", "of", "in", "this", "that", "are", "be", "our"},
}  # fmt: skip


def problems(checks: Any) -> list[str]:
    """What is wrong with checks that somebody wrote, in sentences."""
    if not isinstance(checks, list) or len(checks) > _MAX_CHECKS:
        return [_("A list of at most {limit} checks.").format(limit=_MAX_CHECKS)]
    try:
        custom_fields({"checks": checks})
    except (ValueError, orjson.JSONEncodeError):
        return [_("This can't be kept.")]
    return [
        _("Check {number}: {problem}").format(number=number, problem=problem)
        for number, check in enumerate(checks, 1)
        if (problem := _problem(check))
    ]


def failures(checks: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The checks that do not hold of an answer: ``{"reply", "analysis"?}``."""
    return [check for check in checks for kind, wanted in check.items() if not _KINDS[kind][1](answer, wanted)]


def _problem(check: Any) -> str:
    if not isinstance(check, dict) or len(check) != 1 or not set(check) <= set(_KINDS):
        return _("An object with one of the keys {names}.").format(names=", ".join(_KINDS))
    ((kind, wanted),) = check.items()
    return "" if _KINDS[kind][0](wanted) else _("This is not what “{kind}” takes.").format(kind=kind)


# What each takes, and whether it holds -----------------------------------------------------------------------------------------


def _is_text(wanted: Any) -> bool:
    return isinstance(wanted, str) and 0 < len(wanted) <= _MAX_TEXT and "\x00" not in wanted


def _is_pattern(wanted: Any) -> bool:
    if not _is_text(wanted):
        return False
    try:
        _found("", wanted)
    except (DataError, OperationalError):
        return False
    return True


def _is_length(wanted: Any) -> bool:
    return isinstance(wanted, int) and not isinstance(wanted, bool) and 0 < wanted <= 100_000


def _is_place(wanted: Any) -> bool:
    return (
        isinstance(wanted, dict)
        and set(wanted) == {"path", "value"}
        and _is_text(wanted["path"])
        and isinstance(wanted["value"], str | int | float | bool | None)
    )


def _contains(answer: Mapping[str, Any], wanted: str) -> bool:
    return wanted.casefold() in answer["reply"].casefold()


def _matches(answer: Mapping[str, Any], wanted: str) -> bool:
    try:
        return _found(answer["reply"], wanted)
    except (DataError, OperationalError):  # a pattern that takes for ever holds of nothing
        return False


def _found(text: str, pattern: str) -> bool:
    """By PostgreSQL, which can be stopped: one pattern can keep Python's engine busy for hours."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '2s'")
        cursor.execute("SELECT %s ~ %s", [text, pattern])
        found = bool(cursor.fetchone()[0])
        transaction.set_rollback(True)  # the time-out is for this statement alone
    return found


def _is_in(answer: Mapping[str, Any], wanted: str) -> bool:
    return language_of(answer["reply"]) == wanted


def language_of(text: str) -> str:
    """English or German, by the small words that a text has more of."""
    words = re.findall(r"\w+", text.casefold())
    return max(_WORDS, key=lambda language: sum(word in _WORDS[language] for word in words))


def _equals(answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    found: Any = answer
    for name in wanted["path"].split("."):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return False
    return orjson.dumps(found) == orjson.dumps(wanted["value"])  # 1 is not true


_KINDS: dict[str, tuple[Callable[[Any], bool], Callable[[Mapping[str, Any], Any], bool]]] = {
    "contains": (_is_text, _contains),
    "not_contains": (_is_text, lambda answer, wanted: not _contains(answer, wanted)),
    "matches": (_is_pattern, _matches),
    "max_length": (_is_length, lambda answer, wanted: len(answer["reply"]) <= wanted),
    "language": (lambda wanted: wanted in ("de", "en"), _is_in),
    "equals": (_is_place, _equals),
}
