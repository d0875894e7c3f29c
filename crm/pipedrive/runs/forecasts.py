"""What a run would do, gathered while it is found out."""

from typing import Any

from crm.models import SyncRun
from crm.pipedrive.syncing.comparing import Move
from crm.pipedrive.syncing.syncing import Change, Outcome
from leads.models import Lead

_ITEMS = 200
_IDLE = (Move.NOTHING, Move.AGREED)
# tokens, by the vendor's list: a search and a list before a person is made; the reading before a change; a hundredth of three lists
_CREATE, _PUSH, _COMPARE = 20 + 10 + 5, 1 + 5, 0.3


def result(run: SyncRun) -> dict[str, Any]:
    """What a completed plan has found."""
    return {name: found for name, found in run.result.items() if name != "problems"} | {"run_id": run.pk}


class Plan:
    """Gathers in a run's ``result`` what would become of its leads."""

    def __init__(self, run: SyncRun) -> None:
        self._run = run
        self._result = run.result
        for name in ("create", "push", "pull", "conflicts", "unchanged", "tokens"):
            self._result.setdefault(name, 0)
        self._result.setdefault("items", [])

    def add(self, lead_id: int, outcome: Outcome) -> None:
        result, action = self._result, _action(outcome)
        result["create"] += outcome.created
        result["push"] += bool(outcome.pushed) and not outcome.created
        result["pull"] += bool(outcome.pulled)
        result["conflicts"] += len(outcome.conflicts)
        result["unchanged"] += action == "none"
        result["tokens"] = round(result["tokens"] + _tokens(outcome), 1)
        if action != "none" and len(result["items"]) < _ITEMS:
            result["items"].append(self._item(lead_id, action, outcome))

    def _item(self, lead_id: int, action: str, outcome: Outcome) -> dict[str, Any]:
        fields = [_field(change) for change in outcome.changes if change.move not in _IDLE]
        return {
            "lead_id": lead_id,
            "name": _called(lead_id),
            "action": action,
            "fields": fields,
            "problem": outcome.problem,
        }


def _action(outcome: Outcome) -> str:
    """What is most worth knowing about a lead."""
    if outcome.problem:
        return "problem"
    if outcome.created:
        return "create"
    if outcome.conflicts:
        return "conflict"
    if outcome.pushed and outcome.pulled:
        return "both"
    return "push" if outcome.pushed else "pull" if outcome.pulled else "none"


def _tokens(outcome: Outcome) -> float:
    return _CREATE if outcome.created else _PUSH if outcome.pushed else _COMPARE


def _field(change: Change) -> dict[str, Any]:
    return {"field": change.field, "ours": change.ours, "theirs": change.theirs, "action": str(change.move)}


def _called(lead_id: int) -> str:
    names = Lead.objects.filter(pk=lead_id).values_list("name", "company").first() or ("", "")
    return names[0] or names[1] or ""
