"""What a lead's data says of its last contact: the AI may repeat a day that stands there, and make up none."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

from leads.models import Activity
from leads.moments import moment

_DAY = re.compile(
    r"\b(?:[0-9]{1,4}[./-] ?[0-9]{1,2}[./-] ?[0-9]{2,4}"
    r"|[0-9]{1,2}(?:st|nd|rd|th)?\.? ?[^\W\d_]{3,9}\.?,? [0-9]{4}"
    r"|[^\W\d_]{3,9}\.? [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4})\b"
)
_LONGEST = 60_000  # characters that are looked through
_WRITTEN = ("notes", "extra", "next_action_description")


def days_of_contact(lead: Mapping[str, Any]) -> set[date]:
    """The days (UTC) that a lead as `ai.actions.tasks.read` has it names: when somebody called, wrote or met, and those in its texts."""
    activities = lead.get("activities", [])
    contacts = [done for done in activities if done["type"] in Activity.CONTACTS]
    texts = [*(lead.get(name) for name in _WRITTEN), *(done["text"] for done in activities)]
    return {(done["done_at"] or done["created_at"]).date() for done in contacts} | set(_days_in(str(texts)))


def _days_in(text: str) -> Iterator[date]:
    for found in _DAY.findall(text[:_LONGEST]):
        for locale in ("de", "en-US"):  # either may be meant
            with suppress(ValueError):
                yield moment(found, locale).date()
