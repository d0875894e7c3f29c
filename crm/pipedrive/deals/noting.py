"""The lead's notes go along with a new deal: as one note there, once."""

from datetime import datetime
from html import escape
from typing import Any

from django.utils import timezone

from crm.errors import TokenRefused
from crm.models import Creation, Deal
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import creating
from zevix.errors import Rejected


def write_note(deal: Deal, *, account: Account, deadline: float | None = None) -> None:
    """Write a deal's note. One that Pipedrive refuses is dropped, and the deal keeps the reason. Raises Unreachable, TokenRefused."""
    problem = ""
    try:
        creating.ensure(
            Creation.Kind.NOTE,
            f"deal:{deal.pk}",
            account=account,
            find=lambda since: _find(deal, since, account),
            create=lambda: account.pipedrive.create_note(as_html(deal.note), deal_id=deal.remote_id),
            deadline=deadline,
        )
    except TokenRefused:
        raise
    except Rejected as error:
        problem = str(error)
    done = {"note": "", "problem": problem, "attempts": 0, "retry_at": None}
    Deal.objects.filter(pk=deal.pk).update(**done, updated_at=timezone.now())


def as_html(text: str) -> str:
    """Text as it stands, line by line: notes there are HTML."""
    return "<br>".join(escape(line) for line in text.splitlines())


def _find(deal: Deal, since: datetime | None, account: Account) -> int | None:
    """The note that a request without an answer has written: ours at this deal, since nobody here writes another one."""
    if since is None:
        return None
    notes: list[dict[str, Any]] = list(account.pipedrive.notes(deal_id=deal.remote_id))
    ours = [note["id"] for note in notes if note.get("user_id") == account.connection.user_id]
    return int(ours[0]) if ours else None
