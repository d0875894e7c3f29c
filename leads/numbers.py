"""Numbers as people write them: ``1,234.56`` here, ``1.234,56`` there."""

import re
from typing import Any

from django.utils.translation import gettext as _

# the locales that a file may be in; without one, what could be read in two ways is an error
LOCALES = ("de", "en-US", "en-GB")

_LONGEST = 40  # characters
_PLAIN = re.compile(r"([+-]?)([0-9]+)(?:([.,])([0-9]+))?")
_GROUPED = re.compile(r"([+-]?)([0-9]{1,3}(?:([.,'’ \u00a0\u202f])[0-9]{3})(?:\3[0-9]{3})*)(?:([.,])([0-9]+))?")


class Ambiguous(ValueError):
    """What was written means one thing in Germany and another in the US."""


def number(value: Any, locale: str = "") -> int | float:
    """The number that was written, in a locale's way where one is given.

    Raises Ambiguous for ``1,234`` without a locale, ValueError for what is no number.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    written = str(value).strip()
    found = _plain(written, locale) or _grouped(written, locale) if len(written) <= _LONGEST else None
    if found is None:
        raise ValueError(_("This is no number."))
    sign, whole, fraction = found
    return float(f"{sign}{whole}.{fraction}") if fraction.strip("0") else int(sign + whole)


def _plain(written: str, locale: str) -> tuple[str, str, str] | None:
    """``85``, ``85,0``: sign, whole, fraction. A mark before three digits may part thousands as well."""
    found = _PLAIN.fullmatch(written)
    if not found:
        return None
    sign, whole, mark, fraction = found.groups(default="")
    thousands = len(fraction) == 3 and len(whole) <= 3 and whole[0] != "0"
    if thousands and not locale:
        raise Ambiguous(_("“{written}” could be two numbers.").format(written=written))
    if mark and locale and mark != _decimal(locale):
        return (sign, whole + fraction, "") if thousands else None
    return sign, whole, fraction


def _grouped(written: str, locale: str) -> tuple[str, str, str] | None:
    """``1.234,56``, ``1'234'567``."""
    found = _GROUPED.fullmatch(written)
    if not found:
        return None
    sign, whole, group, mark, fraction = found.groups(default="")
    if group == mark or (locale and (group == _decimal(locale) or (mark and mark != _decimal(locale)))):
        return None
    return sign, whole.replace(group, ""), fraction


def _decimal(locale: str) -> str:
    return "," if locale == "de" else "."
