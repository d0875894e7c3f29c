"""Exporting leads: each is charged once per workspace, for ever, and never beyond the month's limit.

`quoting` tells what it would cost, `committing` exports what was quoted, `exporting` what is named.
"""

from leads.exports.committing import commit
from leads.exports.exporting import export
from leads.exports.receipts import Receipt, message

__all__ = ["Receipt", "commit", "export", "message"]
