"""What comes back is looked at before anybody gets it."""

import re

from django.utils.translation import gettext as _

from ai.actions.analysis import Analysis
from ai.errors import AnswerUnusable
from ai.openai_gateway import VENDOR, Answer, Question

TELLING = 12  # words of the instructions in a row, which nobody writes by chance
_WORD = re.compile(r"\w+")


def checked(answer: Answer, question: Question) -> str:
    """The answer's words; of an analysis its reason. Raises AnswerUnusable for an empty one, and for one that tells its instructions."""
    words = answer.form.reason if isinstance(answer.form, Analysis) else answer.text
    if not words.strip():
        raise AnswerUnusable(vendor=VENDOR, reason=_("it is empty"))
    if tells(answer.text, question.instructions):
        raise AnswerUnusable(vendor=VENDOR, reason=_("it repeats its instructions"))
    return str(words.strip())


def tells(text: str, instructions: str) -> bool:
    """Whether a text has a passage of the instructions in it."""
    said, secret = words(text), words(instructions)
    spoken = f" {' '.join(said)} "
    return any(f" {' '.join(secret[start : start + TELLING])} " in spoken for start in range(len(secret) - TELLING + 1))


def words(text: str) -> list[str]:
    """As they are compared: in small letters, and nothing between them."""
    return _WORD.findall(text.casefold())
