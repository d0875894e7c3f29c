"""Fences around what others wrote: marks that nobody can guess, so that no text can close them and pass for ours."""

import secrets
from collections.abc import Mapping
from typing import Any

import orjson


def new() -> str:
    """The word that the marks of one question, or of one turn of a chat, are made of."""
    return secrets.token_hex(8)


def around(blocks: Mapping[str, Any], fence: str) -> str:
    """What others wrote, each block as JSON between marks of its own, under its name. Empty ones are left out."""
    written = [
        f'<data-{fence} name="{name}">\n{_written(value)}\n</data-{fence}>' for name, value in blocks.items() if value
    ]
    return "\n\n".join(written)


def _written(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
