"""Exporting what was quoted. The quote's row is the lock that its commits queue at, so that it is used once."""

from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User, Workspace
from leads import quotas
from leads.errors import NothingToExport, QuotaExhausted, QuoteExpired, QuoteUsed
from leads.exports import background
from leads.exports.exporting import hand_over, undisturbed
from leads.exports.naming import Named
from leads.exports.receipts import Lists, Receipt
from leads.exports.vetting import vetted
from leads.models import ExportQuote
from leads.quotas import Standing
from zevix.errors import NotFound


def commit(quote_id: int, *, by: User, workspace: Workspace) -> Receipt:
    """Export what was quoted, for what was quoted at most: the leads that are new still, and those owned by now, which are free.

    They go in the order of the quote, as far as the quota goes; whatever was suppressed or died since is left out. More than
    ``EXPORT_BATCH_MAX`` leads are exported by a job. Raises NotFound, QuoteUsed, QuoteExpired, and, where
    there is nothing to hand over, QuotaExhausted or NothingToExport; then nothing is charged.
    """
    return undisturbed(lambda: _commit(quote_id, by=by, workspace=workspace))


@transaction.atomic
def _commit(quote_id: int, *, by: User, workspace: Workspace) -> Receipt:
    quote = _lock(quote_id, workspace)
    take = background.queue if len(quote.leads) > settings.EXPORT_BATCH_MAX else _export
    receipt = take(quote, by=by, workspace=workspace)
    quote.export_id = receipt.export_id
    quote.save(update_fields=["export"])
    return receipt


def _lock(quote_id: int, workspace: Workspace) -> ExportQuote:
    quote = ExportQuote.objects.for_workspace(workspace).select_for_update().filter(pk=quote_id).first()
    if quote is None:
        raise NotFound
    if quote.export_id:
        raise QuoteUsed(export_id=quote.export_id)
    if quote.expires_at <= timezone.now():
        raise QuoteExpired
    return quote


def _export(quote: ExportQuote, *, by: User, workspace: Workspace) -> Receipt:
    standing = quotas.lock_month(workspace)
    named, new = vetted(quote.leads, workspace)
    chosen = new[: min(standing.remaining, quote.cost)]
    if not chosen and not any(name.owned for name in named):
        _refuse(standing, named, new)
    return hand_over(named, chosen, standing, by=by, workspace=workspace)


def _refuse(standing: Standing, named: Sequence[Named], new: Sequence[int]) -> None:
    refusal = QuotaExhausted if new and not standing.remaining else NothingToExport
    raise refusal(**standing.figures(), **Lists.of(named, ()).as_json())
