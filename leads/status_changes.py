"""The activities that tell of a change of status; every way of changing one writes them."""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from leads.history import Author

_RECORD = """
    INSERT INTO leads_activity (workspace_id, lead_id, user_id, type, text, created_at, updated_at)
    SELECT workspace_id, id, %(user)s, 'status_change', status || ' → ' || %(status)s, now(), now()
    FROM leads_lead WHERE id = ANY(%(leads)s) AND status <> %(status)s
    ORDER BY id
"""


def record(lead_ids: Iterable[int], changes: dict[str, Any], *, by: Author) -> None:
    """Write down that leads get another status, if ``changes`` have one: ``NEW → CONTACTED``.

    Call it before they get it, in the same transaction.
    """
    if "status" in changes:
        with connection.cursor() as cursor:
            cursor.execute(_RECORD, {"leads": list(lead_ids), "status": changes["status"], "user": by.user_id})
