"""What an export would cost, promised for a quarter of an hour. A quote writes nothing but itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import filters, quotas
from leads.exports import naming
from leads.exports.vetting import Verdict, vet
from leads.filters import Asked, Asker
from leads.models import Export, ExportQuote, Lead, LeadQuerySet
from zevix.errors import NotFound, ValidationFailed

CATALOGUE, WORKSPACE = "catalogue", "workspace"
KEPT_FOR = timedelta(days=1)  # after it expired, to tell what became of it

_signer = Signer(salt="leads.quotes")


@dataclass(frozen=True)
class Search:
    """Leads that filters find in the catalogue, as it is seen masked, or in the workspace; ``place`` None means in both."""

    asked: Asked
    place: str | None = None

    def roots(self, asker: Asker) -> QuerySet[Any, int]:
        """The roots of what is found, each once, the newest first. Raises ValidationFailed."""
        if self.place == CATALOGUE:
            return self._stock(asker).order_by("-workspace_id", "-pk").values_list("pk", flat=True)
        if self.place == WORKSPACE:
            return self._own(asker).order_by("-root")
        stock = self._stock(asker).annotate(root=F("pk")).values_list("root", flat=True)
        return stock.union(self._own(asker)).order_by("-root")

    def _stock(self, asker: Asker) -> LeadQuerySet:
        return filters.find(Lead.objects.in_catalogue(), self.asked, asker, masked=True)

    def _own(self, asker: Asker) -> QuerySet[Any, int]:
        found = filters.find(Lead.objects.for_workspace(asker.workspace), self.asked, asker)
        return found.annotate(root=Coalesce("catalogue_lead_id", "pk")).values_list("root", flat=True)


def quote_ids(ids: Sequence[str], *, by: Asker) -> ExportQuote:
    """What exporting these would cost. ``ids`` are distinct texts, each a lead's ``id`` or ``external_id``.

    A second id of a lead that is new counts as owned: it costs nothing.
    """
    roots = [name.root for name in naming.leads_of(ids, by.workspace)]
    known = list(dict.fromkeys(root for root in roots if root is not None))
    verdicts = vet(known, by.workspace)
    counts = Counter(Verdict.UNKNOWN if root is None else verdicts[root] for root in roots)
    new = list(verdicts.values()).count(Verdict.NEW)
    counts.update({Verdict.OWNED: counts[Verdict.NEW] - new, Verdict.NEW: new - counts[Verdict.NEW]})
    return _promise(known, verdicts, counts, by)


def quote_search(search: Search, *, by: Asker) -> ExportQuote:
    """What exporting all that a search finds would cost. Raises ValidationFailed, also where it finds too many."""
    found = search.roots(by)
    roots = list(found[: settings.EXPORT_MAX + 1])
    if len(roots) > settings.EXPORT_MAX:
        sentence = _("It finds {count} leads; an export has at most {limit}.")
        said = sentence.format(count=found.count(), limit=settings.EXPORT_MAX)
        raise ValidationFailed(fields={"filter": [said]})
    verdicts = vet(roots, by.workspace)
    return _promise(roots, verdicts, Counter(verdicts.values()), by)


def signed(quote: ExportQuote) -> str:
    """The text by which a client names a quote; nobody can make up another's."""
    return _signer.sign(str(quote.pk))


def named_by(text: str) -> int:
    """The quote's id. Raises NotFound for what is no such text."""
    try:
        return int(_signer.unsign(text))
    except (BadSignature, ValueError):
        raise NotFound


def forget_old() -> int:
    """Delete quotes that expired a day ago, except those that are being exported still; returns how many."""
    old = ExportQuote.objects.filter(expires_at__lt=timezone.now() - KEPT_FOR)
    return old.exclude(export__status__in=Export.UNDER_WAY).delete()[0]


def _promise(roots: Sequence[int], verdicts: Mapping[int, Verdict], counts: Counter[Verdict], by: Asker) -> ExportQuote:
    standing = quotas.standing(by.workspace)
    cost = min(counts[Verdict.NEW], standing.remaining)
    return ExportQuote.objects.create(
        workspace=by.workspace,
        user_id=by.user_id,
        leads=[root for root in roots if verdicts[root] in (Verdict.NEW, Verdict.OWNED)],
        new_count=counts[Verdict.NEW],
        owned_count=counts[Verdict.OWNED],
        suppressed_count=counts[Verdict.SUPPRESSED],
        undeliverable_count=counts[Verdict.UNDELIVERABLE],
        unknown_count=counts[Verdict.UNKNOWN],
        cost=cost,
        remaining_after=standing.remaining - cost,
        expires_at=timezone.now() + settings.QUOTE_LIFETIME,
    )
