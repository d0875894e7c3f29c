"""The tables of the CRM, by what they are about."""

from crm.models.connections import Connection, TokenMeter
from crm.models.deals import Deal
from crm.models.links import Conflict, Creation, Link
from crm.models.waiting import ChangedLead, InboxEvent, SyncRun

__all__ = [
    "ChangedLead",
    "Conflict",
    "Connection",
    "Creation",
    "Deal",
    "InboxEvent",
    "Link",
    "SyncRun",
    "TokenMeter",
]
