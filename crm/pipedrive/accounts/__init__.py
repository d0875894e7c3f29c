"""A workspace's account of Pipedrive: connecting it, opening it for work, and what is wrong with it."""

from crm.pipedrive.accounts.connecting import check_now, configure, connect, disconnect
from crm.pipedrive.accounts.opening import (
    Account,
    connection_of,
    default_connection,
    looked_at,
    open,
    refresh,
    setup_of,
)
from crm.pipedrive.accounts.tokens import hint
from crm.pipedrive.accounts.trouble import note_fine, note_trouble

__all__ = [
    "Account",
    "check_now",
    "configure",
    "connect",
    "connection_of",
    "default_connection",
    "disconnect",
    "hint",
    "looked_at",
    "note_fine",
    "note_trouble",
    "open",
    "refresh",
    "setup_of",
]
