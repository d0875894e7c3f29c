"""One lead that is being brought into step: what is known of it while that lasts."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from crm.models import Deal, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating.creating import Directory
from crm.pipedrive.creating.leases import Lease
from crm.pipedrive.mapping import LEAD_COLUMNS, Canonical, MappedField, Remote
from crm.pipedrive.syncing.comparing import Move
from leads.models import Lead

Row = dict[str, Any]

# what is kept of our last writes to a field, so that their echoes are known
_PUSHES = 5


class PersonGone(Exception):
    """The lead's person is not there any more."""


class LeadGone(Exception):
    """The lead is not there any more."""


@dataclass(frozen=True)
class Change:
    """What became of a field, or would: both sides' values as they were before, in the form in which they are compared."""

    field: str
    move: Move
    ours: Canonical
    theirs: Canonical


@dataclass
class Outcome:
    """What was done with a lead, or would be; ``problem`` is a sentence that tells what to do, and is noted on the lead's Link."""

    person_id: int | None = None
    created: bool = False
    changes: list[Change] = field(default_factory=list)
    problem: str = ""

    def _fields(self, move: Move) -> list[str]:
        return [change.field for change in self.changes if change.move == move]

    @property
    def pushed(self) -> list[str]:
        return self._fields(Move.PUSH)

    @property
    def pulled(self) -> list[str]:
        return self._fields(Move.PULL)

    @property
    def conflicts(self) -> list[str]:
        return self._fields(Move.CONFLICT)


@dataclass
class Case:
    """A lead, its link, and what it is there. Without a lease nothing may be written: it is only looked at."""

    account: Account
    link: Link
    lead: Row
    lease: Lease | None
    directory: Directory
    deadline: float | None = None
    remote: Remote = field(default_factory=Remote)
    is_fresh: bool = False
    read_at: datetime | None = None
    outcome: Outcome = field(default_factory=Outcome)
    # field → why it can't move
    refused: dict[str, str] = field(default_factory=dict)
    is_settled: bool = True

    def agreed(self, name: str) -> tuple[Canonical, Canonical] | None:
        pair = self.link.snapshot.get(name)
        return (pair[0], pair[1]) if isinstance(pair, list) and len(pair) == 2 else None

    def agree(self, name: str, ours: Canonical, theirs: Canonical) -> None:
        self.link.snapshot[name] = [ours, theirs]

    def note_push(self, name: str, found: Canonical, left: Canonical) -> None:
        self.link.pushed[name] = [*self.link.pushed.get(name, []), [found, left]][-_PUSHES:]

    def refuse(self, mapped: MappedField, why: str) -> None:
        self.refused[mapped.name] = f"{mapped.label}: {why}"

    def keep(self, **values: Any) -> None:
        """Write to the link, as long as it is ours. Raises Busy."""
        if self.lease is not None:
            self.lease.keep(snapshot=self.link.snapshot, pushed=self.link.pushed, **values)
        for name, value in values.items():
            setattr(self.link, name, value)

    def read(self) -> None:
        """Read anew what the lead is there. Raises PersonGone."""
        self.read_at = timezone.now()
        person = self.account.pipedrive.person(self.link.person_id or 0)
        if person is None:
            raise PersonGone
        self.is_fresh = False
        self.take(person)
        self.is_fresh = True

    def take(self, person: Row) -> None:
        """This is the person by now; the leading deal is read, and the organization where it is another one."""
        deal_id = leading_deal(self.link.lead_id, self.account)
        self.replace(deal=self.account.pipedrive.deal(deal_id) if deal_id else None)
        self.take_person(person)

    def take_person(self, person: Row) -> None:
        """The same, the deal being as it was."""
        organization, organization_id = self.remote.organization, organization_of(person)
        if organization is None or organization["id"] != organization_id or not self.is_fresh:
            organization = self.account.pipedrive.organization(organization_id) if organization_id else None
        self.replace(person=person, organization=organization)
        self.notice_organization()

    def notice_organization(self) -> None:
        """What was agreed on of another organization says nothing of this one."""
        organization_id = self.remote.organization["id"] if self.remote.organization else None
        if self.link.organization_id == organization_id:
            return
        for mapped in self.account.mapping.fields:
            if mapped.entity == "organization":
                self.link.snapshot.pop(mapped.name, None)
                self.link.pushed.pop(mapped.name, None)
        self.keep(organization_id=organization_id)

    def replace(self, **objects: Row | None) -> None:
        self.remote = replace(self.remote, **objects)


def read_lead(lead_id: int, account: Account) -> Row | None:
    """A lead of the connection's workspace, as the mapping reads it."""
    leads = Lead.objects.for_workspace(account.connection.workspace_id).filter(pk=lead_id)
    found: Row | None = leads.values(*LEAD_COLUMNS).first()
    return found


def organization_of(person: Row) -> int | None:
    found = person.get("org_id")
    return found if type(found) is int and found > 0 else None


def leading_deal(lead_id: int, account: Account) -> int | None:
    """The id there of the deal whose stage is the lead's status."""
    leading = Deal.objects.filter(connection=account.connection, lead=lead_id, is_leading=True)
    found: int | None = leading.exclude(remote_id=None).values_list("remote_id", flat=True).first()
    return found
