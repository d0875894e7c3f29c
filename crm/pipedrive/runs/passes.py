"""A pass over many leads, from where it was broken off: who is linked is read a hundred at a time, everybody is brought into step."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.errors import BudgetSpent, Busy, TokenRefused
from crm.models import Connection, Deal, Link, SyncRun
from crm.pipedrive.accounts import Account
from crm.pipedrive.client.pipedrive import Entity
from crm.pipedrive.creating.directories import Directory
from crm.pipedrive.mapping import Remote
from crm.pipedrive.runs.crew import share
from crm.pipedrive.syncing import syncing
from crm.pipedrive.syncing.syncing import Outcome
from leads.models import Lead
from zevix.errors import Refusal, Unreachable

log = structlog.get_logger("crm")

_CHUNK = 100  # as many ids a list takes
_TOLD = 200  # problems that a run keeps with their sentences
_TRIES, _IN_A_ROW = 5, 5
_BUSY_FOR = 100.0  # seconds after which nobody can still be at it whose process was killed
_SAVED = 1.0  # seconds between two looks at where we are


@dataclass
class _Asked:
    """A lead whose turn it is, and what was read of it already."""

    lead_id: int
    known: Remote | None = None
    tries: int = 0
    not_before: float = 0.0


def leads_of(run: SyncRun) -> Any:
    """The leads that a run is about."""
    leads = Lead.objects.for_workspace(run.workspace_id)
    if run.lead_ids is not None:
        return leads.filter(pk__in=run.lead_ids)
    if run.connection.scope == Connection.Scope.LINKED:
        return leads.filter(Exists(Link.objects.filter(connection=run.connection_id, lead_id=OuterRef("pk"))))
    return leads


class Pass:
    """Some of a run's leads, as many as there is time for. ``each`` hears what became of a lead, also where it failed.

    Counts and cursor are saved with the run once a second; who is killed repeats the last second, which changes nothing any more.
    """

    def __init__(
        self,
        run: SyncRun,
        account: Account,
        *,
        seconds: float,
        directory: Directory | None = None,
        leave_off: Callable[[], bool] = lambda: False,
        each: Callable[[int, Outcome], None] = lambda lead_id, outcome: None,
    ) -> None:
        self._run = run
        self._account = account
        self._directory = directory
        self._until = time.monotonic() + seconds
        self._leave_off = leave_off
        self._each = each
        self._lock = threading.Lock()
        self._handed_out = run.cursor
        self._open: set[int] = set()
        self._later: deque[_Asked] = deque()
        self._unanswered = 0
        self._saved_at = time.monotonic()
        self.is_broken_off = False

    def do(self, threads: int) -> bool:
        """Returns whether none is left. Raises BudgetSpent, TokenRefused and Unreachable, which all others would meet as well."""
        self._begin()
        try:
            share(self._asked(), self._do_one, threads=threads)
            while self._later and not self._is_over():
                self._later, again = deque(), self._later
                share(self._patiently(again), self._do_one, threads=threads)
        finally:
            self._save()
        return not self.is_broken_off and not self._open

    def _begin(self) -> None:
        leads = leads_of(self._run)
        self._run.total_count, self._run.done_count = leads.count(), leads.filter(pk__lte=self._run.cursor).count()
        self._save()

    def _is_over(self) -> bool:
        if time.monotonic() > self._until or self._leave_off():
            self.is_broken_off = True
        return self.is_broken_off

    # Whose turn it is -------------------------------------------------------------------------------------------------------

    def _asked(self) -> Iterator[_Asked]:
        leads = leads_of(self._run)
        while ids := list(
            leads.filter(pk__gt=self._handed_out).order_by("workspace_id", "pk").values_list("pk", flat=True)[:_CHUNK]
        ):
            known = known_of(ids, self._account)
            for lead_id in ids:
                if self._is_over():
                    return
                with self._lock:
                    self._open.add(lead_id)
                    self._handed_out = lead_id
                yield _Asked(lead_id, known.get(lead_id))

    def _patiently(self, again: deque[_Asked]) -> Iterator[_Asked]:
        while again:
            asked = again.popleft()
            while asked.not_before > time.monotonic() and not self._is_over():
                time.sleep(0.1)
            if self._is_over():
                return
            yield asked

    # What becomes of it -----------------------------------------------------------------------------------------------------

    def _do_one(self, asked: _Asked) -> None:
        try:
            outcome: Outcome | None = self._sync(asked)
            self._unanswered = 0
        except (BudgetSpent, TokenRefused):
            raise
        except Unreachable as error:
            outcome = self._try_again(asked, error)
        except Exception as error:
            outcome = Outcome(problem=_sentence(error, asked.lead_id))
        if outcome is not None:
            self._count(asked.lead_id, outcome)

    def _sync(self, asked: _Asked) -> Outcome:
        return syncing.sync_lead(
            asked.lead_id,
            account=self._account,
            directory=self._directory,
            known=asked.known,
            must_read=True,
            send=self._run.lead_ids is not None,
            dry_run=self._run.kind == SyncRun.Kind.PLAN,
        )

    def _try_again(self, asked: _Asked, error: Unreachable) -> Outcome | None:
        is_busy = isinstance(error, Busy)
        with self._lock:
            asked.tries += 1
            self._unanswered += not is_busy
            if self._unanswered >= _IN_A_ROW:
                raise error
            if asked.tries >= (_BUSY_FOR / settings.PIPEDRIVE_RUN_PAUSE if is_busy else _TRIES):
                return Outcome(problem=str(error))
            # what was read of it may have changed by then
            asked.known, asked.not_before = None, time.monotonic() + settings.PIPEDRIVE_RUN_PAUSE
            self._later.append(asked)
        return None

    def _count(self, lead_id: int, outcome: Outcome) -> None:
        run = self._run
        with self._lock:
            self._open.discard(lead_id)
            run.done_count += 1
            run.created_count += outcome.created
            run.pushed_count += bool(outcome.pushed) and not outcome.created
            run.pulled_count += bool(outcome.pulled)
            run.conflict_count += len(outcome.conflicts)
            run.failed_count += bool(outcome.problem)
            if outcome.problem and len(_problems(run)) < _TOLD:
                _problems(run).append({"lead_id": lead_id, "message": outcome.problem})
            self._each(lead_id, outcome)
            is_time = time.monotonic() - self._saved_at > _SAVED
        if is_time:
            self._save()

    def _save(self) -> None:
        run = self._run
        with self._lock:
            self._saved_at = time.monotonic()
            run.cursor = min(self._open, default=self._handed_out + 1) - 1
            run.total_count = max(
                run.total_count, run.done_count
            )  # leads that are new since it began are dealt with, too
            run.beat_at = timezone.now()
            run.save(
                update_fields=[
                    "cursor", "total_count", "done_count", "created_count", "pushed_count", "pulled_count", "conflict_count",
                    "failed_count", "result", "beat_at",
                ]
            )  # fmt: skip


def known_of(lead_ids: Sequence[int], account: Account) -> dict[int, Remote]:
    """What the linked ones of these leads (a hundred at most) are in Pipedrive, by three lists at most."""
    links = Link.objects.filter(connection=account.connection, lead_id__in=lead_ids, state=Link.State.ACTIVE)
    person_of = dict(links.filter(person_id__isnull=False).values_list("lead_id", "person_id"))
    persons = _listed("person", set(person_of.values()), account)
    organizations = _listed("organization", {person.get("org_id") for person in persons.values()} - {None}, account)
    deal_of = dict(
        Deal.objects.filter(connection=account.connection, lead_id__in=person_of, is_leading=True)
        .exclude(remote_id=None)
        .values_list("lead_id", "remote_id")
    )
    deals = _listed("deal", set(deal_of.values()), account)
    return {
        lead_id: Remote(
            person=persons[person_id],
            organization=organizations.get(persons[person_id].get("org_id")),
            deal=deals.get(deal_of.get(lead_id)),
        )
        for lead_id, person_id in person_of.items()
        # one that is not listed is read by itself: it may have been deleted, or merged
        if person_id in persons
        and (persons[person_id].get("org_id") in {None, *organizations})
        and (deal_of.get(lead_id) in {None, *deals})
    }


def _listed(entity: Entity, ids: set[Any], account: Account) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), _CHUNK):
        found |= {one["id"]: one for one in account.pipedrive.listed(entity, ids=wanted[start : start + _CHUNK])}
    return found


def _problems(run: SyncRun) -> list[dict[str, Any]]:
    problems: list[dict[str, Any]] = run.result.setdefault("problems", [])
    return problems


def _sentence(error: Exception, lead_id: int) -> str:
    """For people; a bug goes to the log as well."""
    if isinstance(error, Refusal):
        return str(error)
    log.error("sync_broke", lead_id=lead_id, exc_info=error)
    return _("Something went wrong on our side. It has been noted.")
