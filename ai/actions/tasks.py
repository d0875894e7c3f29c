"""What is to be done: the action, and what others wrote that it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    language = data.get("language") or language_of(lead) or (get_language() or "en")[:2]
    return Task(action, language if language in LANGUAGES else "en", lead, data.get("messages", ()))


def facts(lead: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is sent of a lead that was given by value."""
    if lead is None:
        return None
    return {name: lead[name] for name in FACTS if lead.get(name) not in (None, "", [], {})}


def read(lead_id: int, workspace: Workspace) -> dict[str, Any]:
    """What is sent of one of the workspace's leads, with what was done with it lately. Raises NotFound."""
    found = Lead.objects.for_workspace(workspace).filter(pk=lead_id).values(*FACTS).first()
    if found is None:
        raise NotFound
    done = Activity.objects.for_workspace(workspace).filter(lead=lead_id).order_by("-pk")
    activities = list(done.values("type", "text", "due_at", "done_at", "created_at")[:_ACTIVITIES])
    return (facts(found) or {}) | ({"activities": activities[::-1]} if activities else {})
