"""The mirror: what was last read of the deals of linked persons, and which of a lead's deals leads its status."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import connection as database
from django.db import transaction

from crm.errors import Busy
from crm.models import Connection, Deal, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.deals import leading
from crm.pipedrive.mapping.values import one_line
from crm.pipedrive.syncing import linking, syncing
from leads.models import Lead

Remote = dict[str, Any]

_TRIES, _PAUSE = 5, 0.1  # seconds
_LONGEST = 500
_CLOSED = {"won": Deal.Status.WON, "lost": Deal.Status.LOST}


def deal_changed(deal_id: int, *, account: Account, known: Remote | None = None) -> None:
    """Bring the mirror of a deal up to date, and the lead whose status it leads.

    It is read anew, unless ``known`` tells something newer than the mirror. A person that is not linked yet is looked at first; of one
    that is no lead here nothing is kept. Raises Unreachable, TokenRefused, Busy.
    """
    deal = mirror(deal_id, account=account, known=known)
    if deal is not None:
        tell(deal, account=account)


def mirror(deal_id: int, *, account: Account, known: Remote | None = None) -> Deal | None:
    """The same without the lead, which is noted as one to be compared. None where the deal is nobody's here."""
    if known is None or _is_stale(known, account.connection):
        known = account.pipedrive.deal(deal_id)
    row = _row(deal_id, account.connection)
    if (
        known is not None
        and _lead_of(known, row, account.connection) is None
        and (person := _id(known.get("person_id")))
    ):
        linking.person_changed(person, account=account)
    read = partial(account.pipedrive.deal, deal_id)
    return keep(deal_id, account=account, first=lambda: known, read=read)


def tell(deal: Deal, *, account: Account, patience: float = 0.0) -> None:
    """Bring a deal's lead into step, if the deal leads or led it.

    Where somebody else is at the lead, they are waited for so many seconds; after that it is done in a moment. Raises Unreachable,
    TokenRefused.
    """
    until = time.monotonic() + patience
    while deal.is_leading or deal.status == Deal.Status.DELETED:
        try:
            syncing.sync_lead(deal.lead_id, account=account, must_read=True)
        except Busy:
            if time.monotonic() + _PAUSE < until:
                time.sleep(_PAUSE)
                continue
        return  # if not done: it is noted as changed


def keep(
    deal_id: int, *, account: Account, first: Callable[[], Remote | None], read: Callable[[], Remote | None]
) -> Deal | None:
    """Write into the mirror what ``first`` answers; what ``read`` does, where somebody else wrote meanwhile.

    Either asks Pipedrive. Of two answers the one that was written last need not be the newer one; so one that was asked for before
    another was written is not used. Raises Busy where that never ends.
    """
    for attempt in range(_TRIES):
        seen = _version(deal_id, account.connection)
        remote = (read if attempt else first)()
        with transaction.atomic():
            hold(account.connection)
            if _hold_leads(deal_id, remote, account.connection) and _version(deal_id, account.connection) == seen:
                return _write(deal_id, remote, account.connection)
    raise Busy


def hold(connection: Connection) -> None:
    """Nobody else writes deals of this connection's mirror until the transaction ends."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('crm.deals:' || %s, 0))", [connection.pk])


def mirrored(remote: Remote) -> dict[str, Any]:
    """The columns of the mirror by what Pipedrive tells of a deal."""
    return {
        "remote_id": remote["id"],
        "title": one_line(remote.get("title"), _LONGEST),
        "value": _amount(remote.get("value")),
        "currency": one_line(remote.get("currency"), 10),
        "status": _CLOSED.get(str(remote.get("status")), Deal.Status.OPEN),
        "pipeline_id": _id(remote.get("pipeline_id")),
        "stage_id": _id(remote.get("stage_id")),
        "person_id": _id(remote.get("person_id")),
        "organization_id": _id(remote.get("org_id")),
        "expected_close_date": _day(remote.get("expected_close_date")),
        "lost_reason": one_line(remote.get("lost_reason"), _LONGEST),
        "remote_created_at": _moment(remote.get("add_time")),
        "remote_updated_at": _moment(remote.get("update_time")),
    }


def _row(deal_id: int, connection: Connection) -> Deal | None:
    found: Deal | None = Deal.objects.filter(connection=connection, remote_id=deal_id).first()
    return found


def _version(deal_id: int, connection: Connection) -> Any:
    row = Deal.objects.filter(connection=connection, remote_id=deal_id)
    return row.values_list("pk", "lead_id", "updated_at").first()


def _hold_leads(deal_id: int, remote: Remote | None, connection: Connection) -> bool:
    """Hold the leads that a deal leaves or comes to, before any deal, as merges do; False where they are others by now."""
    leads = _leads(deal_id, remote, connection)
    list(Lead.objects.filter(pk__in=leads).order_by("pk").select_for_update().values_list("pk"))
    return leads == _leads(deal_id, remote, connection)


def _leads(deal_id: int, remote: Remote | None, connection: Connection) -> set[int]:
    row = _row(deal_id, connection)
    found = (row.lead_id if row else None, _lead_of(remote, row, connection) if remote else None)
    return {lead_id for lead_id in found if lead_id is not None}


def _is_stale(known: Remote, connection: Connection) -> bool:
    """Whether the mirror may know better; its times are whole seconds."""
    row = _row(known["id"], connection)
    if row is None or row.remote_updated_at is None:
        return False
    at = _moment(known.get("update_time"))
    return at is None or at <= row.remote_updated_at


def _write(deal_id: int, remote: Remote | None, connection: Connection) -> Deal | None:
    row = _row(deal_id, connection)
    lead_id = _lead_of(remote, row, connection) if remote else None
    if remote is None or lead_id is None:
        return _leave(row, connection, is_deleted=remote is None)
    columns = mirrored(remote) | {"lead_id": lead_id}
    if row is None:
        row = Deal.objects.create(workspace_id=connection.workspace_id, connection=connection, **columns)
        _lead_on(row, None, connection)
    elif any(getattr(row, name) != value for name, value in columns.items()):
        before = Deal(status=row.status, lead_id=row.lead_id)
        for name, value in columns.items():
            setattr(row, name, value)
        row.save(update_fields=[*columns, "updated_at"])
        _lead_on(row, before, connection)
    return row


def _lead_on(row: Deal, before: Deal | None, connection: Connection) -> None:
    """What follows for the leads when a deal has changed: another may lead, and they are to be compared."""
    moved = before is not None and before.lead_id != row.lead_id
    has_opened = before is None or moved or before.status != Deal.Status.OPEN
    opened = row if has_opened and row.status == Deal.Status.OPEN else None
    leading.settle(row.lead_id, connection, opened=opened)
    row.refresh_from_db(fields=["is_leading"])
    if row.is_leading:
        leading.call_for_sync(row.lead_id, connection)
    if before is not None and moved:
        leading.settle(before.lead_id, connection)
        leading.call_for_sync(before.lead_id, connection)


def _leave(row: Deal | None, connection: Connection, *, is_deleted: bool) -> Deal | None:
    """A deal that was deleted stays to be seen; one of a person who is no lead here is nobody's any more."""
    if row is None or row.status == Deal.Status.DELETED:
        return row
    if is_deleted:
        row.status, row.note = Deal.Status.DELETED, ""
        row.save(update_fields=["status", "note", "updated_at"])
    else:
        Deal.objects.filter(pk=row.pk).delete()
    leading.settle(row.lead_id, connection)
    leading.call_for_sync(row.lead_id, connection)
    if not is_deleted:
        return None
    row.refresh_from_db(fields=["is_leading"])
    return row


def _lead_of(remote: Remote, row: Deal | None, connection: Connection) -> int | None:
    """The lead of the deal's person. While the person stays so does the lead: leads with the same address share one."""
    person = _id(remote.get("person_id"))
    if row is not None and row.person_id == person:
        return int(row.lead_id)
    linked = Link.objects.filter(connection=connection, person_id=person) if person else Link.objects.none()
    lead_id: int | None = linked.values_list("lead_id", flat=True).first()
    return lead_id


def _id(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 2**63 else None


def _amount(value: Any) -> Decimal | None:
    if type(value) not in (int, float) or not abs(value) < 10**12:
        return None
    return round(Decimal(str(value)), 2)


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _moment(value: Any) -> datetime | None:
    """Times of v2 are RFC 3339; without a zone they are UTC."""
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
