"""A lead's status and the stage of its deal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crm.pipedrive.mapping.setup import Stage
from crm.pipedrive.mapping.values import UNKNOWN, Canonical
from leads.models import LeadStatus

OPEN = (LeadStatus.NEW.value, LeadStatus.CONTACTED.value, LeadStatus.QUALIFIED.value, LeadStatus.PROPOSAL.value)
CLOSED = {"won": LeadStatus.WON.value, "lost": LeadStatus.LOST.value}
_CLOSING = {status: word for word, status in CLOSED.items()}

# as they begin, in lower case
_WORDS = {
    "NEW": ("new", "neu", "lead in", "open", "offen", "incoming", "eingang", "inbox"),
    "CONTACTED": ("contact", "kontakt", "angesprochen", "reached", "erreicht"),
    "QUALIFIED": ("qualif", "needs defined", "bedarf", "demo"),
    "PROPOSAL": ("proposal", "angebot", "offer", "quot", "vorschlag"),
}


@dataclass(frozen=True)
class Stages:
    """The stages of one pipeline, in their order, and which of them an open status is."""

    pipeline_id: int
    order: tuple[int, ...]
    by_status: dict[str, int]

    def stage_for(self, status: str) -> int | None:
        """The stage of an open status; where none was given, that of the last one before it. None of WON and LOST."""
        if status not in OPEN or not self.by_status:
            return None
        before = OPEN[: OPEN.index(status) + 1]
        known = [self.by_status[name] for name in before if name in self.by_status]
        return known[-1] if known else next(self.by_status[name] for name in OPEN if name in self.by_status)

    def canonical(self, status: str) -> Canonical:
        """A status; several that share a stage are one, the first of them."""
        if status not in OPEN:
            return status
        stage = self.stage_for(status)
        return next((name for name in OPEN if self.stage_for(name) == stage), status)

    def status_of(self, deal: dict[str, Any]) -> Canonical:
        """The canonical status of a deal. A stage that no status has is that of the last one before it. Of another pipeline's: UNKNOWN."""
        if deal.get("pipeline_id") != self.pipeline_id:
            return UNKNOWN
        if deal.get("status") in CLOSED:
            return CLOSED[deal["status"]]
        stage = deal.get("stage_id")
        if stage not in self.order or not self.by_status:
            return UNKNOWN
        upto = self.order[: self.order.index(stage) + 1]
        statuses = {self.by_status[name]: name for name in reversed(OPEN) if name in self.by_status}
        known = [self.canonical(statuses[one]) for one in upto if one in statuses]
        return known[-1] if known else self.canonical(OPEN[0])

    def body(self, status: str, deal: dict[str, Any] | None) -> dict[str, Any]:
        """What to tell of a deal so that its status is this one; nothing of one of another pipeline."""
        if deal and self.status_of(deal) == UNKNOWN:
            return {}
        if status in _CLOSING:
            return {"status": _CLOSING[status]}
        moved: dict[str, Any] = {"stage_id": self.stage_for(status)}
        return moved | {"status": "open"} if deal and deal.get("status") in CLOSED else moved


def spread(stages: Sequence[Stage]) -> dict[str, int]:
    """A stage for each open status: by its name in English or German, else the next in order. The first stage is NEW's."""
    if not stages:
        return {}
    named = _named(stages)
    places: list[int] = []
    for position, status in enumerate(OPEN):
        latest = next((named[later] - 1 for later in OPEN[position + 1 :] if later in named), len(stages) - 1)
        following = places[-1] + 1 if places else 0
        places.append(named.get(status, max(min(following, latest), places[-1] if places else 0)))
    return {status: stages[place].id for status, place in zip(OPEN, places, strict=True)}


def _named(stages: Sequence[Stage]) -> dict[str, int]:
    """Status → place of the stage that is called so, as far as these go on in order."""
    found: dict[str, int] = {}
    for status in OPEN:
        after = max(found.values(), default=-1)
        for place, stage in enumerate(stages):
            if place > after and stage.name.strip().casefold().startswith(_WORDS[status]):
                found[status] = place
                break
        if status == OPEN[0]:
            found.setdefault(status, 0)
    return found
