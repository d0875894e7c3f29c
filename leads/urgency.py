"""Which leads need action: by what people do, and by the time that passes."""

from collections import Counter
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, When
from django.db.models.functions import Now

from leads import history
from leads.history import SYSTEM
from leads.models import Activity, Lead, LeadQuerySet, NeedsAction
from zevix import events


def needed(status: Any, last_contact: Any) -> Case:
    """For queries of leads: whether action is needed, since a task is due or by status and last contact."""
    due = Activity.objects.open().filter(lead=OuterRef("pk"), due_at__lte=Now())
    return Case(When(Exists(due), then=True), default=NeedsAction(status, last_contact))


def is_needed(lead: Lead) -> bool:
    """The same for a lead as it stands in the database."""
    return Lead.objects.filter(pk=lead.pk).values_list(needed(F("status"), F("last_contact")), flat=True).get()


def most_urgent_first(leads: LeadQuerySet) -> LeadQuerySet:
    """Those of a workspace's leads that need action: what is overdue or due soonest, then who was never contacted, then the longest silent."""
    return leads.filter(needs_action=True).order_by(
        "workspace_id", F("next_action_at").asc(nulls_last=True), F("last_contact").asc(nulls_first=True), "id"
    )


# A moment that has passed raises the flag once: where the flag was up at any time since, somebody has taken it down again.
_MARK = """
    WITH passed (lead_id, moment) AS (
        SELECT id, moment FROM leads_lead, LATERAL (VALUES (last_contact + interval '30 days'), (next_action_at)) AS t (moment)
        WHERE NOT needs_action AND status NOT IN ('WON', 'LOST') AND moment BETWEEN created_at AND now()
        UNION ALL
        SELECT lead_id, due_at FROM leads_activity WHERE type = 'task' AND done_at IS NULL AND due_at <= now()
    ), due AS (
        SELECT id FROM leads_lead
        WHERE NOT needs_action AND id IN (
            SELECT lead_id FROM passed WHERE NOT EXISTS (
                SELECT FROM leads_leadversion AS v
                WHERE v.pgh_obj_id = lead_id AND v.needs_action AND v.pgh_created_at > moment
            )
        )
        ORDER BY id LIMIT %(limit)s
        FOR UPDATE OF leads_lead SKIP LOCKED
    )
    UPDATE leads_lead AS l SET needs_action = true FROM due WHERE l.id = due.id RETURNING l.workspace_id
"""


@transaction.atomic
def mark_due(limit: int = 5_000) -> int:
    """Mark leads that need action by now though nobody touched them; returns how many.

    They are open and were contacted 30 days ago, or their next action or a task is due. A lead whose mark somebody has removed
    after that moment stays without. One that is being changed at this moment is left to the next time.
    """
    with history.written_by(SYSTEM, "time"), connection.cursor() as cursor:
        cursor.execute(_MARK, {"limit": limit})
        marked = Counter(workspace_id for (workspace_id,) in cursor.fetchall())
    for workspace_id, count in sorted(marked.items()):
        events.record(workspace_id, "lead.updated", {"count": count, "fields": ["needs_action"]})
    return marked.total()
