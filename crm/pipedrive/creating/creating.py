"""Making things in Pipedrive once, whatever breaks in between.

What is to be made is written down first, by a key that names it (`Creation`). Before Pipedrive is asked that is marked; after a request
without an answer it is looked for, in lists and not by the search, whose index may lag, and asked for again only when so much time has
passed that the first request can't come through any more.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from crm.errors import Busy
from crm.models import Connection, Creation, Link
from crm.pipedrive.accounts import Account
from crm.pipedrive.creating import leases
from crm.pipedrive.creating.directories import (
    LAG,
    Directory,
    Listed,
    Searching,
    addresses,
    name_key,
    organizations_since,
    persons_since,
)
from crm.pipedrive.creating.leases import Lease
from crm.pipedrive.mapping.values import one_line
from zevix.errors import Refusal, Rejected, Unanswered

Body = dict[str, Any]
Find = Callable[[datetime | None], int | None]
Create = Callable[[], Body]

NAMELESS = "lead:"  # how the key of a lead without an address begins

__all__ = ["Directory", "Listed", "Searching"]

_PATIENCE, _PAUSE = 5.0, 0.05  # seconds that one waits for another who is making the same, and between looks
_ROUNDS = 3


@dataclass(frozen=True)
class Made:
    """The id there of what was wanted. ``body`` is what Pipedrive answered if it was made just now, else None."""

    id: int
    body: Body | None = None


def ensure(kind: str, key: str, *, account: Account, find: Find, create: Create, deadline: float | None = None) -> Made:
    """The one object of this kind and key there: the known one, else one that is found, else one that is made now.

    ``find`` is asked before anything is made: with None, whether there is one; with a moment, whether one was made since then, by a
    request that had no answer. ``create`` asks Pipedrive once and gives its answer. ``deadline`` is of `time.monotonic`.
    Raises Busy while somebody else is at it, or while it can't be known whether it was made; Unreachable, Rejected.
    """
    until = time.monotonic() + _PATIENCE if deadline is None else deadline
    while True:
        row, _created = Creation.objects.get_or_create(
            connection=account.connection,
            kind=kind,
            key=key,
            defaults={"workspace_id": account.connection.workspace_id},
        )
        try:
            lease = None if row.remote_id else leases.take(row)
        except Creation.DoesNotExist:  # it was forgotten in this moment
            continue
        if lease is not None:
            return _under(lease, row, find, create)
        if row.remote_id:
            return Made(row.remote_id)
        if time.monotonic() + _PAUSE > until:
            raise Busy(vendor="Pipedrive", reason="lease")
        time.sleep(_PAUSE)


def _under(lease: Lease, row: Creation, find: Find, create: Create) -> Made:
    try:
        known = row.remote_id or _found(row, find)
        made = Made(known) if known else _asked(lease, create)
        _keep(lease, row, made.id)
    except Exception:
        leases.give_back(lease)
        raise
    leases.give_back(lease)
    return made


@transaction.atomic
def _keep(lease: Lease, row: Creation, remote_id: int) -> None:
    """Raises Busy where two that have nothing to be known by have found the same: only one of them can be it."""
    if row.key.startswith(NAMELESS):
        Connection.objects.select_for_update(no_key=True).get(pk=row.connection_id)
        same = Creation.objects.filter(connection=row.connection_id, kind=row.kind, remote_id=remote_id)
        if same.exclude(pk=row.pk).exists():
            raise Busy(vendor="Pipedrive", reason="twins")
    lease.rows.update(remote_id=remote_id)


def _found(row: Creation, find: Find) -> int | None:
    """One that is there. Raises Busy while a request without an answer may still come through."""
    found = find(row.sent_at)
    if found is None and row.sent_at and timezone.now() < row.sent_at + settings.PIPEDRIVE_UNCERTAIN:
        raise Busy(vendor="Pipedrive", reason="uncertain")
    return found


def _asked(lease: Lease, create: Create) -> Made:
    lease.keep(sent_at=Now())
    try:
        body = create()
    except Unanswered:
        raise
    except Refusal:  # surely not done
        lease.rows.update(sent_at=None)
        raise
    return Made(int(body["id"]), body)


def settle(kind: str, key: str, *, account: Account, find: Find) -> int | None:
    """What became of an object that is not to be made by this key any more: its id if it is there. Else the key is forgotten.

    Raises Busy while that can't be known.
    """
    row = Creation.objects.filter(connection=account.connection, kind=kind, key=key).first()
    if row is None or row.remote_id:
        return row.remote_id if row else None
    with leases.leased(row) as lease:
        found = row.remote_id or (row.sent_at and _found(row, find))
        if not found:
            row.delete()
            return None
        lease.keep(remote_id=found)
        return int(found)


def forget(kind: str, remote_id: int, *, account: Account, key: str | None = None) -> None:
    """This object is not there any more, or has this key no more: whoever needs one gets another."""
    rows = Creation.objects.filter(connection=account.connection, kind=kind, remote_id=remote_id)
    (rows if key is None else rows.filter(key=key)).delete()


def moved(kind: str, from_id: int, into_id: int, *, account: Account) -> None:
    """One object was merged into another there."""
    rows = Creation.objects.filter(connection=account.connection, kind=kind, remote_id=from_id)
    rows.update(remote_id=into_id)


def known(kind: str, key: str, *, account: Account) -> int | None:
    """The id of what is known by this key."""
    rows = Creation.objects.filter(connection=account.connection, kind=kind, key=key)
    found: int | None = rows.values_list("remote_id", flat=True).first()
    return found


def is_under_way(kind: str, keys: Iterable[str], *, account: Account) -> bool:
    """Whether something of one of these keys, or of a lead that has nothing to be known by, was asked for, and its id is not known yet."""
    since = timezone.now() - settings.PIPEDRIVE_UNCERTAIN - LAG  # what was given up is not waited for
    waiting = Creation.objects.filter(connection=account.connection, kind=kind, remote_id=None, sent_at__gt=since)
    return waiting.filter(Q(key__in=list(keys)) | Q(key__startswith=NAMELESS)).exists()


# Persons and organizations ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A person or organization as Pipedrive shows it; ``is_new`` if it was made just now."""

    body: Body
    is_new: bool

    @property
    def id(self) -> int:
        return int(self.body["id"])


def person_key(email: str, lead_id: int) -> str:
    return email.strip().lower() or f"{NAMELESS}{lead_id}"


def person(
    key: str,
    body: Body,
    *,
    account: Account,
    directory: Directory | None = None,
    is_it: Callable[[Body], bool],
    deadline: float | None = None,
    least: Body | None = None,
    before: Callable[[], None] = lambda: None,
) -> Found:
    """The person of this key (`person_key`), found or made of ``body``; of ``least`` where Pipedrive refuses that.

    ``is_it`` tells whether a person without an address, made at the time, is the one that was asked for. ``before`` is called before
    one is asked for. Raises as `ensure` does.
    """

    def create() -> Body:
        before()
        return _created(account.pipedrive.create_person, body, least)

    return _there(
        _Wish(
            Creation.Kind.PERSON,
            key,
            create,
            account.pipedrive.person,
            person_find(key, account, is_it, directory),
        ),
        fits=lambda found: key.startswith(NAMELESS) or key in addresses(found),
        account=account,
        deadline=deadline,
    )


def _created(create: Callable[[Body], Body], body: Body, least: Body | None) -> Body:
    try:
        return create(body)
    except Rejected as error:
        if least is None or least == body or error.details.get("kind") != "bad_request":
            raise
        return create(least)


def person_find(key: str, account: Account, is_it: Callable[[Body], bool], directory: Directory | None = None) -> Find:
    """How the person of a key is looked for: see `ensure`."""
    if key.startswith(NAMELESS):
        return _nameless(account, is_it)
    there = directory or Searching(account)
    return _by_key(there.person_ids, persons_since, key, account)


def organization(
    name: str,
    *,
    account: Account,
    directory: Directory | None = None,
    deadline: float | None = None,
    more: Body | None = None,
) -> Found:
    """The organization of this name, found or made; with ``more`` in it, unless Pipedrive refuses that. Raises as `ensure` does."""
    there = directory or Searching(account)
    key, pipedrive = name_key(name), account.pipedrive
    find = _by_key(there.organization_ids, organizations_since, name, account)
    least = {"name": one_line(name, 255)}
    create = partial(_created, pipedrive.create_organization, {**(more or {}), **least}, least)
    return _there(
        _Wish(Creation.Kind.ORGANIZATION, key, create, pipedrive.organization, find),
        fits=lambda found: name_key(found.get("name")) == key,
        account=account,
        deadline=deadline,
    )


@dataclass(frozen=True)
class _Wish:
    kind: str
    key: str
    create: Create
    read: Callable[[int], Body | None]
    find: Find


def _there(wish: _Wish, *, fits: Callable[[Body], bool], account: Account, deadline: float | None) -> Found:
    """What is wished for, as it is now. What is known by its key and does not fit it any more is forgotten, and another one taken."""
    for _round in range(_ROUNDS):
        made = ensure(wish.kind, wish.key, account=account, find=wish.find, create=wish.create, deadline=deadline)
        if made.body is not None:
            return Found(made.body, is_new=True)
        body = wish.read(made.id)
        if body is not None and fits(body):
            return Found(body, is_new=False)
        forget(wish.kind, made.id, account=account, key=wish.key)
    raise Busy(vendor="Pipedrive", reason="changing")


def _by_key(ids: Callable[[str], list[int]], since: Callable[..., list[int]], name: str, account: Account) -> Find:
    def find(moment: datetime | None) -> int | None:
        found = ids(name) if moment is None else since(moment, name, account=account)
        return min(found, default=None)

    return find


def _nameless(account: Account, is_it: Callable[[Body], bool]) -> Find:
    """Those that nobody else is: a person that has nothing to be known by is known by all that it was made of."""

    def find(moment: datetime | None) -> int | None:
        if moment is None:
            return None
        recent = account.pipedrive.listed("person", updated_since=moment - LAG)
        alike = [one["id"] for one in recent if not addresses(one) and is_it(one)]
        taken = {*_known(account, alike), *_linked(account, alike)}
        return min((one for one in alike if one not in taken), default=None)

    return find


def _known(account: Account, ids: list[int]) -> list[int | None]:
    rows = Creation.objects.filter(connection=account.connection, kind=Creation.Kind.PERSON, remote_id__in=ids)
    return list(rows.values_list("remote_id", flat=True))


def _linked(account: Account, ids: list[int]) -> list[int | None]:
    rows = Link.objects.filter(connection=account.connection, person_id__in=ids)
    return list(rows.values_list("person_id", flat=True))
