"""What must be true when the dust has settled."""

from collections import Counter
from typing import Any

from crm.models import ChangedLead, Conflict, Connection, Deal, InboxEvent, Link
from crm.pipedrive.mapping import LEAD_COLUMNS, UNKNOWN, MappedField, Remote
from crm.pipedrive.runs import running
from crm.pipedrive.syncing import conflicts
from crm.tests.both_sides.play import NEVER_BLANK_THERE, Play
from leads.models import Lead, Merge

_ROUNDS = 12


def settle(play: Play, choice: str) -> None:
    """Trouble ends, time passes, what waits is worked off, and open conflicts are resolved alike, until nothing is left to be done.

    Somebody presses the button of a whole run besides: a lead that could not be linked is tried again by that, or when it changes.
    """
    play.server.heal()
    play.server.search_lags(0)
    for number in range(_ROUNDS):
        play.time_passes(4000)
        play.deliver()
        _work(play)
        if number == 0:
            running.go_on(running.start(play.workspace, by=play.member.user))
        for conflict in Conflict.objects.filter(connection=play.connection, resolved_at=None):
            conflicts.resolve(conflict, choice, by=play.member.user)
        _work(play)
        if not (left := waiting(play)):
            return
    raise AssertionError(f"It never comes to rest: {left}")


def _work(play: Play) -> None:
    play.sweep()
    for _round in range(_ROUNDS):
        if not play.drain():
            return


def waiting(play: Play) -> list[str]:
    """What is still to be done, in words. What leads in the bin wait for, they wait for until they come back."""
    there = {"lead__in": Lead.objects.for_workspace(play.workspace)}
    connection = Connection.objects.get(pk=play.connection.pk)
    mine = {"connection": connection}
    found = [f"the connection: {connection.state} {connection.problem}"] if connection.problem else []
    found += [f"lead {row.lead_id}: {row.problem}" for row in ChangedLead.objects.for_workspace(play.workspace)]
    found += [f"event {row}: {row.problem}" for row in InboxEvent.objects.filter(**mine, outcome="waiting")]
    found += [f"deal {row}: {row.problem}" for row in Deal.objects.filter(**mine, **there, status=Deal.Status.QUEUED)]
    found += [f"conflict {row}" for row in Conflict.objects.filter(**mine, **there, resolved_at=None)]
    found += [f"link {row}: {row.problem}" for row in Link.objects.filter(**mine).exclude(retry_at=None)]
    return found


def judge(play: Play) -> None:
    """Raises AssertionError with all that is wrong."""
    wrong = [
        *play.twins.found,
        *_disagreements(play),
        *_unlinked(play),
        *_lost(play),
        *_unnoticed(play),
        *_needless(play),
    ]
    assert not wrong, "\n".join(wrong)


def judge_rest(play: Play) -> None:
    """Another look at everything changes nothing on either side."""
    asked, versions = len(play.server.log), {lead["id"]: lead["version"] for lead in _rows(play)}
    Link.objects.filter(connection=play.connection, state=Link.State.ACTIVE).update(
        retry_at=play.connection.connected_at
    )
    play.deliver()
    _work(play)
    written = [each for each in play.server.log[asked:] if each.method != "GET"]
    assert written == [], f"It goes on writing there: {written}"
    again = [
        f"{lead} (was version {versions.get(lead['id'])})"
        for lead in _rows(play)
        if lead["version"] != versions.get(lead["id"])
    ]
    assert again == [], f"It goes on writing here: {again}"


def _rows(play: Play) -> list[dict[str, Any]]:
    return list(Lead.objects.for_workspace(play.workspace).values("version", *LEAD_COLUMNS))


# Both sides agree -----------------------------------------------------------------------------------------------------------


def pairs(play: Play) -> list[tuple[Link, dict[str, Any], Remote]]:
    """Each lead that is linked, with what it is in step with."""
    leads = {lead["id"]: lead for lead in Lead.objects.for_workspace(play.workspace).values(*LEAD_COLUMNS)}
    links = Link.objects.filter(connection=play.connection, state=Link.State.ACTIVE, person_id__isnull=False)
    found = []
    for link in links.order_by("lead_id"):
        person = play.people.get(link.person_id or 0)
        if link.lead_id in leads and person is not None:
            found.append((link, leads[link.lead_id], _remote(play, link.lead_id, person)))
    return found


def _remote(play: Play, lead_id: int, person: dict[str, Any]) -> Remote:
    mirrored = Deal.objects.filter(connection=play.connection, lead=lead_id, is_leading=True).first()
    organization = play.people.organizations.get(person["org_id"] or 0)
    return Remote(
        person=person,
        organization=organization,
        deal=play.people.deals.get(mirrored.remote_id or 0) if mirrored else None,
    )


def _disagreements(play: Play) -> list[str]:
    return [
        f"lead {link.lead_id} and person {link.person_id}: {field.name} is {ours!r} and {theirs!r} ({link.problem})"
        for link, lead, remote in pairs(play)
        for field in play.fields
        if field.applies(remote)
        and not _agree(field, ours := field.ours(lead), theirs := field.theirs(remote))
        and not _is_another_deal(field, ours, link.snapshot.get(field.name) == [ours, theirs])
    ]


def _is_another_deal(field: MappedField, ours: Any, is_agreed: bool) -> bool:
    """A lead that is won or lost stays so when somebody here wants one more deal with it, until that is moved."""
    return field.name == "status" and ours in ("WON", "LOST") and is_agreed


def _agree(field: MappedField, ours: Any, theirs: Any) -> bool:
    both_empty = field.is_empty(ours) and field.is_empty(theirs)
    is_blank_here_alone = field.name in NEVER_BLANK_THERE and field.is_empty(ours)
    return bool(ours == theirs) or both_empty or is_blank_here_alone or UNKNOWN in (ours, theirs)


# Nobody is left out -------------------------------------------------------------------------------------------------------


def _unlinked(play: Play) -> list[str]:
    """Leads that are not there, and about which nothing is said."""
    links = {link.lead_id: link for link in Link.objects.filter(connection=play.connection)}
    return [
        f"lead {lead.pk} is not in Pipedrive, and nothing is said about it"
        for lead in play.leads()
        if (link := links.get(lead.pk)) is None
        or (link.person_id is None and not link.problem)
        or (link.state == Link.State.ACTIVE and link.person_id and not play.people.get(link.person_id))
    ]


def _unnoticed(play: Play) -> list[str]:
    """Persons that are no lead's, though no other has their address."""
    linked = set(Link.objects.filter(connection=play.connection).values_list("person_id", flat=True))
    persons = play.people.all()
    addresses = Counter(each["value"].lower() for person in persons for each in person["emails"])
    ours = {lead.email.lower() for lead in play.leads()}
    return [
        f"person {person['id']} became no lead"
        for person in persons
        if person["id"] not in linked
        and not any(addresses[each["value"].lower()] > 1 or each["value"].lower() in ours for each in person["emails"])
        and not Link.objects.filter(connection=play.connection, person_id=person["id"]).exists()
    ]


# Nothing is lost ----------------------------------------------------------------------------------------------------------


def _lost(play: Play) -> list[str]:
    merged = set(Merge.objects.for_workspace(play.workspace).values_list("survivor_id", flat=True))
    return [
        f"lead {link.lead_id}, person {link.person_id}: {write.value!r} of {field.name} is lost; both have {value!r}"
        for link, lead, remote in pairs(play)
        if link.lead_id not in merged
        for field in play.fields
        if (value := field.theirs(remote)) != UNKNOWN and field.applies(remote)
        for write in play.writes.lost(
            link.lead_id, link.person_id or 0, field.name, value=value, listed=_listed(link, field)
        )
    ]


def _listed(link: Link, field: MappedField) -> list[Any]:
    rows = Conflict.objects.filter(connection=link.connection_id, lead=link.lead_id, field=field.name)
    return [value for pair in rows.values_list("ours", "theirs") for value in pair]


def _needless(play: Play) -> list[str]:
    """Conflicts about what nobody but the sync has written."""
    own = {field.name for field in play.own_fields()}
    persons = dict(Link.objects.filter(connection=play.connection).values_list("lead_id", "person_id"))
    return [
        f"conflict about {row.field} of lead {row.lead_id}: nobody has written {value!r} on the side of the {side}"
        for row in Conflict.objects.filter(connection=play.connection, field__in=own, by_rule=False)
        for side, value, other in (
            ("lead", row.ours, persons.get(row.lead_id)),
            ("person", row.theirs, row.lead_id),
        )
        if not play.writes.was_written(side, row.field, value, but_for=other or 0)
    ]
