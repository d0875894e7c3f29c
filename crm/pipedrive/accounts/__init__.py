"""A workspace's account of Pipedrive: connecting it, opening it for work, and what is wrong with it."""

from crm.pipedrive.accounts.connecting import configure, connect, disconnect
from crm.pipedrive.accounts.opening import Account, connection_of, default_connection, open, refresh, setup_of
from crm.pipedrive.accounts.tokens import hint
from crm.pipedrive.accounts.trouble import note_fine, note_trouble

__all__ = [
    "Account",
    "configure",
    "connect",
    "connection_of",
    "default_connection",
    "disconnect",
    "hint",
    "note_fine",
    "note_trouble",
    "open",
    "refresh",
    "setup_of",
]
