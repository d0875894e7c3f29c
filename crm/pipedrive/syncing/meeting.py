"""Finding or making the person that a lead is, and linking the two."""

from contextlib import suppress
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from crm.errors import TokenRefused
from crm.models import Link
from crm.pipedrive.creating import creating
from crm.pipedrive.creating.creating import Found
from crm.pipedrive.mapping import UNKNOWN, MappedField, Remote, merged, person_name
from crm.pipedrive.syncing.cases import Case, Change, Row
from crm.pipedrive.syncing.comparing import Move
from crm.pipedrive.syncing.pushing import COMPANY
from leads.models import Lead, MergedLead
from zevix.errors import Refusal, Rejected, Unanswered

_LEAST = ("name", "emails", "org_id")  # of a person that is refused with all it has


def meet(case: Case) -> bool:
    """Link the lead with its person, found or made; False where that can't be, and the outcome tells why.

    Raises Busy, Unreachable, TokenRefused.
    """
    case.outcome.problem = _is_known_to_be_shared(case)
    if case.outcome.problem:
        return False
    try:
        found = _person(case)
    except TokenRefused:
        raise
    except Rejected as error:
        case.outcome.problem = str(error)
        return False
    if not _attach(case, found.id):
        return False
    case.outcome.person_id, case.outcome.created = found.id, found.is_new
    case.read_at = None
    case.take(found.body)
    case.is_fresh = True
    if found.is_new:
        _agree_on_all(case)
        case.keep()
    return True


def _is_known_to_be_shared(case: Case) -> str:
    """A sentence where another lead with this address is the person. Nothing is asked for then, and no organization made."""
    key = creating.person_key(case.lead["email"], case.link.lead_id)
    known = creating.known("person", key, account=case.account)
    holder = _holder(case, known) if known else None
    if holder is None:
        return ""
    leads = Lead.objects.for_workspace(holder.workspace_id).filter(pk=holder.lead_id)
    return shared_sentence(holder.lead_id) if leads.with_email(key).exists() else ""


def _person(case: Case) -> Found:
    key = creating.person_key(case.lead["email"], case.link.lead_id)
    if case.link.sent_as and case.link.sent_as != key and (found := _made_before(case)):
        return found
    case.keep(sent_as=key)
    body = _body(case)
    asked = False

    def before() -> None:
        nonlocal asked
        asked = True
        _note_what_is_sent(case)

    try:
        return creating.person(
            key,
            body,
            account=case.account,
            directory=case.directory,
            is_it=lambda person: _is_made_of(case, person),
            deadline=case.deadline,
            least={name: body[name] for name in _LEAST if name in body},
            before=before,
        )
    except Unanswered:
        raise
    except Refusal:
        if asked:  # nothing was made of it
            case.link.snapshot = {}
            case.keep()
        raise


def _note_what_is_sent(case: Case) -> None:
    """So that it is known, should we never hear of it: what differs from it later was changed later."""
    for field in _fields_of_person(case):
        ours = field.ours(case.lead)
        if ours != UNKNOWN and not field.is_empty(ours):
            case.agree(field.name, ours, ours)
    case.keep()


def _made_before(case: Case) -> Found | None:
    """The person that was made, or asked for, when the lead had another address."""
    key = case.link.sent_as
    person_id = creating.settle(
        "person",
        key,
        account=case.account,
        find=creating.person_find(key, case.account, lambda one: _is_made_of(case, one)),
    )
    body = case.account.pipedrive.person(person_id) if person_id else None
    if body is None or _holder(case, body["id"]) is not None:
        return None
    return Found(body, is_new=False)


def _body(case: Case) -> dict[str, Any]:
    """All of the person's fields that the lead fills; what Pipedrive can't hold is told, and left out."""
    lead = {**case.lead, "organization_id": _organization(case)}
    parts: list[dict[str, Any]] = [{"name": person_name(case.lead)}]
    for field in _fields_of_person(case):
        canonical = field.ours(case.lead)
        if field.is_empty(canonical) or canonical == UNKNOWN:
            continue
        try:
            parts.append(field.for_theirs(lead, Remote(), canonical))
        except ValueError as error:
            case.refuse(field, str(error))
    return merged(parts)


def _organization(case: Case) -> int | None:
    company = next((field for field in _fields_of_person(case) if field.name == COMPANY), None)
    name = str(company.here.read(case.lead) or "").strip() if company else ""
    if not name:
        return None
    found = creating.organization(
        name, account=case.account, directory=case.directory, deadline=case.deadline, more=_of_organization(case)
    )
    case.replace(organization=found.body)
    case.is_fresh = found.is_new  # then it need not be read again
    return found.id


def _of_organization(case: Case) -> dict[str, Any]:
    """All that the lead tells of its organization; what Pipedrive can't hold is told when the two are compared."""
    parts = []
    for field in case.account.mapping.fields:
        canonical = field.ours(case.lead)
        if field.entity == "organization" and canonical != UNKNOWN and not field.is_empty(canonical):
            with suppress(ValueError):
                parts.append(field.for_theirs(case.lead, Remote(), canonical))
    return merged(parts)


def _fields_of_person(case: Case) -> list[MappedField]:
    return [field for field in case.account.mapping.fields if field.entity == "person"]


def _is_made_of(case: Case, person: Row) -> bool:
    """Whether a person has all that the lead has for one."""
    remote = Remote(person=person)
    if person.get("name") != person_name(case.lead):
        return False
    for field in _fields_of_person(case):
        ours = field.ours(case.lead)
        if field.name != COMPANY and not field.is_empty(ours) and ours not in (UNKNOWN, field.theirs(remote)):
            return False
    return True


def _agree_on_all(case: Case) -> None:
    """What a new person is made of both sides agree on, and on what Pipedrive filled in by itself."""
    for field in _fields_of_person(case):
        ours, theirs = field.ours(case.lead), field.theirs(case.remote)
        if ours in (theirs, UNKNOWN) or field.is_empty(ours):
            case.agree(field.name, ours, theirs)
        else:
            case.link.snapshot.pop(field.name, None)


# Only looked at -----------------------------------------------------------------------------------------------------------


def person_there(case: Case) -> int | None:
    """The person that the lead would be linked with; None where one would be made."""
    key = creating.person_key(case.lead["email"], case.link.lead_id)
    known = creating.known("person", key, account=case.account)
    if known is not None or key.startswith(creating.NAMELESS):
        return known
    return min(case.directory.person_ids(key), default=None)


def shared(case: Case, person_id: int) -> str:
    """A sentence where the person is another lead's."""
    holder = _holder(case, person_id)
    is_taken = holder is not None and Lead.objects.filter(pk=holder.lead_id).exists()
    return shared_sentence(holder.lead_id) if holder and is_taken else ""


def would_be_told(case: Case) -> list[Change]:
    """What a new person, and its organization, would be made of."""
    told = []
    for field in case.account.mapping.fields:
        ours = field.ours(case.lead)
        if field.entity != "deal" and ours != UNKNOWN and not field.is_empty(ours):
            told.append(Change(field.name, Move.PUSH, ours, None))
    return told


# Linking ------------------------------------------------------------------------------------------------------------------


def _attach(case: Case, person_id: int) -> bool:
    """Write down whose person it is; a lead that is no more gives way. False where it is another lead's."""
    before = case.link.snapshot
    try:
        with transaction.atomic():
            _have_give_way(case, person_id)
            case.keep(person_id=person_id)
    except IntegrityError:
        case.link.snapshot = before
        holder = _holder(case, person_id)
        case.outcome.problem = shared_sentence(holder.lead_id if holder else 0)
        return False
    return True


def shared_sentence(lead_id: int) -> str:
    return _(
        "Lead {lead} is this person in Pipedrive already. Merge the two leads, or give one another address."
    ).format(lead=lead_id)


def _holder(case: Case, person_id: int) -> Link | None:
    """Another link that has the person."""
    links = Link.objects.filter(connection=case.account.connection, person_id=person_id)
    found: Link | None = links.exclude(pk=case.link.pk).first()
    return found


def _have_give_way(case: Case, person_id: int) -> None:
    holder = _holder(case, person_id)
    if holder is None or Lead.objects.filter(pk=holder.lead_id).exists():
        return
    if _was_merged(holder.lead_id, case.link.lead_id):
        case.link.snapshot = holder.snapshot  # what its lead agreed on was merged into this one
    Link.objects.filter(pk=holder.pk, person_id=person_id).update(person_id=None, snapshot={}, sent_as="")


def _was_merged(lead_id: int, survivor_id: int) -> bool:
    merged_leads = MergedLead.objects.filter(lead=lead_id, merge__survivor=survivor_id, merge__undone_at=None)
    return merged_leads.exists()
