"""Persons that are not there any more: deleted, or merged into another, which the lead is then."""

from contextlib import ExitStack
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.models import Conflict, Creation, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import creating, leases
from crm.pipedrive.creating.directories import addresses
from crm.pipedrive.creating.leases import Lease
from crm.pipedrive.syncing import calling
from leads.history import Author
from leads.merging import merging
from leads.merging.merging import Wish
from leads.models import Lead
from zevix.errors import Refusal

PERSON = Creation.Kind.PERSON.value


def follow(link: Link, *, account: Account) -> bool:
    """A link's person is gone. Where another person has its address by now, it was merged: then the link is that one's.

    Else it was deleted: the lead stays, and is not sent again by itself. Raises Busy, Unreachable, TokenRefused.
    """
    gone = link.person_id
    if gone is None:
        return False
    into = _successor(link, gone, account)
    if into is not None:
        join(gone, into, account=account)
        return True
    creating.forget(PERSON, gone, account=account)
    Link.objects.filter(pk=link.pk, person_id=gone).update(
        state=Link.State.DELETED, problem=deleted_sentence(), problem_at=timezone.now(), retry_at=None, woken_at=None
    )
    _close_conflicts(link)
    return False


def _close_conflicts(link: Link) -> None:
    """There is nothing left to choose from: ours stays."""
    waiting = Conflict.objects.filter(connection=link.connection_id, lead=link.lead_id, resolved_at=None)
    waiting.update(choice=Conflict.Choice.ZEVIX, by_rule=True, resolved_at=timezone.now())


def deleted_sentence() -> str:
    return _("The person was deleted in Pipedrive. Send the lead again if it is to be there.")


def _successor(link: Link, gone: int, account: Account) -> int | None:
    for address in sorted(_addresses_of(link)):
        for person_id in sorted(account.pipedrive.persons_with_email(address)):
            person = account.pipedrive.person(person_id) if person_id != gone else None
            if person is not None and address in addresses(person):
                return person_id
    return None


def _addresses_of(link: Link) -> set[str]:
    agreed = link.snapshot.get("email") or ["", ""]
    current = Lead.objects.filter(pk=link.lead_id).values_list("email", flat=True).first()
    return {str(one).lower() for one in (*agreed, current) if isinstance(one, str) and one}


def join(from_id: int, into_id: int, *, account: Account) -> None:
    """One person was merged into another. The link follows; were both persons linked, their leads are merged.

    Raises Busy while somebody is at one of them.
    """
    links = Link.objects.filter(connection=account.connection, person_id__in=[from_id, into_id]).order_by("pk")
    with ExitStack() as held:
        held_links = {link.person_id: held.enter_context(leases.leased(link)) for link in links}
        creating.moved(PERSON, from_id, into_id, account=account)
        if from_id in held_links:
            _join(held_links[from_id], held_links.get(into_id), into_id, account)


def _join(gone: Lease, staying: Lease | None, into_id: int, account: Account) -> None:
    there = _leads(gone, staying)
    if staying is None or staying.row.lead_id not in there:  # type: ignore[attr-defined]
        _move(gone, staying, into_id)
    else:
        _merge(gone, staying, account, is_there=gone.row.lead_id in there)  # type: ignore[attr-defined]


def _leads(*held: Lease | None) -> set[int]:
    ids = [lease.row.lead_id for lease in held if lease]  # type: ignore[attr-defined]
    return set(Lead.objects.filter(pk__in=ids).values_list("pk", flat=True))


@transaction.atomic
def _move(gone: Lease, staying: Lease | None, into_id: int) -> None:
    calling.call_for(gone.rows)
    if staying is not None:
        staying.keep(person_id=None, snapshot={}, sent_as="")
    gone.keep(person_id=into_id, state=Link.State.ACTIVE, problem="", problem_at=None, seen_at=None)


def _merge(gone: Lease, staying: Lease, account: Account, *, is_there: bool) -> None:
    survivor, loser = staying.row.lead_id, gone.row.lead_id  # type: ignore[attr-defined]
    free: dict[str, Any] = {"person_id": None, "snapshot": {}, "sent_as": "", "organization_id": None}
    try:
        with transaction.atomic():
            if is_there:
                wish = Wish(survivor, (loser,))
                merging.merge([wish], workspace=account.connection.workspace, by=Author("crm"))
            calling.call_for(staying.rows)
            gone.keep(**free)
            staying.keep(seen_at=None)
    except Refusal as refusal:
        sentence = _("Pipedrive merged its person with that of lead {lead}, but the leads can't be merged: {reason}")
        why = sentence.format(lead=survivor, reason=refusal)
        gone.keep(**free, problem=why, problem_at=timezone.now())
