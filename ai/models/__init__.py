"""The tables of AI, by what they are about."""

from ai.models.calls import AICall, AIMonth
from ai.models.prompts import Prompt, PromptCase, PromptEvaluation, PromptRelease, PromptVersion

__all__ = [
    "AICall",
    "AIMonth",
    "Prompt",
    "PromptCase",
    "PromptEvaluation",
    "PromptRelease",
    "PromptVersion",
]
