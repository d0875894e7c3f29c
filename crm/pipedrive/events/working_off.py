"""What an event of the inbox leads to: the object is read anew, unless the event tells nothing new."""

from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.errors import Busy, TokenRefused
from crm.models import Deal, InboxEvent, Link
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.deals import mirroring
from crm.pipedrive.events.inbox import OF_THE_ACCOUNT
from crm.pipedrive.mapping import MappedField, Remote
from crm.pipedrive.syncing import linking, syncing
from zevix.errors import Refusal, Unreachable

Outcome = InboxEvent.Outcome
_TOGETHER = 500  # events of one object
_LINKS = 200  # of one organization that are looked at to find that an event tells nothing new


def work_off(event: InboxEvent, *, account: Account) -> Account:
    """Act on an event, and with it on all others that wait of the same object; returns the account, read anew where it changed.

    Raises Busy, Unreachable, TokenRefused; another refusal is noted with the events.
    """
    group = list(_waiting_with(event)[:_TOGETHER])
    if not group:  # done with another one
        return account
    problem = ""
    outcome: str = Outcome.DONE
    try:
        if event.entity in OF_THE_ACCOUNT:
            account = accounts.refresh(account)
        else:
            outcome = _ACTS[event.entity](event.entity_id, group, account)
    except (Unreachable, TokenRefused):
        raise
    except Refusal as refusal:
        problem = str(refusal)
    ids = [one.pk for one in group]
    InboxEvent.objects.filter(pk__in=ids).update(
        outcome=outcome, problem=problem, done_at=timezone.now(), retry_at=None
    )
    return account


def tells_nothing_new(entity: str, body: dict[str, Any], *, account: Account) -> bool:
    """Whether an object, as Pipedrive told it, is what both sides have agreed on already."""
    try:
        return _TELLS_NOTHING[entity](as_read(body), account)
    except (TypeError, ValueError, LookupError, AttributeError):  # of another form than what is read: so it is read
        return False


def as_read(body: dict[str, Any]) -> dict[str, Any]:
    """What a webhook tells of an object, in the form in which the object is read: its custom fields come wrapped."""
    custom = body.get("custom_fields")
    if not isinstance(custom, dict):
        return body
    return body | {"custom_fields": {key: _unwrapped(value) for key, value in custom.items()}}


def _waiting_with(event: InboxEvent) -> Any:
    waiting = InboxEvent.objects.filter(connection=event.connection_id, outcome=Outcome.WAITING).order_by("pk")
    if event.entity in OF_THE_ACCOUNT:
        return waiting.filter(entity__in=OF_THE_ACCOUNT)
    return waiting.filter(entity=event.entity, entity_id=event.entity_id)


# Persons ----------------------------------------------------------------------------------------------------------------


def _person(person_id: int, group: list[InboxEvent], account: Account) -> str:
    for event in group:
        _follow_merge(event, account)
        _note_what_was_overwritten(event, account)
    if _all_echo(group, account):
        return Outcome.ECHO
    if all(event.action == "delete" for event in group) and not _links(account, person_id=person_id).exists():
        return Outcome.IGNORED
    linking.person_changed(person_id, account=account)
    return Outcome.DONE


def _follow_merge(event: InboxEvent, account: Account) -> None:
    """The one that is gone says where it went, the one that stays what came to it; either may be lost on the way."""
    meta = event.body.get("meta", {})
    if event.action == "delete" and (into := _id(meta.get("merged_to_id"))):
        linking.person_merged(event.entity_id, into, account=account)
    elif gone := _id(meta.get("merged_from_id")):
        linking.person_merged(gone, event.entity_id, account=account)


def _note_what_was_overwritten(event: InboxEvent, account: Account) -> None:
    meta, previous = event.body.get("meta") or {}, event.body.get("previous")
    is_ours = meta.get("change_source") == "api" and str(meta.get("user_id")) == str(account.connection.user_id)
    if event.action == "change" and is_ours and previous:
        at = event.sent_at or event.received_at
        syncing.echoed(event.entity_id, as_read(previous), account=account, at=at)


def _person_tells_nothing(person: dict[str, Any], account: Account) -> bool:
    link = _links(account, person_id=person.get("id")).filter(state=Link.State.ACTIVE).first()
    return (
        link is not None
        and link.organization_id == person.get("org_id")
        and _is_as_agreed(link.snapshot, "person", Remote(person=person, organization=None, deal=None), account)
    )


# Organizations ----------------------------------------------------------------------------------------------------------


def _organization(organization_id: int, group: list[InboxEvent], account: Account) -> str:
    if not _links(account, organization_id=organization_id).exists():
        return Outcome.IGNORED
    if _all_echo(group, account):
        return Outcome.ECHO
    linking.organization_changed(organization_id, account=account)
    return Outcome.DONE


def _organization_tells_nothing(organization: dict[str, Any], account: Account) -> bool:
    remote = Remote(person=None, organization=organization, deal=None)
    snapshots = _links(account, organization_id=organization.get("id")).values_list("snapshot", flat=True)[: _LINKS + 1]
    return len(snapshots) <= _LINKS and all(
        _is_as_agreed(snapshot, "organization", remote, account) for snapshot in snapshots
    )


# Deals ------------------------------------------------------------------------------------------------------------------


def _deal(deal_id: int, group: list[InboxEvent], account: Account) -> str:
    if _all_echo(group, account):
        return Outcome.ECHO
    if not _is_known_deal(deal_id, account) and not _is_of_a_linked_person(group, account):
        return Outcome.IGNORED
    mirroring.deal_changed(deal_id, account=account)
    return Outcome.DONE


def _is_known_deal(deal_id: int, account: Account) -> bool:
    return Deal.objects.filter(connection=account.connection, remote_id=deal_id).exists()


def _is_of_a_linked_person(group: list[InboxEvent], account: Account) -> bool:
    """Raises Busy while it waits to be seen whether the person becomes a lead."""
    told = [event.body.get(part) or {} for event in group for part in ("data", "previous")]
    persons = {person_id for one in told if (person_id := _id(one.get("person_id")))}
    if not persons or _links(account, person_id__in=persons).exists():
        return True
    waiting = InboxEvent.objects.filter(connection=account.connection, outcome=Outcome.WAITING)
    if waiting.filter(entity="person", entity_id__in=persons).exists():
        raise Busy(vendor="Pipedrive", reason="person")
    return False


def _deal_tells_nothing(deal: dict[str, Any], account: Account) -> bool:
    """By the time of the last change and by the values: two changes may fall into one second."""
    changed_at = parse_datetime(str(deal.get("update_time")))
    mirror = Deal.objects.filter(connection=account.connection, remote_id=deal.get("id")).first()
    if mirror is None or changed_at is None or mirror.remote_updated_at != changed_at:
        return False
    seen = (mirror.title, mirror.status, mirror.stage_id, mirror.person_id, mirror.organization_id, mirror.currency)
    told = tuple(deal.get(name) for name in ("title", "status", "stage_id", "person_id", "org_id", "currency"))
    return seen == told and float(mirror.value or 0) == float(deal.get("value") or 0)


# What an event tells ----------------------------------------------------------------------------------------------------


def _all_echo(group: list[InboxEvent], account: Account) -> bool:
    """An event alone among others that differ may be one that came late."""
    return all(event.action != "delete" and event.body.get("data") and _is_echo(event, account) for event in group)


def _is_echo(event: InboxEvent, account: Account) -> bool:
    data = event.body["data"]
    is_merged = "merged_from_id" in event.body.get("meta", {})
    is_the_one = _id(data.get("id")) == event.entity_id
    return is_the_one and not is_merged and tells_nothing_new(event.entity, data, account=account)


def _is_as_agreed(snapshot: dict[str, Any], entity: str, remote: Remote, account: Account) -> bool:
    fields = [field for field in account.mapping.fields if _tells_of(entity, field)]
    return all(field.name in snapshot and snapshot[field.name][1] == field.theirs(remote) for field in fields)


def _tells_of(entity: str, field: MappedField) -> bool:
    """A person tells which organization it is of; what that is called, the organization."""
    return (field.entity if field.there.key != "org_id" else "organization") == entity


def _links(account: Account, **which: Any) -> Any:
    return Link.objects.filter(connection=account.connection, **which)


def _unwrapped(value: Any) -> Any:
    """``{"type": "enum", "id": 3}`` → 3; amounts of money and addresses keep their parts."""
    if not isinstance(value, dict) or "type" not in value:
        return value
    parts = {name: part for name, part in value.items() if name != "type"}
    if parts.keys() <= {"value"} or parts.keys() <= {"id"}:
        return next(iter(parts.values()), None)
    if parts.keys() == {"values"}:
        return [_unwrapped({"type": "", **one}) if isinstance(one, dict) else one for one in parts["values"]]
    return parts


def _id(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if type(value) is int and 0 < value < 2**63 else None


_ACTS = {"person": _person, "organization": _organization, "deal": _deal}
_TELLS_NOTHING = {
    "person": _person_tells_nothing,
    "organization": _organization_tells_nothing,
    "deal": _deal_tells_nothing,
}
