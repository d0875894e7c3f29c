"""The admin's lists and forms of leads, by what they are about."""

from leads.admin import activities, distribution, exports, history, imports, leads, lists, merging, suppressions, usage

__all__ = [
    "activities",
    "distribution",
    "exports",
    "history",
    "imports",
    "leads",
    "lists",
    "merging",
    "suppressions",
    "usage",
]
