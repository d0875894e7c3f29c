"""A deal that was made: the wish becomes the mirror of it, and the lead agrees with it on what it was made of."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm.errors import Busy
from crm.models import Deal, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import leases
from crm.pipedrive.creating.creating import Made
from crm.pipedrive.creating.leases import Lease
from crm.pipedrive.deals import leading, mirroring
from crm.pipedrive.deals.asking import STATUS, fields_of_deals
from crm.pipedrive.mapping import UNKNOWN, Canonical, MappedField, Remote
from crm.pipedrive.mapping.stages import OPEN
from leads.models import Lead
from zevix.errors import NotFound

_PATIENCE, _PAUSE = 5.0, 0.05  # seconds that another who is at the lead is waited for, and between looks

Row = dict[str, Any]


def arrive(deal: Deal, made: Made, *, account: Account, deadline: float | None) -> None:
    """The wish is fulfilled. Who gave it up meanwhile has a deal there all the same. Raises Busy, Unreachable, NotFound."""
    remote = made.body or account.pipedrive.deal(made.id)
    until = time.monotonic() + _PATIENCE if deadline is None else deadline
    with _link_of(deal, until) as lease, transaction.atomic():
        mirroring.hold(account.connection)
        lead = Lead.objects.filter(pk=deal.lead_id).select_for_update().first()
        if Deal.objects.filter(pk=deal.pk, status=Deal.Status.QUEUED).exists():
            _become(deal, made.id, remote, lead, account)
            if lease is not None and deal.is_leading and remote is not None:
                _agree(lease, deal, remote, is_new=made.body is not None, account=account)
    if not Deal.objects.filter(pk=deal.pk).exists():
        mirroring.mirror(made.id, account=account)
    read_again(deal)


def read_again(deal: Deal) -> None:
    """Raises NotFound."""
    try:
        deal.refresh_from_db()
    except Deal.DoesNotExist:
        raise NotFound


@contextmanager
def _link_of(deal: Deal, until: float) -> Iterator[Lease | None]:
    """The lead's link, leased; None where it has none. Raises Busy where somebody else does not let go of it."""
    link = Link.objects.filter(connection=deal.connection_id, lead=deal.lead_id).first()
    lease = leases.take(link) if link else None
    while link is not None and lease is None:
        if time.monotonic() + _PAUSE > until:
            raise Busy(vendor="Pipedrive", reason="lease")
        time.sleep(_PAUSE)
        lease = leases.take(link)
    try:
        yield lease
    finally:
        if lease is not None:
            leases.give_back(lease)


def _become(deal: Deal, deal_id: int, remote: Row | None, lead: Lead | None, account: Account) -> None:
    columns = _columns(deal_id, remote, account) | {"problem": "", "attempts": 0, "retry_at": None}
    notes = lead.notes if lead is not None and remote is not None else ""
    Deal.objects.filter(pk=deal.pk).update(**columns, note=notes, updated_at=timezone.now())
    read_again(deal)
    leading.settle(deal.lead_id, account.connection, opened=deal if deal.status == Deal.Status.OPEN else None)
    leading.call_for_sync(deal.lead_id, account.connection)
    read_again(deal)


def _columns(deal_id: int, remote: Row | None, account: Account) -> Row:
    """What is known of the deal: by the row that a webhook brought sooner, which goes, else by what was read."""
    row = Deal.objects.filter(connection=account.connection, remote_id=deal_id).first()
    told = mirroring.mirrored(remote) if remote else {"remote_id": deal_id, "status": Deal.Status.DELETED}
    if row is None:
        return told
    kept = {name: getattr(row, name) for name in mirroring.mirrored({"id": deal_id})}
    row.delete()
    return kept


def _agree(lease: Lease, deal: Deal, remote: Row, *, is_new: bool, account: Account) -> None:
    """Without this both sides would meet for the first time when one of them has gone on already."""
    link: Any = lease.row
    for field in fields_of_deals(account):
        sent = deal.sent.get(field.name, UNKNOWN)
        theirs = field.theirs(Remote(deal=remote)) if is_new or _opened_anew(field, sent) else sent
        if UNKNOWN not in (sent, theirs) and (sent == theirs or field.name == STATUS):
            link.snapshot[field.name] = [sent, theirs]
    lease.keep(snapshot=link.snapshot)


def _opened_anew(field: MappedField, sent: Canonical) -> bool:
    """Whether the deal was not made of what was sent: those of leads that were won or lost begin open."""
    return field.name == STATUS and sent not in OPEN
