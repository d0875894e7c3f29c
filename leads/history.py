"""Who changed what of a lead, when and from where, and what it was before.

Triggers keep each row as it stood before a change or a deletion (`LeadVersion`). What they can't see, who is writing and why, the
acts tell the database for the length of their transaction: `written_by`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Membership
from leads.models import Lead, LeadQuerySet, LeadVersion

BIN_DAYS = 30

# the columns that people and programs write, and what follows from these; not those that count, name and date the row
CONTENT = tuple(
    field.column
    for field in LeadVersion._meta.concrete_fields
    if not field.name.startswith("pgh_")
    and field.name
    not in {"id", "workspace", "version", "created_at", "updated_at", "origin", "import_batch", "catalogue_lead"}
)
_FOLLOWS = {"phone_normalized"}
FIELDS = tuple(column for column in CONTENT if column not in _FOLLOWS)


@dataclass(frozen=True)
class Author:
    """Who writes to leads, and by which way: ``human``, ``api``, ``import``, ``crm``, ``ai``, ``scrape`` or ``system``.

    An agent changes only what is assigned to them.
    """

    source: str
    user_id: int | None = None
    is_agent: bool = False

    @classmethod
    def of(cls, member: Membership, source: str = "human") -> "Author":
        return cls(source, member.user_id, is_agent=not member.manages)

    def may_change(self, assigned_user_id: int | None) -> bool:
        return not self.is_agent or assigned_user_id == self.user_id


SYSTEM = Author("system")


@contextmanager
def written_by(author: Author, act: str = "") -> Iterator[None]:
    """Inside a transaction: what is written to leads in this block is written by ``author``.

    ``act`` names what the changes are part of, so that they can be found and taken back together: ``import:12``, ``bulk:3``,
    ``merge:4``, ``activity:5``. The setting is the one that django-pghistory's triggers read; it ends with the transaction.
    """
    told = {
        "source": author.source,
        "user": author.user_id,
        "request": structlog.contextvars.get_contextvars().get("request_id"),
        "act": act,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('pghistory.context_metadata', true), set_config('pghistory.context_metadata', %s, true)",
            [json.dumps({name: value for name, value in told.items() if value})],
        )
        before, _now = cursor.fetchone()
    yield
    # after an error the transaction takes the setting back along with everything else
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pghistory.context_metadata', %s, true)", [before or ""])


# Reading ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where the value of a field came from, and when."""

    source: str
    at: datetime
    user_id: int | None
    act: str

    @classmethod
    def told(cls, context: dict[str, Any] | None, at: datetime) -> "Origin":
        said = context or {}
        return cls(said.get("source", "system"), at, said.get("user"), said.get("act", ""))


def provenance(leads: LeadQuerySet) -> dict[int, dict[str, Origin]]:
    """For each lead and field, who wrote its value. Two queries; what no version tells came with the lead."""
    found: dict[int, dict[str, Origin]] = {}
    after: dict[int, dict[str, Any]] = {}
    created: dict[int, Origin] = {}
    for row in leads.values("id", "origin", "created_at", *CONTENT):
        found[row["id"]], after[row["id"]] = {}, row
        created[row["id"]] = Origin.told(row["origin"], row["created_at"])
    versions = LeadVersion.objects.filter(pgh_obj__in=found).order_by("pgh_obj", "-pgh_id")
    for row in versions.values("pgh_obj_id", "pgh_context", "pgh_created_at", *CONTENT):
        lead_id = row["pgh_obj_id"]
        for field in FIELDS:
            if row[field] != after[lead_id][field]:
                found[lead_id].setdefault(field, Origin.told(row["pgh_context"], row["pgh_created_at"]))
        after[lead_id] = row
    return {
        lead_id: {field: fields.get(field, created[lead_id]) for field in FIELDS} for lead_id, fields in found.items()
    }


def states(lead_id: int, workspace_id: int) -> QuerySet[Any]:
    """The versions of a lead, each the state before something was done to it."""
    return LeadVersion.objects.for_workspace(workspace_id).filter(pgh_obj=lead_id)


def state(lead: Lead, number: int) -> dict[str, Any] | None:
    """What a lead held as its version ``number``; None where it had no such version."""
    if number == lead.version:
        return {column: getattr(lead, column) for column in CONTENT}
    kept = states(lead.pk, lead.workspace_id).filter(version=number).order_by("-pgh_id")
    return kept.values(*CONTENT).first()


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Field → ``{"old", "new"}`` for what differs."""
    return {
        field: {"old": before[field], "new": after[field]} for field in FIELDS if before.get(field) != after.get(field)
    }


# The bin ------------------------------------------------------------------------------------------------------------------


def in_bin(workspace_id: int) -> QuerySet[Any]:
    """The last state of each lead that was deleted within 30 days and has not come back.

    One that went in a merge is not among them: it comes back when that is undone.
    """
    later = LeadVersion.objects.filter(pgh_obj=OuterRef("pgh_obj"), pgh_label="delete", pgh_id__gt=OuterRef("pgh_id"))
    return (
        LeadVersion.objects.for_workspace(workspace_id)
        .filter(pgh_label="delete", pgh_created_at__gt=timezone.now() - timedelta(days=BIN_DAYS))
        .alias(act=Coalesce(KT("pgh_context__act"), Value(""), output_field=TextField()))
        .exclude(act__startswith="merge:")
        .exclude(Exists(Lead.objects.filter(pk=OuterRef("pgh_obj"))))
        .exclude(Exists(later))
    )


_RELATED = {
    # whoever left, or was deleted, gets nothing back
    "assigned_user_id": "(SELECT m.user_id FROM accounts_membership AS m"
    " WHERE m.user_id = v.assigned_user_id AND m.workspace_id = v.workspace_id)",
    "import_batch_id": "(SELECT b.id FROM leads_importbatch AS b WHERE b.id = v.import_batch_id)",
}
_COLUMNS = [field.column for field in LeadVersion._meta.concrete_fields if not field.name.startswith("pgh_")]

_BRING_BACK = f"""
    INSERT INTO leads_lead ({", ".join(_COLUMNS)})
    SELECT {", ".join(_RELATED.get(column, f"v.{column}") for column in _COLUMNS)}
    FROM leads_leadversion AS v
    WHERE v.pgh_id = ANY(%(versions)s) AND v.pgh_label = 'delete'
      AND (v.external_id = '' OR NOT EXISTS (
          SELECT FROM leads_lead AS l WHERE l.workspace_id = v.workspace_id AND l.external_id = v.external_id AND l.external_id <> ''
      ))
    ORDER BY v.pgh_obj_id
    ON CONFLICT DO NOTHING
    RETURNING id
"""


def bring_back(version_ids: Sequence[int]) -> list[int]:
    """Put deleted leads back as they were; call it inside `written_by`. Returns the ids of those that are back.

    One whose external id, or whose place as the copy of a catalogue's lead, is somebody else's by now stays where it is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BRING_BACK, {"versions": list(version_ids)})
        back = [lead_id for (lead_id,) in cursor.fetchall()]
        # a version of its own, which tells who brought it back
        cursor.execute("UPDATE leads_lead SET updated_at = clock_timestamp() WHERE id = ANY(%s)", [back])
    return back


def references() -> list[Any]:
    """The fields that name leads, of all apps. Most have no name for the way back, so that `related_objects` lacks them."""
    relations: list[Any] = Lead._meta.get_fields(include_hidden=True)
    return [relation.field for relation in relations if relation.auto_created and not relation.concrete]


def forget(lead_ids: Iterable[int]) -> None:
    """Delete for good what is left of leads that are no more: their versions, and all rows that name them."""
    ids = list(lead_ids)
    for field in references():
        if field.model not in (Lead, LeadVersion) and field.model._meta.model_name != "exportedlead":
            field.model._base_manager.filter(**{f"{field.name}__in": ids}).delete()
    LeadVersion.objects.filter(pgh_obj__in=ids).delete()


def empty_bins(limit: int = 5_000) -> int:
    """Forget leads that were deleted more than 30 days ago, and those of workspaces that are no more; returns how many."""
    from accounts.models import Workspace

    gone = LeadVersion.objects.filter(pgh_label="delete").exclude(Exists(Lead.objects.filter(pk=OuterRef("pgh_obj"))))
    old = gone.filter(
        Q(pgh_created_at__lt=timezone.now() - timedelta(days=BIN_DAYS))
        | ~Exists(Workspace.objects.filter(pk=OuterRef("workspace")))
    )
    newer = LeadVersion.objects.filter(pgh_obj=OuterRef("pgh_obj"), pgh_label="delete", pgh_id__gt=OuterRef("pgh_id"))
    ids = list(old.exclude(Exists(newer)).values_list("pgh_obj_id", flat=True)[:limit])
    forget(ids)
    return len(ids)
