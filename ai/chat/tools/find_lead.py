"""Looking up leads of the workspace; for its members."""

from typing import Any

from ai.actions.tasks import FACTS, facts
from ai.chat.runs import Run
from ai.chat.tools.offering import Arguments, Offer, Text, Told
from ai.knowledge import contexts
from leads.models import Lead

_MOST, _LONGEST = 5, 1_000  # leads, characters of one field where there are several


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
    return Told(told, {"leads": [_brief(row) for row in found[:_MOST]]})


def _one(lead_id: int, run: Run) -> Told:
    known = contexts.retrieve_customer_context(lead_id, workspace=run.workspace)
    return Told({"found": 1}, {"leads": [{"id": lead_id, **known["lead"]}], "chats": known["chats"]})


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    known = facts(row) or {}
    cut = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in known.items()}
    return {"id": row["id"], **cut}


OFFER = Offer(
    "find_lead",
    "Find leads of this workspace by words of their name, company, e-mail address, phone, city or notes. "
    "Every word must occur. Gives their ids and what is known of them; of a single one its activities and earlier chats as well.",
    Wanted,
    find,
)
