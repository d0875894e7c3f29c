"""The admin's lists and forms of AI, by what they are about."""

from ai.admin import analyses, calls, chats, documents, prompts, proposals

__all__ = ["analyses", "calls", "chats", "documents", "prompts", "proposals"]
