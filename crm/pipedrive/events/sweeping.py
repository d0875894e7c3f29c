"""Looks through what changed in Pipedrive, for what no webhook told: it may be gone, banned for half an hour, or out of its reach."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from crm.errors import BudgetSpent, NotConnected, TokenRefused
from crm.models import Connection, InboxEvent, Link, SyncRun
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.events import hooks, working_off
from crm.pipedrive.limits import Lane
from crm.pipedrive.runs.draining import rest
from crm.pipedrive.runs.waking import wake
from zevix.errors import Refusal

_NIGHT = 2  # o'clock, UTC
_OFTEN = timedelta(minutes=14)  # a little less than from one look to the next
_OVERLAP = timedelta(minutes=10)  # the clocks may differ, and a list may lag
_KEPT_FOR = timedelta(days=7)
_CHUNK = 100
# links that are looked at each time; larger workspaces take turns, at ten tokens a hundred
_LINKS_A_NIGHT, _LINKS_OFTEN = 10_000, 300


def due_connections() -> list[int]:
    """Those that were not looked through since two o'clock; where no webhook works, since a quarter of an hour ago; broken ones."""
    accounts.default_connection()  # nobody may have asked for the settings' account yet
    now, state = timezone.now(), Connection.State
    by_webhook = Q(webhook_id__isnull=False, webhook_problem="")
    is_due = (
        Q(swept_until=None, connected_at__lt=now - _OFTEN)
        | Q(by_webhook, swept_until__lt=_last_night(now))
        | Q(~by_webhook, swept_until__lt=now - _OFTEN)
        | Q(state=state.BROKEN)
    )
    may_be_asked = Q(state=state.ACTIVE, retry_at=None) | Q(state__in=[state.ACTIVE, state.BROKEN], retry_at__lte=now)
    return list(Connection.objects.filter(is_due, may_be_asked).values_list("pk", flat=True))


def forget_old() -> int:
    """Delete sweeps that ended more than seven days ago; returns how many. The latest of a connection says where the next one begins."""
    kept = (
        SyncRun.objects.filter(kind=SyncRun.Kind.SWEEP).values("connection").annotate(latest=Max("pk")).values("latest")
    )
    old = SyncRun.objects.filter(kind=SyncRun.Kind.SWEEP, created_at__lt=timezone.now() - _KEPT_FOR)
    return old.exclude(pk__in=kept).delete()[0]


def sweep_or_note(connection: Connection) -> None:
    """Sweep; what stands in its way is noted, and the next sweep begins where this one began."""
    try:
        sweep(connection)
    except BudgetSpent as spent:
        rest(connection, spent.details["until"], str(spent))
    except TokenRefused as refused:
        accounts.note_trouble(connection, refused)
    except NotConnected:
        return
    except Refusal:  # the run has its sentence
        return


def sweep(connection: Connection) -> SyncRun:
    """Note each person, organization and deal that changed there since the last time, and links whose persons are no more.

    The drain works them off. Raises Unreachable, TokenRefused; then the next sweep begins where this one began.
    """
    begun = timezone.now()
    account = accounts.open(connection, lane=Lane.BACKGROUND)
    run = _new_run(connection, begun)
    try:
        _look_through(run, account)
    except Exception as error:
        _end(run, SyncRun.Status.FAILED, str(error))
        raise
    Connection.objects.filter(pk=connection.pk).update(swept_until=begun)
    _end(run, SyncRun.Status.COMPLETED)
    wake(connection.pk)
    hooks.check(account)
    accounts.note_fine(connection)
    return run


def _look_through(run: SyncRun, account: Account) -> None:
    connection = account.connection
    since = (connection.swept_until or connection.connected_at) - _OVERLAP
    for entity in ("person", "organization", "deal"):
        changed = account.pipedrive.listed(entity, updated_since=since)
        run.done_count += _note(_event(run, entity, "change", one) for one in changed if _is_news(entity, one, account))
    deleted = account.pipedrive.listed("deal", updated_since=since, status="deleted")
    run.done_count += _note(_event(run, "deal", "delete", one) for one in deleted)
    run.done_count += _note_missing(run, account)


def _last_night(now: datetime) -> datetime:
    night = now.astimezone(UTC).replace(hour=_NIGHT, minute=0, second=0, microsecond=0)
    return night if night <= now else night - timedelta(days=1)


def _new_run(connection: Connection, begun: datetime) -> SyncRun:
    before = connection.runs.filter(kind=SyncRun.Kind.SWEEP).order_by("-pk").first()
    run: SyncRun = SyncRun.objects.create(
        workspace_id=connection.workspace_id,
        connection=connection,
        kind=SyncRun.Kind.SWEEP,
        status=SyncRun.Status.RUNNING,
        cursor=before.cursor if before else 0,
        beat_at=begun,
    )
    return run


def _end(run: SyncRun, status: str, failure: str = "") -> None:
    run.status, run.failure, run.finished_at = status, failure, timezone.now()
    run.total_count = run.done_count
    run.save(update_fields=["status", "failure", "finished_at", "done_count", "total_count", "cursor"])


# What is noted ----------------------------------------------------------------------------------------------------------


def _is_news(entity: str, body: dict[str, Any], account: Account) -> bool:
    return not working_off.tells_nothing_new(entity, body, account=account)


def _event(run: SyncRun, entity: str, action: str, body: dict[str, Any]) -> InboxEvent:
    changed_at = str(body.get("update_time") or "")
    # two changes may fall into one second
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    return InboxEvent(
        workspace_id=run.workspace_id,
        connection_id=run.connection_id,
        event_id=f"sweep:{entity}:{body['id']}:{action}:{changed_at}:{digest}",
        entity=entity,
        entity_id=body["id"],
        action=action,
        body={"meta": {}, "data": None if action == "delete" else body, "previous": None},
        sent_at=parse_datetime(changed_at),
    )


def _note(events: Iterable[InboxEvent]) -> int:
    """Keep them, each once; returns how many came."""
    left, count = iter(events), 0
    while some := list(islice(left, _CHUNK)):
        InboxEvent.objects.bulk_create(some, ignore_conflicts=True)
        count += len(some)
    return count


def _note_missing(run: SyncRun, account: Account) -> int:
    """Persons are deleted in silence: no list tells of it."""
    by_webhook = account.connection.webhook_id is not None and not account.connection.webhook_problem
    most = _LINKS_A_NIGHT if by_webhook else _LINKS_OFTEN
    count = 0
    for _turn in range(most // _CHUNK):
        linked = list(_linked(account.connection).filter(pk__gt=run.cursor).order_by("pk")[:_CHUNK])
        run.cursor = linked[-1][0] if len(linked) == _CHUNK else 0  # and from the first one again
        count += _note(_missing(run, [person_id for _pk, person_id in linked], account))
        if not run.cursor:
            break
    return count


def _linked(connection: Connection) -> Any:
    links = Link.objects.filter(connection=connection, state=Link.State.ACTIVE, person_id__isnull=False)
    return links.values_list("pk", "person_id")


def _missing(run: SyncRun, person_ids: list[int], account: Account) -> Iterator[InboxEvent]:
    there = {one["id"] for one in account.pipedrive.listed("person", ids=person_ids)} if person_ids else set()
    for person_id in person_ids:
        if person_id not in there:
            yield _event(run, "person", "delete", {"id": person_id, "update_time": run.created_at.isoformat()})
