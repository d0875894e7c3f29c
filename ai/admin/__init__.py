"""The admin's lists and forms of AI, by what they are about."""

from ai.admin import calls, prompts, proposals

__all__ = ["calls", "prompts", "proposals"]
