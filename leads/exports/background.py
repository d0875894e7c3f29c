"""Large exports: taken in by the request, handed over by a worker in chunks.

A chunk is a short transaction, which takes the month's lock as every other export does and adds to the receipt. The receipt's counts
are how far it is: killed in its midst, an export goes on there. Batches of the same workspace come in between.
"""

from typing import NamedTuple

from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from leads import alerts, quotas
from leads.distribution import distributing
from leads.errors import QuotaExhausted
from leads.exports.charging import charge
from leads.exports.exporting import undisturbed
from leads.exports.receipts import Lists, Receipt
from leads.exports.vetting import vetted
from leads.models import Export, ExportQuote
from zevix import events

CHUNK = 2_000  # leads: other exports of the workspace wait that long

Status = Export.Status
_COUNTS = ["new_count", "duplicate_count", "not_exported_count", "unknown_count"]


def queue(quote: ExportQuote, *, by: User, workspace: Workspace) -> Receipt:
    """Have a worker export what was quoted; the receipt tells nothing yet. Raises QuotaExhausted where nothing is owned or left."""
    from leads.jobs import go_on_exporting

    standing = quotas.standing(workspace)
    if not (standing.remaining or quote.owned_count):
        raise QuotaExhausted(**standing.figures(), **Lists().as_json())
    export = Export.objects.create(
        workspace=workspace,
        user=by,
        month=standing.month,
        status=Status.QUEUED,
        progress=0,
        used=standing.used,
        limit=standing.limit,
        **dict.fromkeys(_COUNTS, 0),
    )
    language = translation.get_language() or settings.LANGUAGE_CODE
    go_on_exporting.configure(lock=f"export:{workspace.pk}").defer(export_id=export.pk, language=language)
    return Receipt(export_id=export.pk, standing=standing, is_queued=True)


def finish(export_id: int, language: str) -> None:
    """Export what is left. What goes wrong leaves it failed, with a sentence, and with what was handed over by then; a lost
    database leaves it to the next try.
    """
    with translation.override(language):
        try:
            while undisturbed(lambda: advance(export_id, CHUNK)):
                pass
        except OperationalError:
            raise
        except Exception:
            _fail(export_id, _("Something went wrong on our side. It has been noted."))
            raise


@transaction.atomic
def advance(export_id: int, limit: int) -> bool:
    """Export the next ``limit`` leads; tells whether there are more."""
    export = _lock(export_id)
    if export is None:
        return False
    left = _left(export, limit)
    standing = quotas.lock_month(export.workspace)
    named, new = vetted(left.leads, export.workspace)
    receipt = charge(
        named, new[: min(standing.remaining, left.cost)], standing,
        user_id=export.user_id, workspace=export.workspace, export_id=export.pk,
    )  # fmt: skip
    if receipt.new_ids:
        events.record(export.workspace_id, "usage.changed", receipt.standing.figures())
        alerts.note(receipt.standing, workspace_id=export.workspace_id)
    _move_on(export, left.total)
    return export.status == Status.RUNNING


def _lock(export_id: int) -> Export | None:
    there = Export.objects.select_for_update(of=("self",)).select_related("workspace").defer("leads", "lists")
    return there.filter(pk=export_id, status__in=Export.UNDER_WAY).first()


class _Left(NamedTuple):
    """The next of the quote's leads, what it may cost still, and how many leads it has in all."""

    leads: list[int]
    cost: int
    total: int


def _left(export: Export, limit: int) -> _Left:
    done = _done(export)
    quote = ExportQuote.objects.filter(export=export).values_list(f"leads__{done}_{done + limit}", "cost", "leads__len")
    leads, cost, total = quote.get()
    return _Left(leads, cost - export.new_count, total)


def _done(export: Export) -> int:
    return sum(getattr(export, name) for name in _COUNTS)


def _move_on(export: Export, total: int) -> None:
    export.refresh_from_db(fields=_COUNTS)
    done = _done(export)
    export.status, export.progress = Status.RUNNING, 100 * done // total
    if done >= total:
        _end(export)
    export.save(update_fields=["status", "progress", "failure", "finished_at"])


def _end(export: Export, failure: str = "") -> None:
    standing = quotas.standing(export.workspace)
    if not (export.new_count or export.duplicate_count):
        failure = failure or str(QuotaExhausted(**standing.figures()))
    export.status, export.failure = Status.FAILED if failure else Status.COMPLETED, failure
    export.finished_at = timezone.now()
    told = {"export_id": export.pk, "count": export.new_count, "status": export.status, **standing.figures()}
    events.record(export.workspace_id, "export.created", told)
    distributing.many_arrived({"export": export.pk}, workspace_id=export.workspace_id, user_id=export.user_id)


@transaction.atomic
def _fail(export_id: int, why: str) -> None:
    export = _lock(export_id)
    if export:
        _end(export, why)
        export.save(update_fields=["status", "failure", "finished_at"])
