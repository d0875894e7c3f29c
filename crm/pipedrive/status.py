"""How the sync of a workspace stands, in figures and in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection as database
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Workspace
from crm.errors import NotConnected
from crm.models import Connection, Link, TokenMeter
from crm.pipedrive import accounts
from crm.pipedrive.accounts.opening import mapping_of

_ERRORS = 20
_BEHIND = 60  # seconds that something may wait before it is worth a word

# one look at what waits and what is linked
_FIGURES = """
SELECT (SELECT count(*) FROM crm_changedlead WHERE workspace_id = c.workspace_id),
       (SELECT count(*) FROM crm_inboxevent WHERE connection_id = c.id AND outcome = 'waiting'),
       (SELECT count(*) FROM crm_deal WHERE connection_id = c.id AND status = 'queued'),
       least((SELECT min(changed_at) FROM crm_changedlead WHERE workspace_id = c.workspace_id),
             (SELECT min(received_at) FROM crm_inboxevent WHERE connection_id = c.id AND outcome = 'waiting'),
             (SELECT min(created_at) FROM crm_deal WHERE connection_id = c.id AND status = 'queued')),
       (SELECT count(*) FROM crm_link WHERE connection_id = c.id AND person_id IS NOT NULL),
       (SELECT count(*) FROM crm_conflict WHERE connection_id = c.id AND resolved_at IS NULL),
       (SELECT max(synced_at) FROM crm_link WHERE connection_id = c.id)
FROM crm_connection AS c WHERE c.id = %s
"""


def status(workspace: Workspace) -> dict[str, Any]:
    """The answer of ``GET /api/v1/crm/sync``, without its run; costs the same few queries however many leads there are."""
    try:
        connection = accounts.connection_of(workspace)
    except NotConnected as refusal:
        return _nothing() | {"state": "not_connected", "message": str(refusal)}
    figures = _figures(connection)
    lag = int((timezone.now() - figures.pop("oldest_at")).total_seconds()) if figures["oldest_at"] else 0
    figures.pop("oldest_at", None)
    state, message = _in_words(connection, sum(figures["waiting"].values()), figures["conflicts"], lag)
    return {
        **_nothing(),
        **figures,
        "state": state,
        "message": message,
        "lag_seconds": max(lag, 0),
        "swept_until": connection.swept_until,
        "webhook": _webhook(connection),
        "budget": _budget(connection),
        "errors": _errors(connection),
    }


def _nothing() -> dict[str, Any]:
    return {
        "state": "",
        "message": "",
        "lag_seconds": 0,
        "waiting": {"leads": 0, "events": 0, "deals": 0},
        "linked": 0,
        "conflicts": 0,
        "last_synced_at": None,
        "swept_until": None,
        "webhook": {"state": "none", "message": ""},
        "budget": None,
        "errors": [],
    }


def _figures(connection: Connection) -> dict[str, Any]:
    with database.cursor() as cursor:
        cursor.execute(_FIGURES, [connection.pk])
        leads, events, deals, oldest_at, linked, conflicts, synced_at = cursor.fetchone()
    return {
        "waiting": {"leads": leads, "events": events, "deals": deals},
        "oldest_at": oldest_at,
        "linked": linked,
        "conflicts": conflicts,
        "last_synced_at": synced_at,
    }


def _in_words(connection: Connection, waiting: int, conflicts: int, lag: int) -> tuple[str, str]:
    if connection.state == Connection.State.BROKEN:
        return "broken", connection.problem
    if connection.state == Connection.State.PAUSED:
        return "paused", _("The sync is paused. Changes on both sides are kept for when it goes on.")
    if not waiting:
        return "in_step", connection.problem or _conflicts_in_words(conflicts)
    if connection.problem:
        return "behind", connection.problem
    if lag < _BEHIND:
        return "behind", ngettext("{count} change is on its way.", "{count} changes are on their way.", waiting).format(
            count=waiting
        )
    sentence = ngettext(
        "{count} change waits, for {minutes} minutes by now.", "{count} changes wait, the oldest for {minutes} minutes by now.", waiting
    )  # fmt: skip
    return "behind", sentence.format(count=waiting, minutes=lag // 60)


def _conflicts_in_words(conflicts: int) -> str:
    if not conflicts:
        return _("Both sides are in step.")
    sentence = ngettext(
        "Both sides are in step, except for {count} conflict that somebody has to resolve.",
        "Both sides are in step, except for {count} conflicts that somebody has to resolve.",
        conflicts,
    )
    return sentence.format(count=conflicts)


def _webhook(connection: Connection) -> dict[str, str]:
    if connection.webhook_problem:
        return {"state": "broken", "message": connection.webhook_problem}
    if connection.webhook_id is None:
        return {"state": "none", "message": _("Changes in Pipedrive are looked for every 15 minutes.")}
    return {"state": "active", "message": _("Pipedrive tells of changes at once.")}


def _budget(connection: Connection) -> dict[str, Any]:
    meter = TokenMeter.objects.filter(connection=connection).first() or TokenMeter()
    today = timezone.now().astimezone(UTC).date()
    spent = meter.spent if meter.day == today else 0
    resets_at = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)
    return {
        "limit": meter.daily_limit,
        "spent": spent,
        "left": max(meter.daily_limit - spent, 0),
        "resets_at": resets_at,
        "burst": meter.burst_limit,
    }


def _errors(connection: Connection) -> list[dict[str, Any]]:
    """What is wrong with the mapping, then with single leads, the latest first."""
    of_mapping = [
        {"lead_id": None, "message": problem, "at": connection.account_read_at}
        for problem in mapping_of(connection).problems
    ]
    in_trouble = Link.objects.filter(connection=connection).exclude(problem="").order_by("-problem_at")
    of_leads = [
        {"lead_id": lead_id, "message": problem, "at": at}
        for lead_id, problem, at in in_trouble.values_list("lead_id", "problem", "problem_at")[:_ERRORS]
    ]
    return of_mapping + of_leads
