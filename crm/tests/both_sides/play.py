"""The play: a workspace connected with the stand-in, and everything that people, jobs and misfortune do to it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random
from threading import Thread
from typing import Any, TypeVar

from django.db import connections
from django.test import Client

from accounts.models import Membership
from accounts.tests.factories import make_member
from crm.models import Conflict, Connection, Link
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.events import sweeping
from crm.pipedrive.limits import Lane
from crm.pipedrive.mapping import LEAD_COLUMNS, MappedField, Remote
from crm.pipedrive.runs import draining
from crm.pipedrive.syncing import conflicts, syncing
from crm.tests.both_sides.aging import age
from crm.tests.both_sides.killing import in_a_process
from crm.tests.both_sides.steps import Step
from crm.tests.both_sides.twins import Twins
from crm.tests.both_sides.writes import Writes, is_nothing
from crm.tests.factories import make_connection
from crm.tests.pipedrive_server import PipedriveServer
from crm.tests.pipedrive_server.hooks import through
from crm.tests.pipedrive_server.refusals import Refused
from leads import deals, editing, history
from leads.errors import AlreadyUndone, SurvivorDeleted, SurvivorMerged
from leads.history import Author
from leads.merging import merging, unmerging
from leads.models import Lead, Merge
from zevix.errors import Refusal

Thing = TypeVar("Thing")
MAPPING = [
    {"lead": lead, "entity": entity, "field": field, "owner": owner}
    for lead, entity, field, owner in (
        ("name", "person", "name", "latest"),
        ("email", "person", "email", "latest"),
        ("phone", "person", "phone", "latest"),
        ("assigned_user_id", "person", "owner_id", "latest"),
        ("company", "organization", "name", "latest"),
        ("website", "organization", "website", "latest"),
        ("status", "deal", "stage_id", "latest"),
        ("extra.nickname", "person", "Nickname", "zevix"),
        ("extra.background", "person", "Background", "pipedrive"),
        ("extra.points", "person", "Lead score", "latest"),
        ("extra.way", "person", "Channel", "latest"),
    )
]
# a lead may have no name and be nobody's; a person has a name and an owner
NEVER_BLANK_THERE = ("name", "assigned_user_id")
EMAILS = ("ada@x.example", "Ada@X.example", "bob@x.example", "cy@y.example", "", "dee@y.example")
COMPANIES = ("Acme", "ACME", "Bolt & Co", "")
WAYS = ("Web", "Phone", "Trade fair")
STATUSES = ("NEW", "CONTACTED", "QUALIFIED", "PROPOSAL", "WON", "LOST")
FAULTS = (
    "late",
    "timeout_after", "timeout_before", "cut", "cut_before", "500", "500_after", "503", "504_after", "429", "429_bare", "403_html", "401",
    "402", "garbage",
)  # fmt: skip
REQUESTS = (
    "*",
    "POST *",
    "PATCH *",
    "GET *",
    "POST /api/v2/persons",
    "POST /api/v2/deals",
    "POST /api/v2/organizations",
)


class Play:
    def __init__(self, server: PipedriveServer) -> None:
        self.server = server
        self.people = server.people
        self.member: Membership = make_member()
        self.colleague = make_member(workspace=self.member.workspace)
        server.people.users.edit(1, email=self.member.user.email)
        server.people.users.edit(2, email=self.colleague.user.email)
        server.limits.burst = 30_000
        server.hang_for(0.02)
        server.watch(twins := Twins(server))
        self.twins = twins
        self.connection: Connection = make_connection(self.workspace, server, by=self.member.user, mapping=MAPPING)
        self.fields = self.account().mapping.fields
        self.writes = Writes()
        self.person = Author("human", self.member.user_id)
        self._said = 0

    def run(self, program: Sequence[Step]) -> None:
        for name, *numbers in program:
            # people try what can't be done, too: what refuses them is no trouble of the sync
            with suppress(Refused, AlreadyUndone, SurvivorDeleted, SurvivorMerged):
                getattr(self, f"_{name}")(*numbers)

    @property
    def workspace(self) -> Any:
        return self.member.workspace

    def account(self) -> Account:
        return accounts.open(Connection.objects.get(pk=self.connection.pk), lane=Lane.BACKGROUND)

    def leads(self) -> list[Lead]:
        return list(Lead.objects.for_workspace(self.workspace).order_by("pk"))

    def remote(self, person_id: int | None) -> Remote:
        return Remote(person=self.people.get(person_id or 0), organization=None, deal=None)

    # people here

    def _create(self, x: int, y: int, z: int) -> None:
        fields = {
            "name": self._new("Lead"), "email": EMAILS[x % 6], "company": COMPANIES[y % 4], "phone": self._phone() if z % 2 else "",
            "website": f"https://{self._new('w')}.example" if z % 3 == 0 else "", "status": STATUSES[z % 4], "notes": f"Note {x}",
        }  # fmt: skip
        by = self.person if z % 3 else Author("import")
        lead_id = editing.create(fields, workspace=self.workspace, by=by)
        self._wrote("lead", lead_id, {}, self._canonical(lead_id), by_person=by == self.person)

    def _edit(self, x: int, y: int, z: int) -> None:
        self._change(x, self._value_here(y, z), self.person)

    def _import_edit(self, x: int, y: int, z: int) -> None:
        self._change(x, self._value_here(y, z), Author("import"))

    def _clear(self, x: int, y: int, z: int) -> None:
        blanks: tuple[dict[str, Any], ...] = (
            {"phone": ""}, {"company": ""}, {"website": ""}, {"email": ""}, {"assigned_user_id": None}, {"extra": {"points": None}},
            {"extra": {"nickname": None}}, {"name": ""},
        )  # fmt: skip
        self._change(x, blanks[y % len(blanks)], self.person)

    def _value_here(self, y: int, z: int) -> dict[str, Any]:
        values: tuple[Callable[[], dict[str, Any]], ...] = (
            lambda: {"name": self._new("Name")},
            lambda: {"phone": self._phone()},
            lambda: {"extra": {"nickname": self._new("Nick")}},
            lambda: {"extra": {"background": self._new("Text") + "\nmore"}},
            lambda: {"extra": {"points": self._number() + 0.5}},
            lambda: {"extra": {"way": WAYS[z % 3]}},
            lambda: {"email": EMAILS[z % 6]},
            lambda: {"assigned_user_id": (self.member.user_id, self.colleague.user_id)[z % 2]},
            lambda: {"company": COMPANIES[z % 3]},
            lambda: {"website": f"https://{self._new('w')}.example"},
            lambda: {"status": STATUSES[z % 6]},
            lambda: {"name": f"  {self._new('Name')}  ".strip()},
        )
        return values[y]()

    def _change(self, x: int, changes: dict[str, Any], by: Author) -> None:
        lead = _one_of(self.leads(), x)
        if lead is None:
            return
        before = self._canonical(lead.pk)
        editing.update(lead.pk, changes, workspace=self.workspace, by=by)
        self._wrote("lead", lead.pk, before, self._canonical(lead.pk), by_person=by == self.person)

    def _delete(self, x: int, y: int, z: int) -> None:
        if lead := _one_of(self.leads(), x):
            editing.delete_one(lead.pk, workspace=self.workspace, by=self.person)

    def _restore(self, x: int, y: int, z: int) -> None:
        gone = list(history.in_bin(self.workspace.pk).order_by("pgh_obj_id").values_list("pgh_obj_id", flat=True))
        if gone:
            editing.restore_deleted([gone[x % len(gone)]], workspace=self.workspace, by=self.person)

    def _merge(self, x: int, y: int, z: int) -> None:
        survivor, loser = _one_of(self.leads(), x), _one_of(self.leads(), y)
        if survivor and loser and survivor != loser:
            merging.merge([merging.Wish(survivor.pk, (loser.pk,))], workspace=self.workspace, by=self.person)

    def _undo(self, x: int, y: int, z: int) -> None:
        merge = _one_of(list(Merge.objects.for_workspace(self.workspace).order_by("pk")), x)
        if merge:
            unmerging.undo(merge.pk, workspace=self.workspace, by=self.person)

    def _want_deal(self, x: int, y: int, z: int) -> None:
        if lead := _one_of(self.leads(), x):
            title = self._new("Deal")
            deals.want(lead.pk, title, Decimal(y * 10), "EUR", workspace=self.workspace, by=self.person)

    # people there

    def _person(self, x: int, y: int, z: int) -> None:
        organization = _one_of(self.people.organizations.all(), y) if z % 2 else None
        made = self.people.create(
            name=self._new("Person"), email=EMAILS[x % 6], org_id=organization and organization["id"]
        )
        self._wrote("person", made["id"], {}, self._canonical_there(made["id"]))

    def _edit_person(self, x: int, y: int, z: int) -> None:
        person = _one_of(self.people.all(), x)
        if person is None:
            return
        before = self._canonical_there(person["id"])
        self.people.edit(person["id"], **self._value_there(y, z))
        self._wrote("person", person["id"], before, self._canonical_there(person["id"]))

    def _value_there(self, y: int, z: int) -> dict[str, Any]:
        way = self.server.option("person", "Channel", WAYS[z % 3])
        values: tuple[Callable[[], dict[str, Any]], ...] = (
            lambda: {"name": self._new("Name")},
            lambda: {"phone": self._phone()},
            lambda: {"custom_fields": {"Nickname": self._new("Nick")}},
            lambda: {"custom_fields": {"Background": self._new("Text")}},
            lambda: {"custom_fields": {"Lead score": self._number()}},
            lambda: {"custom_fields": {"Channel": way}},
            lambda: {"email": EMAILS[z % 6]},
            lambda: {"owner_id": 1 + z % 2},
            lambda: {"phone": ""},
            lambda: {"custom_fields": {"Lead score": None}},
        )
        return values[y % len(values)]()

    def _delete_person(self, x: int, y: int, z: int) -> None:
        if person := _one_of(self.people.all(), x):
            self.people.delete(person["id"])

    def _restore_person(self, x: int, y: int, z: int) -> None:
        gone = [each for each in self.server.world.tables["person"].values() if each["is_deleted"]]
        if person := _one_of(gone, x):
            self.people.restore(person["id"])

    def _merge_persons(self, x: int, y: int, z: int) -> None:
        goes, stays = _one_of(self.people.all(), x), _one_of(self.people.all(), y)
        if goes and stays and goes != stays:
            given_up = self._canonical_there(goes["id"])
            self.people.merge(goes["id"], into=stays["id"])
            self.writes.forget("person", goes["id"])
            self.writes.forget("person", stays["id"])
            # whoever merges two has both before their eyes
            for field, value in self._canonical_there(stays["id"]).items():
                self.writes.note("person", stays["id"], field, value, given_up.get(field), counts=False)

    def _move_person(self, x: int, y: int, z: int) -> None:
        person, organization = _one_of(self.people.all(), x), _one_of(self.people.organizations.all(), y)
        if person and organization:
            self.people.edit(person["id"], org_id=organization["id"])

    def _organization(self, x: int, y: int, z: int) -> None:
        self.people.organizations.create(name=COMPANIES[x % 3])

    def _rename_organization(self, x: int, y: int, z: int) -> None:
        if organization := _one_of(self.people.organizations.all(), x):
            self.people.organizations.edit(organization["id"], name=self._new("Company"))

    def _merge_organizations(self, x: int, y: int, z: int) -> None:
        goes, stays = _one_of(self.people.organizations.all(), x), _one_of(self.people.organizations.all(), y)
        if goes and stays and goes != stays:
            self.people.organizations.merge(goes["id"], into=stays["id"])

    def _deal(self, x: int, y: int, z: int) -> None:
        if person := _one_of(self.people.all(), x):
            self.people.deals.create(title=self._new("Theirs"), person_id=person["id"], stage_id=1 + z % 5)

    def _move_deal(self, x: int, y: int, z: int) -> None:
        if deal := _one_of(self.people.deals.all(), x):
            self.people.deals.edit(deal["id"], stage_id=1 + z % 5)

    def _close_deal(self, x: int, y: int, z: int) -> None:
        if deal := _one_of(self.people.deals.all(), x):
            self.people.deals.edit(deal["id"], status=("won", "lost", "open")[z % 3])

    def _delete_deal(self, x: int, y: int, z: int) -> None:
        if deal := _one_of(self.people.deals.all(), x):
            self.people.deals.delete(deal["id"])

    # what goes between

    def _drain(self, x: int, y: int, z: int) -> None:
        self.drain(threads=3 if x == 0 else 1)

    def drain(self, *, threads: int = 1) -> bool:
        return draining.drain(Connection.objects.get(pk=self.connection.pk), seconds=20, threads=threads)

    def _deliver(self, x: int, y: int, z: int) -> None:
        self.deliver()

    def deliver(self, **how: Any) -> None:
        self.server.deliver(post=through(Client()), **how)

    def _lose(self, x: int, y: int, z: int) -> None:
        self.deliver(lose=lambda delivery: int(delivery.meta["entity_id"]) % 2 == x % 2)

    def _double(self, x: int, y: int, z: int) -> None:
        self.deliver(double=True)

    def _mix(self, x: int, y: int, z: int) -> None:
        self.deliver(shuffle=Random(x), double=lambda delivery: y % 2 == 0)

    def _sweep(self, x: int, y: int, z: int) -> None:
        self.sweep()

    def sweep(self) -> None:
        sweeping.sweep_or_note(Connection.objects.get(pk=self.connection.pk))

    def _time(self, x: int, y: int, z: int) -> None:
        self.time_passes((5, 70, 300, 3700)[x % 4])

    def time_passes(self, seconds: float) -> None:
        self.server.age(seconds)
        age(self.workspace, seconds)

    def _resolve(self, x: int, y: int, z: int) -> None:
        waiting = Conflict.objects.filter(connection=self.connection, resolved_at=None).order_by("pk")
        if conflict := _one_of(list(waiting), x):
            conflicts.resolve(conflict, ("zevix", "pipedrive")[y % 2], by=self.member.user)

    def _together(self, x: int, y: int, z: int) -> None:
        """Two workers and somebody who sends a lead, all at once, while Pipedrive takes its time."""
        self.deliver()
        self.server.slow(0.01)
        acts = [lambda: self.drain(threads=2), lambda: self.drain(threads=2), lambda: self._send(x, y, z)]
        threads = [Thread(target=_in_a_thread, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.server.slow(0)

    def _send(self, x: int, y: int, z: int) -> None:
        """Somebody sends a lead by hand."""
        if lead := _one_of(self.leads(), x):
            with suppress(Refusal):
                syncing.sync_lead(lead.pk, account=self.account(), send=True, must_read=y % 2 == 0)

    # what goes wrong

    def _fault(self, x: int, y: int, z: int) -> None:
        self.server.fail(how=FAULTS[(x * 12 + y) % len(FAULTS)], on=REQUESTS[y % len(REQUESTS)], skip=z % 4)

    def _kill(self, x: int, y: int, z: int) -> None:
        """A process works, and is killed when a request of its has been heard, unless it ends before."""
        self.server.fail(how="kill", on=("POST *", "PATCH *", "*", "GET *")[x % 4], skip=y % 5)
        act = self.sweep if z % 6 == 0 else self.drain
        in_a_process(act, self.server)
        self.server.heal("kill")

    def _lag(self, x: int, y: int, z: int) -> None:
        self.server.search_lags((0, 5, 100, 250)[x % 4])

    def _down(self, x: int, y: int, z: int) -> None:
        self.server.down()
        self.drain()
        self.server.up()

    # what was written

    def _canonical(self, lead_id: int) -> dict[str, Any]:
        lead = Lead.objects.filter(pk=lead_id).values(*LEAD_COLUMNS).first()
        return {} if lead is None else {field.name: field.ours(lead) for field in self.own_fields()}

    def _canonical_there(self, person_id: int) -> dict[str, Any]:
        remote = self.remote(person_id)
        return {} if remote.person is None else {field.name: field.theirs(remote) for field in self.own_fields()}

    def own_fields(self) -> list[MappedField]:
        """A person's own: a company is shared by many, and a status is a deal's."""
        return [field for field in self.fields if field.entity == "person" and field.name != "company"]

    def _wrote(
        self, side: str, id: int, before: dict[str, Any], after: dict[str, Any], *, by_person: bool = True
    ) -> None:
        for field, value in after.items():
            if before.get(field) != value:
                counts = by_person and (not is_nothing(value) or self._was_in_step(side, id, field, before.get(field)))
                self.writes.note(side, id, field, value, before.get(field), counts=counts)

    def _was_in_step(self, side: str, id: int, field: str, before: Any) -> bool:
        which = {"lead": id} if side == "lead" else {"person_id": id}
        links = Link.objects.filter(connection=self.connection, state=Link.State.ACTIVE, **which)
        link = links.exclude(person_id=None).first()
        return link is not None and field not in NEVER_BLANK_THERE and link.snapshot.get(field) == [before, before]

    def _new(self, word: str) -> str:
        return f"{word} {self._number()}"

    def _phone(self) -> str:
        return f"+49 30 {9_010_000 + self._number()}"

    def _number(self) -> int:
        self._said += 1
        return self._said


def _one_of(things: Sequence[Thing], x: int) -> Thing | None:
    return things[x % len(things)] if things else None


def _in_a_thread(act: Callable[[], object]) -> None:
    try:
        act()
    finally:
        connections.close_all()
