"""Making the deals that are wanted, in Pipedrive: person, organization, deal and note, each once, whatever breaks in between."""

import time
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from crm.errors import BudgetSpent, Busy, TokenRefused
from crm.models import Creation, Deal, Link
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import creating
from crm.pipedrive.creating.creating import Made
from crm.pipedrive.deals import arriving, asking, mirroring, noting
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs import waking
from crm.pipedrive.syncing import syncing
from crm.pipedrive.syncing.syncing import Outcome
from leads.models import Lead
from zevix.errors import NotFound, Rejected, Unreachable

_PAUSE = 0.1  # seconds until somebody else may be done with it
_SKEW = timedelta(minutes=2)  # of their clock and ours
_FIRST, _LONGEST = timedelta(seconds=10), timedelta(hours=1)


def make_now(deal: Deal, *, seconds: float) -> bool:
    """Whether a deal is there within so many seconds; else it stays queued, and is tried again before long.

    Raises Rejected, and NotFound where nobody wants it any more.
    """
    deadline = time.monotonic() + seconds
    try:
        make(deal, account=_opened(deal, seconds), deadline=deadline)
    except (Unreachable, TokenRefused) as error:
        if isinstance(error, TokenRefused):
            accounts.note_trouble(deal.connection, error)
        put_off(deal, error)
        waking.wake(deal.connection_id)
        arriving.read_again(deal)
    return deal.status != Deal.Status.QUEUED


def make(deal: Deal, *, account: Account, deadline: float | None = None) -> None:
    """Have a queued deal made, and its note written; one that is there already is left alone.

    ``deadline`` is a `time.monotonic`. Raises Unreachable and TokenRefused (it stays queued), Rejected (it is refused, and says why),
    and NotFound where nobody wants it any more.
    """
    while True:
        arriving.read_again(deal)
        try:
            if deal.status == Deal.Status.QUEUED:
                _make(deal, account, deadline)
            break
        except Busy as error:
            is_held = error.details.get("reason") == "lease"
            if not is_held or deadline is None or time.monotonic() + _PAUSE > deadline:
                raise
            time.sleep(_PAUSE)
    if deal.note:
        noting.write_note(deal, account=account, deadline=deadline)


def make_queued(account: Account) -> int:
    """Make those of the account's deals that are due, oldest first; returns how many arrived. Raises Unreachable, TokenRefused.

    One that can't be made is put off, or refused, and keeps the reason; the next ones go on unless Pipedrive is out of reach for all.
    """
    arrived = 0
    for deal in list(Deal.objects.filter(connection=account.connection).due().order_by("pk")):
        was_queued = deal.status == Deal.Status.QUEUED
        try:
            make(deal, account=account)
        except (Rejected, NotFound) as error:
            if isinstance(error, TokenRefused):
                raise
            continue
        except Unreachable as error:
            put_off(deal, error)
            if not isinstance(error, Busy):
                raise
            continue
        arrived += was_queued
    return arrived


def _opened(deal: Deal, seconds: float) -> Account:
    """What is wrong with the account is no reason to refuse the deal."""
    try:
        return accounts.open(deal.connection, lane=Lane.INTERACTIVE, patience=seconds)
    except (Unreachable, TokenRefused):
        raise
    except Rejected as error:
        raise Unreachable(**error.details) from error


def put_off(deal: Deal, error: Exception) -> None:
    """Keep why a deal did not arrive, and when it is tried again. What is wrong with the whole account is told by the connection."""
    wait = min(_FIRST * 2 ** min(deal.attempts, 20), _LONGEST)
    at = error.details["until"] if isinstance(error, BudgetSpent) else timezone.now() + wait
    Deal.objects.filter(pk=deal.pk).to_be_done().update(
        problem=str(error), attempts=min(deal.attempts + 1, 1000), retry_at=at
    )


def _make(deal: Deal, account: Account, deadline: float | None) -> None:
    try:
        made = _made(deal, account, deadline)
    except TokenRefused:
        raise
    except Rejected as error:
        _refuse(deal, str(error))
        raise
    arriving.arrive(deal, made, account=account, deadline=deadline)


def _made(deal: Deal, account: Account, deadline: float | None) -> Made:
    """The deal there. Where it is refused, its person or organization may be gone: these are looked at, and it is asked for once more."""
    person_id = _person(deal, account, deadline)
    organization_id = asking.organization_of(person_id, account)
    try:
        return _ensured(deal, person_id, account, deadline)
    except TokenRefused:
        raise
    except Rejected:
        _sent(deal, account, deadline, must_read=True)
        found = _person(deal, account, deadline)
        if (found, asking.organization_of(found, account)) == (person_id, organization_id):
            raise
        return _ensured(deal, found, account, deadline)


def _ensured(deal: Deal, person_id: int, account: Account, deadline: float | None) -> Made:
    return creating.ensure(
        Creation.Kind.DEAL,
        str(deal.pk),
        account=account,
        find=lambda since: _find(deal, person_id, since, account),
        create=lambda: account.pipedrive.create_deal(asking.body(deal, person_id, account=account)),
        deadline=deadline,
    )


def _person(deal: Deal, account: Account, deadline: float | None) -> int:
    """The lead's person; leads with the same address share one, though it is in step with the first of them only."""
    outcome = _sent(deal, account, deadline)
    person_id = outcome.person_id or _shared_person(deal, account)
    if person_id is None:
        reason = outcome.problem or _("The lead is not there any more.")
        raise Rejected(vendor="Pipedrive", reason=reason, kind="person")
    return person_id


def _sent(deal: Deal, account: Account, deadline: float | None, *, must_read: bool = False) -> Outcome:
    """The lead in step. One whose person is found to be deleted gets another: somebody wants it to be there."""
    outcome = syncing.sync_lead(deal.lead_id, account=account, must_read=must_read, send=True, deadline=deadline)
    links = Link.objects.filter(connection=account.connection, lead=deal.lead_id, state=Link.State.DELETED)
    if links.exists():
        outcome = syncing.sync_lead(deal.lead_id, account=account, send=True, deadline=deadline)
    return outcome


def _shared_person(deal: Deal, account: Account) -> int | None:
    email = Lead.objects.filter(pk=deal.lead_id).exclude(email="").values_list("email", flat=True).first()
    return creating.known("person", creating.person_key(email, deal.lead_id), account=account) if email else None


def _find(deal: Deal, person_id: int, since: datetime | None, account: Account) -> int | None:
    """The deal that a request without an answer has made: same person, same title, and no other wish's."""
    if since is None:
        return None
    ours = Creation.objects.filter(connection=account.connection, kind=Creation.Kind.DEAL).exclude(remote_id=None)
    for one in account.pipedrive.listed("deal", person_id=person_id, updated_since=since - _SKEW):
        found = mirroring.mirrored(one)
        is_since = found["remote_created_at"] is None or found["remote_created_at"] >= since - _SKEW
        if found["title"] == deal.title and is_since and not ours.filter(remote_id=one["id"]).exists():
            return int(one["id"])
    return None


def _refuse(deal: Deal, reason: str) -> None:
    wanted = Deal.objects.filter(pk=deal.pk, status=Deal.Status.QUEUED)
    wanted.update(status=Deal.Status.REFUSED, problem=reason, retry_at=None)
