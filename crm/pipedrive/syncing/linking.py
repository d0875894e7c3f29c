"""What happens to persons and organizations there as such: new ones, deleted ones, merged ones."""

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.errors import Busy
from crm.models import Creation, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import creating
from crm.pipedrive.creating.directories import Searching, addresses
from crm.pipedrive.mapping import UNKNOWN, Remote, merged
from crm.pipedrive.syncing import calling, parting, syncing
from crm.pipedrive.syncing.cases import Row, organization_of, read_lead
from crm.pipedrive.syncing.deciding import moment
from leads import editing
from leads.errors import ExternalIdTaken
from leads.history import Author
from leads.models import Lead

SOURCE = "pipedrive"
_SECOND = timedelta(seconds=1)  # their times have no fractions


def person_changed(person_id: int, *, account: Account, known: Remote | None = None) -> None:
    """A person was made, changed or deleted there: its lead is brought into step, a new one becomes a lead or meets its own.

    The person is read anew; ``known`` saves that where it shows nothing new. Raises Busy, Unreachable, TokenRefused.
    """
    link = Link.objects.filter(connection=account.connection, person_id=person_id).first()
    if link is None:
        _arrived(person_id, account, known)
    elif link.state == Link.State.DELETED:
        _returned(link, account)
    elif Lead.objects.filter(pk=link.lead_id).exists():
        syncing.sync_lead(link.lead_id, account=account, must_read=True, known=known)
    else:
        calling.call_for(Link.objects.filter(pk=link.pk))


def person_merged(from_id: int, into_id: int, *, account: Account) -> None:
    """A person was merged into another there: the link follows; were both linked, their leads are merged.

    Raises Busy, Unreachable, TokenRefused.
    """
    if from_id == into_id:
        return
    parting.join(from_id, into_id, account=account)
    link = Link.objects.filter(connection=account.connection, person_id=into_id).first()
    if link is not None:
        syncing.sync_lead(link.lead_id, account=account, must_read=True)


def organization_changed(organization_id: int, *, account: Account) -> None:
    """An organization was changed or deleted there: all leads of its persons are to be brought into step, and wait for that."""
    calling.call_for(Link.objects.filter(connection=account.connection, organization_id=organization_id))


def _returned(link: Link, account: Account) -> None:
    """A person that was deleted may have been brought back."""
    if link.person_id is None or account.pipedrive.person(link.person_id) is None:
        return
    back = Link.objects.filter(pk=link.pk, state=Link.State.DELETED, person_id=link.person_id)
    back.update(state=Link.State.ACTIVE, problem="", problem_at=None, seen_at=None)
    syncing.sync_lead(link.lead_id, account=account, must_read=True)


# New persons --------------------------------------------------------------------------------------------------------------


class _Only(Searching):
    """A directory in which this person is the first that has its addresses."""

    def __init__(self, person: Row, account: Account) -> None:
        super().__init__(account)
        self._person = person

    def person_ids(self, email: str) -> list[int]:
        return [self._person["id"]] if email.lower() in addresses(self._person) else super().person_ids(email)


def _arrived(person_id: int, account: Account, known: Remote | None) -> None:
    person = known.person if known and known.person else account.pipedrive.person(person_id)
    if person is None:
        creating.forget(Creation.Kind.PERSON, person_id, account=account)
        return
    if creating.is_under_way(Creation.Kind.PERSON, addresses(person), account=account):
        raise Busy(vendor="Pipedrive", reason="creating")  # it may be one that we asked for
    if not addresses(person) and _was_asked_for(person_id, account):
        return
    lead_id = _lead_it_was_made_for(person_id, account) or _lead_with_its_address(person, account)
    is_new = _is_new(person, account)
    if lead_id is not None and (is_new or account.connection.scope == account.connection.Scope.ALL):
        syncing.sync_lead(lead_id, account=account, send=True, directory=_Only(person, account))
    elif lead_id is None and is_new and not _is_somebody(person, account):
        _become_lead(person, account)


def _was_asked_for(person_id: int, account: Account) -> bool:
    """Whether it is the person of a lead without an address, asked for by somebody who was broken off: these leads go first."""
    asked = Creation.objects.filter(
        connection=account.connection,
        kind=Creation.Kind.PERSON,
        key__startswith=creating.NAMELESS,
        remote_id=None,
        sent_at__isnull=False,
    )
    links = Link.objects.filter(connection=account.connection)
    waiting = links.filter(person_id=None, sent_as__in=asked.values("key"), lead__in=Lead.objects.all())
    for lead_id in waiting.order_by("pk").values_list("lead_id", flat=True):
        syncing.sync_lead(lead_id, account=account)
    return links.filter(person_id=person_id).exists()


def _is_new(person: Row, account: Account) -> bool:
    added_at = moment(person.get("add_time"))
    since = account.connection.connected_at - _SECOND
    return account.connection.takes_new and added_at is not None and added_at > since


def _lead_it_was_made_for(person_id: int, account: Account) -> int | None:
    """We made the person, and were broken off before it was linked."""
    made = Creation.objects.filter(connection=account.connection, kind=Creation.Kind.PERSON, remote_id=person_id)
    waiting = Link.objects.filter(
        connection=account.connection, person_id=None, sent_as__in=made.values("key"), lead__in=Lead.objects.all()
    )
    return waiting.values_list("lead_id", flat=True).order_by("pk").first()


def _lead_with_its_address(person: Row, account: Account) -> int | None:
    """The oldest one that is nobody there yet, or whose person was deleted."""
    linked = _linked(account)
    for address in sorted(addresses(person)):
        found = _with_address(address, account).exclude(pk__in=linked.values("lead_id"))
        lead_id: int | None = found.order_by("pk").values_list("pk", flat=True).first()
        if lead_id is not None:
            return lead_id
    return None


def _is_somebody(person: Row, account: Account) -> bool:
    """Whether a lead that is another person there has the address: then this one is a twin that people made there."""
    return any(_with_address(address, account).exists() for address in addresses(person))


def _with_address(address: str, account: Account) -> Any:
    return Lead.objects.for_workspace(account.connection.workspace_id).with_email(address)


def _linked(account: Account) -> Any:
    linked = Link.objects.filter(connection=account.connection, state=Link.State.ACTIVE)
    return linked.exclude(person_id=None)


def _become_lead(person: Row, account: Account) -> None:
    organization_id = organization_of(person)
    organization = account.pipedrive.organization(organization_id) if organization_id else None
    remote = Remote(person=person, organization=organization)
    try:
        with transaction.atomic():
            lead_id = _create(_fields(remote, account), account)
            _link(lead_id, remote, account)
    except IntegrityError as error:  # somebody was quicker
        raise Busy(vendor="Pipedrive", reason="linking") from error


def _fields(remote: Remote, account: Account) -> dict[str, Any]:
    parts = []
    for field in account.mapping.fields:
        if field.applies(remote) and field.theirs(remote) != UNKNOWN and not field.is_empty(field.theirs(remote)):
            try:
                parts.append(field.for_ours(remote))
            except ValueError:  # told when the two are compared
                continue
    return merged(parts)


def _create(fields: dict[str, Any], account: Account) -> int:
    workspace, by = account.connection.workspace, Author("crm")
    wanted = {"source": SOURCE, **fields}
    try:
        return editing.create(wanted, workspace=workspace, by=by)
    except ExternalIdTaken:
        return editing.create({**wanted, "external_id": ""}, workspace=workspace, by=by)


def _link(lead_id: int, remote: Remote, account: Account) -> None:
    """Both agree on what the lead was made of; what it can't hold is theirs to be told of later."""
    lead = read_lead(lead_id, account) or {}
    snapshot = {}
    for field in account.mapping.fields:
        if field.applies(remote) and field.ours(lead) == field.theirs(remote):
            snapshot[field.name] = [field.ours(lead), field.theirs(remote)]
    Link.objects.create(
        workspace_id=account.connection.workspace_id,
        connection=account.connection,
        lead_id=lead_id,
        person_id=remote.person["id"] if remote.person else None,
        organization_id=remote.organization["id"] if remote.organization else None,
        snapshot=snapshot,
        synced_at=timezone.now(),
    )
