"""The admin's lists and forms of the CRM, by what they are about."""

from crm.admin import connections, deals, links, meters, sync

__all__ = ["connections", "deals", "links", "meters", "sync"]
