"""What is to be done: the action, and what others wrote that it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils.translation import get_language

from accounts.models import Workspace
from ai.actions.manners import LANGUAGES, language_of
from leads.models import Activity, Lead
from zevix.errors import NotFound

# what is sent of a lead: no numbers of authorities, and nothing that only we need
FACTS = (
    "name", "email", "phone", "company", "website", "channel", "address", "city", "state", "zip_code", "country",
    "entity_type", "providers", "specialties", "is_sole_proprietor", "status", "score", "needs_action",
    "next_action_at", "next_action_description", "last_contact", "disg_type", "notes", "tags", "extra", "source",
)  # fmt: skip
_ACTIVITIES = 10


@dataclass(frozen=True)
class Task:
    """``lead`` holds some of `FACTS`, and its latest ``activities``; ``messages`` are ``{"role", "content"}``, the oldest first."""

    action: str
    language: str
    lead: Mapping[str, Any] | None = None
    messages: Sequence[Mapping[str, str]] = field(default_factory=tuple)


def task(action: str, data: Mapping[str, Any], workspace: Workspace) -> Task:
    """From ``data`` as it was asked: ``lead`` or ``lead_id``, ``messages``, ``language``, ``channel`` in place of the lead's own.

    Raises NotFound for a lead that is not theirs.
    """
    lead = read(data["lead_id"], workspace) if "lead_id" in data else facts(data.get("lead"))
    if lead is not None and "channel" in data:
        lead = {**lead, "channel": data["channel"]}
    return Task(action, _language(data.get("language"), lead), lead, data.get("messages", ()))


def about(action: str, lead: Mapping[str, Any]) -> Task:
    """A task about a lead as `read` has it."""
    return Task(action, _language(None, lead), lead)


def _language(wanted: str | None, lead: Mapping[str, Any] | None) -> str:
    language = wanted or language_of(lead) or (get_language() or "en")[:2]
    return language if language in LANGUAGES else "en"


def facts(lead: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is sent of a lead that was given by value."""
    if lead is None:
        return None
    return {name: lead[name] for name in FACTS if lead.get(name) not in (None, "", [], {})}


def read(lead_id: int, workspace: Workspace) -> dict[str, Any]:
    """What is sent of one of the workspace's leads, with what was done with it lately. Raises NotFound."""
    found = read_many([lead_id], workspace)
    if not found:
        raise NotFound
    return found[lead_id]


def read_many(lead_ids: Sequence[int], workspace: Workspace) -> dict[int, dict[str, Any]]:
    """The same for many leads, by their ids; those that are not the workspace's are left out. Two queries."""
    own = Lead.objects.for_workspace(workspace).filter(pk__in=lead_ids)
    found = {row.pop("pk"): facts(row) or {} for row in own.values("pk", *FACTS)}
    done = Activity.objects.for_workspace(workspace).filter(lead__in=list(found))
    latest = done.annotate(place=Window(RowNumber(), partition_by=F("lead"), order_by=F("pk").desc()))
    shown = ("lead_id", "type", "text", "due_at", "done_at", "created_at")
    for row in latest.filter(place__lte=_ACTIVITIES).order_by("pk").values(*shown):
        found[row.pop("lead_id")].setdefault("activities", []).append(row)
    return found
