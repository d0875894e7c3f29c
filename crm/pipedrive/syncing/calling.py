"""Having leads compared anew, before long, though nothing changed here."""

from typing import Any

from django.db import connection, transaction
from django.utils import timezone

_NOTE = """
    INSERT INTO crm_changedlead (workspace_id, lead_id, version, changed_at, problem, attempts)
    SELECT workspace_id, id, version, clock_timestamp(), '', 0 FROM leads_lead WHERE id = ANY(%s) ORDER BY id
    ON CONFLICT (lead_id) DO UPDATE SET changed_at = excluded.changed_at, retry_at = NULL
"""


# Whoever writes a lead has its row here noted by the trigger before they come to the link: in that order nobody waits for the other.


@transaction.atomic
def call_for(links: Any) -> int:
    """Have the persons of these links read anew; of leads that are in the bin, once they are back. Returns how many links."""
    lead_ids = list(links.values_list("lead_id", flat=True))
    if lead_ids:
        note(lead_ids)
        links.update(woken_at=timezone.now())
    return len(lead_ids)


def note(lead_ids: list[int]) -> None:
    """Note leads as changed, so that the next pass looks at them."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [lead_ids])
