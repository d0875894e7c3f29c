"""The wish for a deal with a lead: kept before Pipedrive is asked, so that it arrives whatever happens, and arrives once."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Q, TextField, Value, When
from django.utils import timezone

from accounts.models import Workspace
from crm.errors import MayBeThere, NothingWaits
from crm.models import Connection, Creation, Deal
from crm.pipedrive import accounts
from leads import addresses, editing
from leads.history import Author
from leads.models import Lead
from zevix.errors import NotFound

_LONGEST_TITLE = 200
_WAITING = (Deal.Status.QUEUED, Deal.Status.REFUSED)


@dataclass(frozen=True)
class Wish:
    """A deal that somebody wants: with the lead ``lead_id`` (an id or an external id), or with the one that ``contact`` tells of.

    All are checked values. A title that is blank is the lead's company or name; a currency that is blank is the account's.
    """

    lead_id: str = ""
    contact: dict[str, Any] | None = None
    title: str = ""
    value: Decimal | None = None
    currency: str = ""


def want(wish: Wish, *, workspace: Workspace, by: Author) -> Deal:
    """Keep a wish; returns the deal that it is. The lead is the one named, else the oldest with that address, else a new one.

    A deal with the same lead and title that is queued or open is the same deal; one that was refused is wanted again, as it is told
    now. Raises NotFound, NotYourLead, NotConnected.
    """
    named = _named(wish.lead_id, workspace) if wish.contact is None else None
    connection = accounts.connection_of(workspace)
    with transaction.atomic():
        lead_id = named or _contacted(wish.contact or {}, workspace, by)
        return want_with(lead_id, wish, connection=connection, by=by)


@transaction.atomic
def want_with(lead_id: int, wish: Wish, *, connection: Connection, by: Author) -> Deal:
    """The same with a lead that is there. Raises NotFound, NotYourLead."""
    # held, so that of two who want the same at once the second finds it
    lead = editing.lock(lead_id, connection.workspace_id, by)
    told = {"value": wish.value, "currency": wish.currency or connection.currency}
    title = wish.title or _title_of(lead)
    same = _same(lead, title, connection)
    if same is None:
        row = {"workspace_id": lead.workspace_id, "connection": connection, "lead": lead, "wanted_by_id": by.user_id}
        return Deal.objects.create(title=title, wanted_title=title, **row, **told)
    if same.status == Deal.Status.REFUSED:
        Deal.objects.filter(pk=same.pk).update(**told)
        want_again(same)
    return same


def want_again(deal: Deal) -> None:
    """Have a deal that waits, or was refused, tried from now on; one that is there, its note. Raises NothingWaits."""
    waits = Deal.objects.filter(pk=deal.pk).filter(Q(status__in=_WAITING) | ~Q(note=""))
    anew = {"problem": "", "attempts": 0, "retry_at": None, "updated_at": timezone.now()}
    queued = Value(Deal.Status.QUEUED, TextField())
    status = Case(When(status=Deal.Status.REFUSED, then=queued), default=F("status"))
    if not waits.update(status=status, **anew):
        raise NothingWaits
    deal.refresh_from_db()


@transaction.atomic
def give_up(deal: Deal) -> None:
    """Nobody wants this deal any more: it is not made. Raises NothingWaits, and MayBeThere where Pipedrive was asked for it."""
    held = Deal.objects.select_for_update().filter(pk=deal.pk, status__in=_WAITING)
    if not held.exists():
        raise NothingWaits
    asked = Creation.objects.filter(connection=deal.connection_id, kind=Creation.Kind.DEAL, key=str(deal.pk))
    if asked.exclude(sent_at=None).exists():
        raise MayBeThere
    held.delete()


def _same(lead: Lead, title: str, connection: Connection) -> Deal | None:
    """By the title that was asked for, too: somebody may have given it another one there."""
    wanted = Deal.objects.filter(connection=connection, lead=lead, status__in=[*_WAITING, Deal.Status.OPEN])
    found: Deal | None = wanted.filter(Q(wanted_title=title) | Q(title=title)).order_by("pk").first()
    return found


def _named(lead_id: str, workspace: Workspace) -> int:
    """Ids before external ids, as for exports."""
    own = Lead.objects.for_workspace(workspace)
    is_number = lead_id.isascii() and lead_id.isdigit() and len(lead_id) < 19
    found = own.filter(pk=int(lead_id)).first() if is_number else None
    found = found or (own.filter(external_id=lead_id).first() if lead_id else None)
    if found is None:
        raise NotFound
    return int(found.pk)


def _contacted(contact: dict[str, Any], workspace: Workspace, by: Author) -> int:
    """The lead with that address, whose blanks are filled; else a new one."""
    known = addresses.hold(contact["email"], workspace)
    if known is None:
        return editing.create(contact, workspace=workspace, by=by)
    lead = editing.lock(known, workspace, by)
    if blanks := {name: value for name, value in contact.items() if value and not getattr(lead, name)}:
        editing.update(known, blanks, workspace=workspace, by=by)
    return known


def _title_of(lead: Lead) -> str:
    return " ".join(str(lead).split())[:_LONGEST_TITLE].rstrip()
