"""What tokens cost, in millionths of a US dollar."""

from dataclasses import dataclass
from math import ceil

from django.conf import settings


@dataclass(frozen=True)
class Tokens:
    """What a call took. ``cached`` of those that went in were cheaper."""

    input: int = 0
    cached: int = 0
    output: int = 0


def cost(model: str, tokens: Tokens) -> int:
    """By the table in the settings; a version of a model (``gpt-4o-mini-2024-07-18``) costs what the model does."""
    fresh, cached, output = _prices(model)
    return ceil((tokens.input - tokens.cached) * fresh + tokens.cached * cached + tokens.output * output)


def _prices(model: str) -> tuple[float, float, float]:
    named = [name for name in settings.AI_PRICES if model == name or model.startswith(f"{name}-20")]
    if named:
        return settings.AI_PRICES[max(named, key=len)]
    # nobody knows, and a budget must not be spent unawares
    return tuple(max(column) for column in zip(*settings.AI_PRICES.values(), strict=True))
