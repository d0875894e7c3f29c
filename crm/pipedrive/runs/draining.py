"""Works off what waits for a connection: leads that were changed here, events from there, deals that are still to be made.

Nothing is taken out before it is done: whoever is killed in its midst leaves the rest to the next one.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.errors import BudgetSpent, Busy, TokenRefused
from crm.models import ChangedLead, Connection, Deal, InboxEvent, Link, TokenMeter
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating.directories import Directory, Listed
from crm.pipedrive.deals import making
from crm.pipedrive.events import working_off
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs.crew import share
from crm.pipedrive.syncing import syncing
from zevix.errors import Refusal, Unreachable

log = structlog.get_logger("crm")

_CHUNK = 50  # rows that are read at a time; between them, what has come meanwhile gets its turn
_IN_A_ROW = 5  # without an answer: then it is not the fault of one
_REST, _LONG_REST = timedelta(seconds=30), timedelta(minutes=15)
_SOON, _FIRST_WAIT, _LONGEST_WAIT = 3.0, 5.0, 3600.0  # seconds
_MANY, _LONG = 200, 600.0  # leads that were never sent; seconds, since everything there had to be listed for them
_LATENCY = 0.25  # seconds that a request takes, roughly; so many threads keep the allowed rate up

_DEALS = "deals"


class _NobodyAnswers(Exception):
    def __init__(self, error: Unreachable) -> None:
        super().__init__(str(error))


def due_connections() -> list[int]:
    """The connections for which something waits that may be worked off now."""
    return list(_due(Connection.objects.all()).values_list("pk", flat=True))


def drain(
    connection: Connection,
    *,
    seconds: float = 50.0,
    threads: int | None = None,
    leave_off: Callable[[], bool] = lambda: False,
) -> bool:
    """Work off what is due, for so many seconds at most; returns whether something that is due is left.

    Trouble of one thing puts it off, and is noted with it; trouble of the account (no tokens, a refused token, no answer to anybody)
    ends the drain, and the connection rests. Safe to be killed at any moment, and to run twice. With many leads that were never sent,
    as after an import, it takes longer: everybody there is listed once instead of searched for.
    """
    mine = Connection.objects.filter(pk=connection.pk)
    if not _due(mine).exists():
        return False
    try:
        account = accounts.open(connection, lane=Lane.BACKGROUND)
        directory = Listed(account) if _has_many_unlinked(connection) else None
        until = time.monotonic() + (max(seconds, _LONG) if directory else seconds)
        _Drain(account, directory, until, leave_off).do(threads or threads_for(connection, at_most=8))
        accounts.note_fine(connection)
    except BudgetSpent as spent:
        rest(connection, spent.details["until"], str(spent))
    except TokenRefused as refused:
        accounts.note_trouble(connection, refused)
    except (_NobodyAnswers, Unreachable) as error:
        rest(connection, timezone.now() + _REST, str(error))
    except Refusal as refusal:  # the account can't be opened
        rest(connection, timezone.now() + _LONG_REST, str(refusal))
    return _due(mine).exists()


def rest(connection: Connection, until: datetime, why: str) -> None:
    """Nothing is asked in the background until then."""
    Connection.objects.filter(pk=connection.pk, state=Connection.State.ACTIVE).update(
        retry_at=until, problem=why, problem_at=timezone.now()
    )


def threads_for(connection: Connection, *, at_most: int) -> int:
    """As many as it takes to ask as fast as the account allows, while each request takes its time."""
    burst = TokenMeter.objects.filter(connection=connection).values_list("burst_limit", flat=True).first() or 20
    return min(at_most, 2 + int(burst / 2 * _LATENCY))


class _Drain:
    def __init__(
        self, account: Account, directory: Directory | None, until: float, leave_off: Callable[[], bool]
    ) -> None:
        self._account = account
        self._directory = directory
        self._until = until
        self._leave_off = leave_off
        self._unanswered = 0
        self._deals_may_be_made = True

    def do(self, threads: int) -> None:
        connection = self._account.connection
        if connection.scope == Connection.Scope.LINKED:
            _forget_unlinked(connection)
        share(self._things(), self._do_one, threads=threads)

    def _things(self) -> Iterator[Any]:
        """What is due, some of each kind in turns, each thing once."""
        connection, now = self._account.connection, timezone.now()
        last: dict[type[Model], int] = {}
        while chunk := [*self._deals(), *_next_rows(connection, now, last)]:
            for thing in chunk:
                if time.monotonic() > self._until or self._leave_off():
                    return
                yield thing

    def _deals(self) -> list[str]:
        if not self._deals_may_be_made or not _due_deals().filter(connection=self._account.connection).exists():
            return []
        self._deals_may_be_made = False  # until this was done, and went well
        return [_DEALS]

    def _do_one(self, thing: Any) -> None:
        try:
            self._act_on(thing)
            self._unanswered = 0
        except (BudgetSpent, TokenRefused):
            raise
        except Busy as busy:
            _put_off(thing, str(busy), _SOON, counts=False)
        except Unreachable as error:
            _put_off(thing, str(error), _FIRST_WAIT)
            self._unanswered += 1
            if self._unanswered >= _IN_A_ROW:
                raise _NobodyAnswers(error) from error
        except Exception as error:
            _put_off(thing, _sentence(error, thing), _FIRST_WAIT)

    def _act_on(self, thing: Any) -> None:
        match thing:
            case InboxEvent():
                self._account = working_off.work_off(thing, account=self._account)
            case ChangedLead():
                syncing.sync_lead(thing.lead_id, account=self._account, directory=self._directory)
                syncing.settled(thing.lead_id, thing.changed_at)
            case Link():
                syncing.sync_lead(thing.lead_id, account=self._account, must_read=True)
                Link.objects.filter(pk=thing.pk, retry_at=thing.retry_at).update(retry_at=None, attempts=0)
            case _:
                making.make_queued(self._account)
                self._deals_may_be_made = True


def _next_rows(connection: Connection, now: datetime, last: dict[type[Model], int]) -> list[Any]:
    """The next due rows of each kind, after the ``last`` ones, which are noted."""
    found: list[Any] = []
    for model, rows, key in (
        (InboxEvent, _due_events(now).filter(connection=connection), "pk"),
        (Link, _due_links(now).filter(connection=connection), "pk"),
        (ChangedLead, _due_leads(now).for_workspace(connection.workspace_id), "lead_id"),
    ):
        chunk = list(rows.filter(**{f"{key}__gt": last.get(model, 0)}).order_by(key)[:_CHUNK])
        if chunk:
            last[model] = getattr(chunk[-1], key)
        found += chunk
    return found


# What is due ------------------------------------------------------------------------------------------------------------


def _due(connections: QuerySet[Connection]) -> QuerySet[Connection]:
    """Those that may be worked for, and have something to be worked off."""
    now, state = timezone.now(), Connection.State
    mine = {"connection": OuterRef("pk")}
    return connections.filter(
        Q(state=state.ACTIVE, retry_at=None) | Q(state__in=[state.ACTIVE, state.BROKEN], retry_at__lte=now)
    ).filter(
        Exists(_due_leads(now).filter(workspace=OuterRef("workspace")))
        | Exists(_due_events(now).filter(**mine))
        | Exists(_due_links(now).filter(**mine))
        | Exists(_due_deals().filter(**mine))
    )


def _due_leads(now: datetime) -> Any:
    return ChangedLead.objects.filter(_is_its_turn(now))


def _due_events(now: datetime) -> Any:
    return InboxEvent.objects.filter(_is_its_turn(now), outcome=InboxEvent.Outcome.WAITING)


def _due_links(now: datetime) -> Any:
    return Link.objects.filter(retry_at__lte=now, state=Link.State.ACTIVE)


def _due_deals() -> Any:
    return Deal.objects.due()


def _is_its_turn(now: datetime) -> Q:
    return Q(retry_at=None) | Q(retry_at__lte=now)


def _has_many_unlinked(connection: Connection) -> bool:
    if connection.scope == Connection.Scope.LINKED:
        return False
    linked = Link.objects.filter(connection=connection, person_id__isnull=False, lead_id=OuterRef("lead_id"))
    waiting = _due_leads(timezone.now()).for_workspace(connection.workspace_id)
    return waiting.filter(~Exists(linked)).order_by()[: _MANY + 1].count() > _MANY


def _forget_unlinked(connection: Connection) -> None:
    """Changes of leads that were never sent concern nobody, where only those are kept in step that were."""
    linked = Link.objects.filter(connection=connection, lead_id=OuterRef("lead_id"))
    ChangedLead.objects.for_workspace(connection.workspace_id).filter(~Exists(linked)).delete()


def _put_off(thing: Any, why: str, first_wait: float, *, counts: bool = True) -> None:
    if thing == _DEALS:  # each has its own time
        return
    wait = min(_LONGEST_WAIT, first_wait * 2 ** min(thing.attempts, 12)) if counts else first_wait
    type(thing).objects.filter(pk=thing.pk).update(
        attempts=F("attempts") + int(counts),
        problem=why,
        retry_at=timezone.now() + timedelta(seconds=wait * random.uniform(0.8, 1.2)),
    )


def _sentence(error: Exception, thing: Any) -> str:
    """For people; a bug goes to the log as well."""
    if isinstance(error, Refusal):
        return str(error)
    log.error("sync_broke", thing=f"{type(thing).__name__} {thing}", exc_info=error)
    return _("Something went wrong on our side. It has been noted.")
