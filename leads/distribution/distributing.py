"""Giving leads to people, by the rules of their workspace.

However many leads, each step is one statement. Whoever distributes leads of a workspace waits for the others who do, so no
capacity is passed and no turn is taken twice.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from accounts.models import Workspace
from leads import history
from leads.distribution import rulebook
from leads.distribution.deciding import Arrival, Decision, Rule, decide
from leads.filters import Asker
from leads.history import Author
from leads.models import DistributionRule, ExportedLead, Lead, LeadQuerySet, WaitingLead
from leads.selections import Selection
from zevix import events

AT_ONCE = 20_000  # leads, in one transaction while the caller waits; about four seconds
CHUNK = 2_000  # leads in a job's transaction: whoever adds a lead meanwhile waits that long
ARRIVAL, RETRY = "distribution:arrival", "distribution:retry"


@dataclass
class Outcome:
    """What became of the leads. One that has an owner already and finds nobody else keeps them, and is ``unchanged``.

    ``is_nobody_left`` when no rule has anybody who would take more today.
    """

    assigned: list[Decision] = field(default_factory=list)
    waiting: list[tuple[int, str]] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    is_nobody_left: bool = False

    def by_user(self) -> list[dict[str, int]]:
        """Who got how many, most first."""
        counts = Counter(decision.user_id for decision in self.assigned)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [{"user_id": user_id, "count": count} for user_id, count in ranked]


@dataclass(frozen=True)
class Run:
    """A distribution by jobs, each of which does a chunk. ``leads`` says which: see `unassigned`. JSON keeps it."""

    workspace_id: int
    leads: dict[str, Any]
    act: str
    user_id: int | None = None
    after: int = 0
    done: int = 0
    total: int | None = None


# Acts -----------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def distribute(
    lead_ids: Sequence[int], *, workspace: Workspace | int, by: Author, act: str = "", reassign: bool = False
) -> Outcome:
    """Give the leads of these that have no owner to somebody, or let them wait; with ``reassign`` those that have one, too.

    The oldest lead is given first. Ids of other workspaces' leads are as good as none.
    """
    workspace_id = workspace if isinstance(workspace, int) else workspace.pk
    outcome = _distribute(lead_ids, workspace_id, by.user_id, act or new_act(), reassign=reassign)
    _tell(outcome, workspace_id)
    return outcome


def arrived(lead_id: int, *, workspace: Workspace, by: Author) -> None:
    """Give a lead that was just added without an owner to somebody, where the workspace has rules; call it in the same transaction."""
    if rulebook.has_rules(workspace.pk):
        distribute([lead_id], workspace=workspace, by=by, act=ARRIVAL)


def many_arrived(leads: dict[str, Any], *, workspace_id: int, user_id: int | None) -> None:
    """The same for the leads of an import or an export (``{"import": id}``, ``{"export": id}``), by a job."""
    if rulebook.has_rules(workspace_id):
        queue(Run(workspace_id, leads, new_act(), user_id))


def retry(workspace_id: int) -> None:
    """Queue another try for the leads that wait, if any do: a rule has changed, or somebody may be free again."""
    if WaitingLead.objects.for_workspace(workspace_id).exists():
        queue(Run(workspace_id, {"waiting": True}, RETRY))


def retry_everywhere() -> None:
    """The same for every workspace with rules."""
    with_rules = DistributionRule.objects.filter(workspace=OuterRef("workspace"), is_active=True)
    for workspace_id in WaitingLead.objects.filter(Exists(with_rules)).values_list("workspace", flat=True).distinct():
        retry(workspace_id)


def new_act() -> str:
    return f"distribution:{uuid.uuid4().hex}"


# Runs -----------------------------------------------------------------------------------------------------------------------


def queue(run: Run) -> None:
    from leads.jobs import distribute as job

    job.configure(lock=f"distribution:{run.workspace_id}").defer(run=asdict(run))


@transaction.atomic
def carry_on(run: Run) -> None:
    """Distribute the next leads of a run, and queue what is left in the same transaction.

    Should the worker die, the chunk is done again or not at all: leads that have got an owner are not chosen again.
    """
    left = unassigned(Workspace(pk=run.workspace_id), run.leads, user_id=run.user_id).filter(pk__gt=run.after)
    chosen = list(left.order_by("workspace_id", "pk").values_list("pk", flat=True)[:CHUNK])
    outcome = _distribute(chosen, run.workspace_id, run.user_id, run.act)
    done = run.done + len(chosen)
    progress = {} if run.total is None else {"done": done, "total": run.total}
    _tell(outcome, run.workspace_id, **progress)
    if "waiting" in run.leads and not run.after:
        _forget_those_who_wait_no_more(run.workspace_id)
    # the others wait as they did, until somebody is free
    hopeless = "waiting" in run.leads and outcome.is_nobody_left
    if len(chosen) == CHUNK and not hopeless:
        queue(replace(run, after=chosen[-1], done=done))


def unassigned(workspace: Workspace, which: dict[str, Any], *, user_id: int | None = None) -> LeadQuerySet:
    """The leads without an owner: all, or those of a ``filter`` (as the lead list has them), an ``import``, an ``export``, or the
    ones ``waiting``. Raises ValidationFailed for a filter that is none."""
    leads = Selection(filter=which.get("filter", {})).leads(Asker(workspace, user_id)).filter(assigned_user=None)
    match which:
        case {"import": batch_id}:
            return leads.filter(import_batch=batch_id)
        case {"export": export_id}:
            charged = ExportedLead.objects.for_workspace(workspace).filter(export=export_id)
            return leads.filter(catalogue_lead__in=charged.values("lead"))
        case {"waiting": True}:
            return leads.filter(pk__in=WaitingLead.objects.for_workspace(workspace).values("lead"))
    return leads


def _forget_those_who_wait_no_more(workspace_id: int) -> None:
    """Leads that have got an owner by hand, or were deleted."""
    rulebook.lock(workspace_id)  # nobody else writes the list meanwhile
    without_owner = Lead.objects.filter(pk=OuterRef("lead"), assigned_user=None)
    WaitingLead.objects.for_workspace(workspace_id).exclude(Exists(without_owner)).delete()


# Deciding and writing -------------------------------------------------------------------------------------------------------


def _distribute(
    lead_ids: Sequence[int], workspace_id: int, user_id: int | None, act: str, *, reassign: bool = False
) -> Outcome:
    leads = _lock_leads(lead_ids, workspace_id, reassign)
    if not leads:
        return Outcome()
    now = rulebook.lock(workspace_id)
    rules = rulebook.read(workspace_id, now)
    outcome = _decide_all(leads, rules)
    with history.written_by(Author("system", user_id), act), connection.cursor() as cursor:
        cursor.execute(_WRITE, _written(outcome, rules) | {"workspace": workspace_id, "now": now})
    return outcome


def _decide_all(leads: list[Arrival], rules: list[Rule]) -> Outcome:
    outcome = Outcome()
    for lead in leads:
        match decide(lead, rules):
            case Decision() as decision:
                outcome.assigned.append(decision)
            case _reason if lead.owner_id:
                outcome.unchanged.append(lead.id)
            case reason:
                outcome.waiting.append((lead.id, reason))
    outcome.is_nobody_left = not any(member.person.is_free for rule in rules for member in rule.members)
    return outcome


def _lock_leads(lead_ids: Sequence[int], workspace_id: int, reassign: bool) -> list[Arrival]:
    """The leads that may be given, oldest first; locked, so that nobody gives them by hand meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, assigned_user_id, state, zip_code, specialties, tags FROM leads_lead
            WHERE workspace_id = %s AND id = ANY(%s) {"" if reassign else "AND assigned_user_id IS NULL"}
            ORDER BY id FOR NO KEY UPDATE
            """,
            [workspace_id, list(lead_ids)],
        )
        return [Arrival.of(*row) for row in cursor.fetchall()]


_WRITE = """
    WITH given AS (
        SELECT * FROM unnest(%(leads)s::bigint[], %(users)s::bigint[], %(given_by)s::bigint[], %(facts)s::text[])
            AS given (lead_id, user_id, rule_id, facts)
    ), owned AS (
        UPDATE leads_lead AS l SET assigned_user_id = given.user_id FROM given
        WHERE l.id = given.lead_id AND l.assigned_user_id IS DISTINCT FROM given.user_id
    ), noted AS (
        INSERT INTO leads_assignment (workspace_id, lead_id, user_id, rule_id, facts, created_at)
        SELECT %(workspace)s, lead_id, user_id, rule_id, facts::jsonb, %(now)s FROM given ORDER BY lead_id
    ), served AS (
        DELETE FROM leads_waitinglead WHERE workspace_id = %(workspace)s AND lead_id = ANY(%(leads)s::bigint[])
    ), turned AS (
        UPDATE leads_rulemember AS m SET credit = turn.credit
        FROM unnest(%(members)s::bigint[], %(credits)s::bigint[]) AS turn (member_id, credit)
        WHERE m.id = turn.member_id AND m.credit <> turn.credit
    )
    INSERT INTO leads_waitinglead AS w (workspace_id, lead_id, reason, created_at)
    SELECT %(workspace)s, lead_id, reason, %(now)s FROM unnest(%(waiting)s::bigint[], %(reasons)s::text[]) AS left_over (lead_id, reason)
    ORDER BY lead_id
    ON CONFLICT (workspace_id, lead_id) DO UPDATE SET reason = excluded.reason WHERE w.reason <> excluded.reason
"""


def _written(outcome: Outcome, rules: list[Rule]) -> dict[str, list[Any]]:
    """The columns of what `_WRITE` writes."""
    members = [member for rule in rules for member in rule.members]
    return {
        "leads": [decision.lead.id for decision in outcome.assigned],
        "users": [decision.user_id for decision in outcome.assigned],
        "given_by": [decision.rule_id for decision in outcome.assigned],
        "facts": [orjson.dumps(decision.facts).decode() for decision in outcome.assigned],
        "members": [member.id for member in members],
        "credits": [member.credit for member in members],
        "waiting": [lead_id for lead_id, _reason in outcome.waiting],
        "reasons": [reason for _lead_id, reason in outcome.waiting],
    }


def _tell(outcome: Outcome, workspace_id: int, **progress: int) -> None:
    """One event: of a single lead who has it, of many who got how many. A run with a known end tells how far it is."""
    if len(outcome.assigned) == 1 and not progress:
        (decision,) = outcome.assigned
        told: dict[str, Any] = {"id": decision.lead.id, "assigned_user_id": decision.user_id}
    else:
        told = {"count": len(outcome.assigned), "by_user": outcome.by_user(), **progress}
    if outcome.assigned or progress:
        events.record(workspace_id, "lead.assigned", told)
