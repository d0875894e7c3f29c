"""Cases: what a prompt is tried on."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.db import transaction
from django.utils.translation import gettext as _

from ai.actions.tasks import FACTS
from ai.errors import CaseExists, TooManyCases
from ai.models import Prompt, PromptCase
from ai.prompts import checks
from ai.prompts.keys import DATA
from leads.values import custom_fields
from zevix.errors import ValidationFailed

MOST = 100
ROLES = ("user", "assistant")


@transaction.atomic
def add(prompt: Prompt, written: Mapping[str, Any]) -> PromptCase:
    """A new case of a prompt. Raises ValidationFailed, CaseExists, TooManyCases."""
    check(written)
    Prompt.objects.select_for_update().get(pk=prompt.pk)
    if prompt.cases.filter(name=written["name"]).exists():
        raise CaseExists
    if prompt.cases.count() >= MOST:
        raise TooManyCases(limit=MOST)
    return PromptCase.objects.create(prompt=prompt, **written)


def check(written: Mapping[str, Any]) -> None:
    """Raises ValidationFailed."""
    problems = {
        "variables": variable_problems(written["variables"]),
        "checks": checks.problems(written["checks"]),
    }
    if found := {name: said for name, said in problems.items() if said}:
        raise ValidationFailed(fields=found)


def variable_problems(variables: Any) -> list[str]:
    """What is wrong with the input of a case: ``{"lead": {…}, "messages": [{"role", "content"}], "passages": [{"title", "text"}]}``, or some."""
    if not isinstance(variables, dict) or not set(variables) <= set(DATA):
        return [_("An object with some of {names}.").format(names=", ".join(DATA))]
    try:
        custom_fields(variables)
    except orjson.JSONEncodeError:
        return [_("This can't be kept.")]
    except ValueError as error:
        return [str(error)]
    found = []
    lead, messages = variables.get("lead", {}), variables.get("messages", [])
    if not isinstance(lead, dict) or not set(lead) <= {*FACTS, "activities"}:
        found.append(_("“lead” is an object of a lead's fields."))
    if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
        found.append(_("“messages” is a list of objects with “role” (user or assistant) and “content”."))
    if not _are_passages(variables.get("passages", [])):
        found.append(_("“passages” is a list of objects with “title” and “text”."))
    return found


def _are_passages(passages: Any) -> bool:
    return isinstance(passages, list) and all(
        isinstance(passage, dict) and set(passage) == {"title", "text"} and all(map(_is_text, passage.values()))
        for passage in passages
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and set(message) == {"role", "content"}
        and message["role"] in ROLES
        and isinstance(message["content"], str)
    )
