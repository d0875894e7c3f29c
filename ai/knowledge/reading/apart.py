"""What a process of its own reads (see `ai.knowledge.apart`)."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from ai.knowledge.sections import Section
from ai.knowledge.texts import plain
from leads.errors import UnreadableFile

_SECONDS, _PATIENCE = 120, 300  # of the processor's time, of anybody's


def sections(kind: str, data: bytes) -> Iterator[Section]:
    """Raises UnreadableFile, also for what takes too long or too much memory."""
    for heading, page, text in _answer(kind, data)["sections"]:
        yield Section(plain(text), plain(heading), page)


def _answer(kind: str, data: bytes) -> dict[str, Any]:
    command = [sys.executable, "-m", "ai.knowledge.apart", kind, str(_SECONDS)]
    try:
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, input=data, capture_output=True, timeout=_PATIENCE, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UnreadableFile(reason=_why("heavy"))
    if done.returncode < 0:  # ended by its limits
        raise UnreadableFile(reason=_why("heavy"))
    done.check_returncode()
    answer: dict[str, Any] = orjson.loads(done.stdout)
    if "error" in answer:
        raise UnreadableFile(reason=_why(answer["error"]))
    return answer


def _why(reason: str) -> str:
    return {
        "encrypted": _("it is protected by a password."),
        "broken": _("it is broken, or no such file."),
        "scanned": _("there is no text in it; it may be scanned."),
        "empty": _("there is no text in it."),
        "pages": _("it has more than {limit} pages.").format(limit=2_000),
        "long": _("it has more text than can be taken in."),
        "heavy": _("to read it takes too long, or too much memory."),
    }[reason]
