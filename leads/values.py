"""What a lead's fields may hold: one place for the API, the admin and the imports.

Each cleaner takes what was written and returns what is kept, or raises ValueError with a sentence for people.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson
import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from leads.models import DisgType, LeadStatus
from leads.moments import moment
from leads.numbers import Ambiguous, number

Cleaner = Callable[[Any], Any]

MAX_TEXT, MAX_NOTES, MAX_ITEMS = 500, 20_000, 100


def text(limit: int = MAX_TEXT) -> Cleaner:
    """Text of at most ``limit`` characters, trimmed."""

    def clean(value: Any) -> str:
        found = str(value).strip()
        if len(found) > limit:
            raise ValueError(_("At most {limit} characters.").format(limit=limit))
        if "\x00" in found:
            raise ValueError(_("It must not contain NUL characters."))
        return found

    return clean


_short = text()


def email(value: Any) -> str:
    found = _short(value)
    if found:
        try:
            validate_email(found)
        except ValidationError:
            raise ValueError(_("This is no e-mail address."))
        if not found.isprintable():  # soft hyphens and the like, copied along from a page
            raise ValueError(_("This is no e-mail address."))
    return found


_up_to_60 = text(60)
_NO_DIGITS = re.compile(r"\D+")


def phone(value: Any) -> str:
    """A phone number as it was written; `normalized_phone` serves matching."""
    found = _up_to_60(value)
    if found and len(_NO_DIGITS.sub("", found)) < 3:
        raise ValueError(_("This is no phone number."))
    return found


_NANP = {"US", "CA", "USA", "CANADA", "UNITED STATES", ""}
_REGIONS = {
    "DEUTSCHLAND": "DE", "GERMANY": "DE", "DEU": "DE",
    "ÖSTERREICH": "AT", "AUSTRIA": "AT", "AUT": "AT",
    "SCHWEIZ": "CH", "SWITZERLAND": "CH", "CHE": "CH",
    "UNITED KINGDOM": "GB", "UK": "GB", "GBR": "GB",
}  # fmt: skip


def normalized_phone(written: str, country: str = "") -> str:
    """E.164 (``+13307793389``) where the number can be understood, else its digits; the same for every way of writing it.

    A number without its country's code is read as one of ``country``, else of ``DEFAULT_PHONE_REGION``.
    """
    if not written:
        return ""
    digits = _NO_DIGITS.sub("", written)
    region = country.strip().upper()
    if region in _NANP and settings.DEFAULT_PHONE_REGION == "US" and written.isascii():
        # most numbers by far; the library would take fifty times as long
        if len(digits) == 10 and digits[0] in "23456789" and "+" not in written:
            return "+1" + digits
        if len(digits) == 11 and digits[0] == "1" and digits[1] in "23456789":
            return "+" + digits
    region = _REGIONS.get(region, region if len(region) == 2 else settings.DEFAULT_PHONE_REGION)
    for attempt in (written, "+" + digits[2:]) if digits.startswith("00") else (written,):
        number = _parsed(attempt, region)
        if number is not None:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return digits


def _parsed(written: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    number.extension = None
    return number if phonenumbers.is_possible_number(number) else None


def npi(value: Any) -> str:
    """Ten digits: a US provider's number in the national registry."""
    found = _short(value)
    if found and not re.fullmatch(r"[0-9]{10}", found):
        raise ValueError(_("An NPI has ten digits."))
    return found


def ein(value: Any) -> str:
    """``NN-NNNNNNN``; nine digits alone are put into that form."""
    found = _short(value)
    if re.fullmatch(r"[0-9]{9}", found):
        return f"{found[:2]}-{found[2:]}"
    if found and not re.fullmatch(r"[0-9]{2}-[0-9]{7}", found):
        raise ValueError(_("An EIN has the form NN-NNNNNNN."))
    return found


_US_STATES = frozenset(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD "
    "TN TX UT VT VA WA WV WI WY DC PR VI GU AS MP AA AE AP".split()
)


def zip_code(written: str, *, state: str, country: str) -> str:
    """A US ZIP code in its usual form: nine digits get their hyphen, and leading zeros that a spreadsheet ate come back.

    Elsewhere codes of four or eight digits are whole, so only an address known to be in the US is touched.
    """
    where = country.strip().upper()
    in_us = where in {"US", "USA", "UNITED STATES"} or (not where and state.strip().upper() in _US_STATES)
    if not in_us or not written.isascii() or not written.isdigit():
        return written
    # no ZIP code has more than two zeros in front
    if 3 <= len(written) <= 5:
        return written.zfill(5)
    if 7 <= len(written) <= 9:
        digits = written.zfill(9)
        return f"{digits[:5]}-{digits[5:]}"
    return written


_STATUS_WORDS = {
    "NEU": "NEW", "OFFEN": "NEW", "OPEN": "NEW",
    "KONTAKTIERT": "CONTACTED", "QUALIFIZIERT": "QUALIFIED", "ANGEBOT": "PROPOSAL",
    "GEWONNEN": "WON", "VERLOREN": "LOST",
}  # fmt: skip
# asking the enumeration itself takes as long as everything else about a row
_STATUSES, _DISG_TYPES = frozenset(LeadStatus.values), frozenset(DisgType.values)


def status(value: Any) -> str:
    found = _short(value).upper()
    found = _STATUS_WORDS.get(found, found)
    if found and found not in _STATUSES:
        raise ValueError(_("One of {choices}.").format(choices=", ".join(LeadStatus.values)))
    return found


def disg_type(value: Any) -> str:
    found = _short(value).upper()
    if found and found not in _DISG_TYPES:
        raise ValueError(_("One of {choices}.").format(choices=", ".join(DisgType.values)))
    return found


_ENTITIES = {"1": "Individual", "2": "Organization"}  # the registry's codes


def entity_type(value: Any) -> str:
    found: str = _short(value)
    return _ENTITIES.get(found, found)


def score(value: Any, locale: str = "") -> int:
    """0 to 100; programs write whole numbers as 85.0, too."""
    sentence = _("A whole number from 0 to 100.")
    try:
        found = number(value, locale)
    except Ambiguous:
        raise
    except ValueError:
        raise ValueError(sentence)
    if not 0 <= found <= 100 or found != int(found):
        raise ValueError(sentence)
    return int(found)


_YES = {"true", "yes", "y", "1", "ja", "j", "x", "wahr"}
_NO = {"false", "no", "n", "0", "nein", "falsch"}


def boolean(value: Any) -> bool:
    found = _short(value).lower()
    if found in _YES:
        return True
    if found in _NO:
        return False
    raise ValueError(_("Yes or no."))


def sole_proprietor(value: Any) -> bool | None:
    """Yes or no; the registry writes X where nobody answered."""
    return None if str(value).strip().upper() == "X" else boolean(value)


def listed(separators: str) -> Cleaner:
    """A list of texts, or one text that has them apart by one of ``separators``, the first that occurs in it."""

    def clean(value: Any) -> list[str]:
        items = value if isinstance(value, list) else _split(str(value), separators)
        if len(items) > MAX_ITEMS:
            raise ValueError(_("At most {limit} entries.").format(limit=MAX_ITEMS))
        if any(isinstance(item, dict | list | bool) or item is None for item in items):
            raise ValueError(_("A list of texts."))
        return list(dict.fromkeys(found for item in items if (found := _short(item))))

    return clean


def _split(written: str, separators: str) -> list[str]:
    for separator in separators:
        if separator in written:
            return written.split(separator)
    return [written]


_MAX_CUSTOM, _MAX_DEPTH, _TOO_LARGE = 65_536, 32, 2**63  # bytes, levels, the first number beyond 64 bits


def custom_fields(value: Any) -> bytes:
    """A lead's custom fields as JSON: an object of at most 64 KiB that the database keeps and every answer can hold.

    PostgreSQL takes no NUL, and gives 1e30 back as a whole number of 31 digits, which is none for most readers of JSON.
    """
    if not isinstance(value, dict):
        raise ValueError(_("A JSON object."))
    for found in _numbers(value):
        if abs(found) >= _TOO_LARGE:
            raise ValueError(_("A number in it is too large."))
    written = orjson.dumps(value)
    if len(written) > _MAX_CUSTOM:
        raise ValueError(_("At most {limit} bytes.").format(limit=_MAX_CUSTOM))
    if b"\\u0000" in written:
        raise ValueError(_("It must not contain NUL characters."))
    return written


def _numbers(value: Any) -> Iterator[int | float]:
    """Every number in a JSON value, however deep. Raises ValueError where that is too deep."""
    left = [(value, 0)]
    while left:
        item, depth = left.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(_("It is nested too deep."))
        if isinstance(item, dict | list):
            left += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]
        elif isinstance(item, int | float):
            yield item


# field → cleaner, for every field that people may write. `extra` and `assigned_user_id` have rules of their own.
CLEANERS: dict[str, Cleaner] = {
    "external_id": text(200),
    "name": text(),
    "email": email,
    "phone": phone,
    "company": text(),
    "website": text(2000),
    "channel": text(),
    "owner_phone": phone,
    "address": text(),
    "city": text(),
    "state": text(),
    "zip_code": text(20),
    "country": text(),
    "ein": ein,
    "npi": npi,
    "entity_type": entity_type,
    "providers": listed(";|\n"),
    "specialties": listed(";|\n,"),
    "is_sole_proprietor": sole_proprietor,
    "status": status,
    "score": score,
    "needs_action": boolean,
    "next_action_at": moment,
    "next_action_description": text(2000),
    "last_contact": moment,
    "disg_type": disg_type,
    "notes": text(MAX_NOTES),
    "tags": listed(";|\n,"),
    "source": text(100),
}


def cleaners(locale: str = "") -> dict[str, Cleaner]:
    """`CLEANERS`, with dates and numbers as they are written in a locale (one of `numbers.LOCALES`)."""
    if not locale:
        return CLEANERS
    return CLEANERS | {
        "score": partial(score, locale=locale),
        "next_action_at": partial(moment, locale=locale),
        "last_contact": partial(moment, locale=locale),
    }


ALIASES = {"practice_name": "company", "owner_name": "name", "practice_phone": "phone"}

# what takes more than one text
LISTS = ("providers", "specialties", "tags")
YES_OR_NO = ("is_sole_proprietor", "needs_action")

# what tells who a lead is; one without any of these is nobody
IDENTIFYING = ("external_id", "name", "company", "email", "phone", "website", "npi")
