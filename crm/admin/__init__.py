"""The admin's lists and forms of the CRM, by what they are about."""

from crm.admin import deals, meters, sync

__all__ = ["deals", "meters", "sync"]
