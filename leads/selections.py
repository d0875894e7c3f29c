"""Which leads are meant, by an act upon many: those of a list of ids, or those that filters find."""

from dataclasses import dataclass
from typing import Any

from leads import filters
from leads.filters import Asker
from leads.models import Lead, LeadQuerySet


@dataclass(frozen=True)
class Selection:
    """``ids`` of leads, or a ``filter`` as the list's query has it: name → value, or values; an empty one means all."""

    ids: list[int] | None = None
    filter: dict[str, Any] | None = None

    def leads(self, asker: Asker) -> LeadQuerySet:
        """The leads of the asker's workspace that are meant; ids that it does not know find none. Raises ValidationFailed."""
        own: LeadQuerySet = Lead.objects.for_workspace(asker.workspace)
        if self.ids is not None:
            return own.filter(pk__in=self.ids)
        return filters.find(own, filters.asked_as(self.filter), asker)

    def as_json(self) -> dict[str, Any]:
        return {"ids": self.ids} if self.ids is not None else {"filter": self.filter}
