"""Exporting leads: each is charged once per workspace, for ever, and never beyond the month's limit."""

from leads.exports.exporting import export
from leads.exports.receipts import Receipt, message

__all__ = ["Receipt", "export", "message"]
