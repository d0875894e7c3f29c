"""The rules of a workspace, as they stand while nobody else distributes."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection
from django.db.models import Count

from accounts.models import Workspace
from leads.distribution.deciding import Member, Person, Rule, Strategy, Territory
from leads.models import DistributionRule, Lead, LeadStatus

_CLOSED = (LeadStatus.WON, LeadStatus.LOST)


def has_rules(workspace_id: int) -> bool:
    return DistributionRule.objects.for_workspace(workspace_id).filter(is_active=True).exists()


def lock(workspace_id: int) -> datetime:
    """Until the end of the transaction nobody else distributes leads of this workspace, or changes its rules; returns the time.

    Whoever locks leads as well locks them first: an import holds leads for long, and nobody who adds one should wait for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('leads.distribution:' || %s, 0))", [workspace_id])
    return datetime.now(UTC)


def read(workspace_id: int, now: datetime) -> list[Rule]:
    """The active rules in their order, with the members who can be given leads; call it after `lock`, with its time."""
    rules = {
        row["id"]: Rule(row["id"], row["name"], row["strategy"], _territory(row))
        for row in DistributionRule.objects.for_workspace(workspace_id)
        .filter(is_active=True)
        .order_by("position", "id")
        .values("id", "name", "strategy", *_TERRITORY)
    }
    people: dict[int, Person] = {}
    for row in _member_rows(list(rules), workspace_id, now.date()):
        person = people.setdefault(
            row["user_id"], Person(row["user_id"], row["is_away"], row["daily_capacity"], row["given_today"])
        )
        rules[row["rule_id"]].members.append(
            Member(row["id"], person, row["weight"], row["credit"], _territory(row))
        )  # fmt: skip
    if any(rule.strategy == Strategy.LEAST_BUSY for rule in rules.values()):
        _count_open_leads(people, workspace_id)
    return list(rules.values())


def _territory(row: dict[str, Any]) -> Territory:
    return Territory.of(*(row[name] for name in _TERRITORY))


_TERRITORY = ("states", "zip_prefixes", "specialties", "tags")

# Members who have left the workspace, or may not sign in, get nothing. Who is here stays until the leads are theirs: leaving
# waits at this lock, and takes their leads away afterwards.
_MEMBERS = """
    SELECT m.id, m.rule_id, m.user_id, m.weight, m.credit, m.states, m.zip_prefixes, m.specialties, m.tags, a.daily_capacity,
        num_nonnulls(a.absent_from, a.absent_until) > 0
            AND coalesce(a.absent_from, %(today)s) <= %(today)s AND coalesce(a.absent_until, %(today)s) >= %(today)s AS is_away,
        CASE WHEN a.daily_capacity IS NULL THEN 0 ELSE (
            SELECT count(*) FROM leads_assignment AS given
            WHERE given.workspace_id = place.workspace_id AND given.user_id = m.user_id
              AND given.created_at >= (%(today)s::timestamp AT TIME ZONE 'UTC')
              AND given.created_at < (%(today)s::timestamp + interval '1 day') AT TIME ZONE 'UTC'
        ) END AS given_today
    FROM leads_rulemember AS m
    JOIN accounts_membership AS place ON place.user_id = m.user_id AND place.workspace_id = %(workspace)s
    JOIN accounts_user AS person ON person.id = m.user_id AND person.is_active
    LEFT JOIN leads_availability AS a ON a.workspace_id = place.workspace_id AND a.user_id = m.user_id
    WHERE m.rule_id = ANY(%(rules)s)
    ORDER BY place.id, m.id
    FOR KEY SHARE OF place
"""


def _member_rows(rule_ids: list[int], workspace_id: int, today: date) -> Iterable[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(_MEMBERS, {"rules": rule_ids, "workspace": workspace_id, "today": today})
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _count_open_leads(people: dict[int, Person], workspace: Workspace | int) -> None:
    theirs = Lead.objects.for_workspace(workspace).filter(assigned_user__in=people).exclude(status__in=_CLOSED)
    for user_id, count in theirs.order_by().values_list("assigned_user").annotate(Count("pk")):
        people[user_id].open_leads = count
