"""Dates and times as people and programs write them, in English and German."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from django.utils.translation import gettext as _

from leads.numbers import Ambiguous

_LONGEST = 60  # characters

_CLOCK = r"(?:[ ,t]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?(?: ?([ap])\.?m\.?)?(?: uhr)?)?"
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YEAR_FIRST = re.compile(rf"(?P<year>[0-9]{{4}})([/.])(?P<month>[0-9]{{1,2}})\2(?P<day>[0-9]{{1,2}}){_CLOCK}")
_DOTTED = re.compile(rf"(?P<day>[0-9]{{1,2}})\. ?(?P<month>[0-9]{{1,2}})\. ?(?P<year>[0-9]{{4}}|[0-9]{{2}}){_CLOCK}")
# two digits for the year with hyphens could be the year's in front as well
_EITHER_WAY = re.compile(
    rf"(?P<first>[0-9]{{1,2}})(?:/(?P<second>[0-9]{{1,2}})/(?P<year>[0-9]{{4}}|[0-9]{{2}})"
    rf"|-(?P<second_>[0-9]{{1,2}})-(?P<year_>[0-9]{{4}})){_CLOCK}"
)
_NAME = r"(?P<name>[^\W\d_]{3,9})\.?"
_ORDINAL = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_DAY_AND_NAME = re.compile(rf"{_ORDINAL}\.?[ -]*{_NAME},?[ -](?P<year>[0-9]{{4}}|[0-9]{{2}}){_CLOCK}")
_NAME_AND_DAY = re.compile(rf"{_NAME} {_ORDINAL},? (?P<year>[0-9]{{4}}){_CLOCK}")

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner", "feb february februar feber", "mar mär mrz march märz", "apr april", "may mai",
            "jun june juni", "jul july juli", "aug august", "sep sept september", "oct okt october oktober", "nov november",
            "dec dez december dezember",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip


def moment(value: Any, locale: str = "") -> datetime:
    """A time in UTC: ISO 8601, ``20.11.2024``, ``11/20/2024``, ``20. November 2024``, ``Nov 20, 2024``; with or without the time of day.

    ``03/04/2024`` is the third of April in the locales ``de`` and ``en-GB`` and the fourth of March in ``en-US``; without a locale
    it raises Ambiguous. ValueError for what is no date.
    """
    found = str(value).strip()
    try:
        if len(found) <= _LONGEST:
            return _read(found.casefold(), locale)
    except Ambiguous:
        raise
    except (ValueError, OverflowError):
        pass
    raise ValueError(_("No date: write it as 2024-11-20."))


def _read(found: str, locale: str) -> datetime:
    if _ISO.match(found):
        iso = datetime.fromisoformat(found.upper())
        return iso.replace(tzinfo=UTC) if iso.tzinfo is None else iso.astimezone(UTC)
    if told := _YEAR_FIRST.fullmatch(found) or _DOTTED.fullmatch(found):
        return _utc(told, told["year"], int(told["month"]), told["day"])
    if told := _EITHER_WAY.fullmatch(found):
        day, month = _day_and_month(int(told["first"]), int(told["second"] or told["second_"]), locale)
        return _utc(told, told["year"] or told["year_"], month, day)
    if told := _DAY_AND_NAME.fullmatch(found) or _NAME_AND_DAY.fullmatch(found):
        return _utc(told, told["year"], _MONTHS.get(told["name"], 0), told["day"])
    raise ValueError(found)


def _day_and_month(first: int, second: int, locale: str) -> tuple[int, int]:
    # a locale is taken at its word: where it was the wrong one, days beyond the 12th tell
    if locale:
        return (second, first) if locale == "en-US" else (first, second)
    if first <= 12 and second <= 12 and first != second:
        raise Ambiguous(_("The day and the month can't be told apart: write it as 2024-11-20."))
    return (first, second) if first > 12 else (second, first)


def _utc(told: re.Match[str], year: str, month: int, day: int | str) -> datetime:
    *_others, hours, minutes, seconds, half = told.groups()
    clock = time(_hours(int(hours or 0), half), int(minutes or 0), int(seconds or 0))
    return datetime.combine(date(_full(year), month, int(day)), clock, tzinfo=UTC)


def _hours(hours: int, half: str | None) -> int:
    """Of 24; ``half`` is ``a`` or ``p`` where the clock is one of twelve hours."""
    if half is None:
        return hours
    if not 1 <= hours <= 12:
        raise ValueError(hours)
    return hours % 12 + (12 if half == "p" else 0)


def _full(year: str) -> int:
    """Two digits are the century that POSIX reads in them: 69 is 1969, 68 is 2068."""
    if len(year) == 2:
        return int(year) + (1900 if int(year) >= 69 else 2000)
    return int(year)
