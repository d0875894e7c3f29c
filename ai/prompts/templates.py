"""Texts with ``{{ variables }}``, and nothing else that would be interpreted."""

import re
from collections.abc import Mapping

from django.utils.translation import gettext as _

from ai.prompts.keys import Variables

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}")


def problems(text: str, variables: Variables) -> list[str]:
    """What is wrong with a text, in sentences; none where it can be saved."""
    named = set(_VARIABLE.findall(text))
    found = []
    if _BRACES.search(_VARIABLE.sub("", text)):
        found.append(
            _("A variable is written {example}; other double braces can't be used.").format(example="{{ lead }}")
        )
    if unknown := sorted(named - set(variables.known)):
        found.append(
            _("There is no variable {names}; there are {known}.").format(
                names=", ".join(unknown), known=", ".join(variables.known)
            )
        )
    if missing := [name for name in variables.required if name not in named]:
        found.append(_("It must name {names}.").format(names=", ".join(missing)))
    return found


def render(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables' values, in one pass: braces in a value stay braces."""
    return _VARIABLE.sub(lambda found: values[found[1]], text)
