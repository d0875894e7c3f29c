"""Looking up leads of the workspace; for its members."""

from collections.abc import Mapping
from typing import Any

import orjson

from ai.actions.tasks import FACTS, facts
from ai.chat.runs import Run
from ai.chat.tools.offering import Arguments, Offer, Text, Told
from ai.knowledge import contexts
from leads.models import Lead

_MOST = 5  # leads
_BRIEF, _WHOLE = 1_000, 5_000  # characters of a field, of several leads and of a single one


class Wanted(Arguments):
    query: Text


def find(wanted: Wanted, run: Run) -> Told:
    if not wanted.query:
        return Told({"found": 0})
    rows = Lead.objects.for_workspace(run.workspace).search(wanted.query).order_by("-workspace_id", "-id")
    found = list(rows.values("id", *FACTS)[: _MOST + 1])
    if len(found) == 1:
        return _one(found[0]["id"], run)
    told = {"found": min(len(found), _MOST), "there_are_more": len(found) > _MOST}
    return Told(told, {"leads": [{"id": row["id"], **_cut(facts(row) or {}, _BRIEF)} for row in found[:_MOST]]})


def _one(lead_id: int, run: Run) -> Told:
    known = contexts.retrieve_customer_context(lead_id, workspace=run.workspace)
    lead = {"id": lead_id, **_cut(known["lead"], _WHOLE)}
    activities = [_cut(activity, _BRIEF) for activity in known["lead"].get("activities", ())]
    return Told({"found": 1}, {"leads": [lead | {"activities": activities}], "chats": known["chats"]})


def _cut(fields: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """The fields, each no longer than that; of what is no text its JSON."""
    written = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in fields.items()
    }
    return {name: fields[name] if len(text) <= longest else text[:longest] for name, text in written.items()}


OFFER = Offer(
    "find_lead",
    "Find leads of this workspace by words of their name, company, e-mail address, phone, city or notes. "
    "Every word must occur. Gives their ids and what is known of them; of a single one its activities and earlier chats as well.",
    Wanted,
    find,
)
