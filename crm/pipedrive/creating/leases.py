"""Having a row to oneself while Pipedrive is asked, without a transaction that waits.

A lease is taken and given back by one statement each, and never made longer. Whoever is killed leaves it to run out; whoever comes
too late finds that the row is not theirs any more, and writes nothing.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from crm.errors import Busy
from crm.models.links import Leased

SECONDS = 60


@dataclass(frozen=True)
class Lease:
    """A row that is ours until ``ends`` (of `time.monotonic`)."""

    row: Leased
    token: uuid.UUID
    ends: float

    @property
    def rows(self) -> Any:
        """The row, as long as it is ours; else none."""
        return type(self.row)._default_manager.filter(pk=self.row.pk, lease=self.token)

    def keep(self, **values: Any) -> None:
        """Write to the row. Raises Busy where it is not ours any more."""
        if not self.rows.update(**values):
            raise Busy(vendor="Pipedrive", reason="lease")

    def must_last(self, seconds: float) -> None:
        """Raises Busy where less is left: what is begun now might end when somebody else is at it."""
        if time.monotonic() + seconds > self.ends:
            raise Busy(vendor="Pipedrive", reason="lease")


def take(row: Leased) -> Lease | None:
    """The lease of a row, which is read anew; None while somebody else has it. Raises DoesNotExist."""
    lease = Lease(row, uuid.uuid4(), time.monotonic() + SECONDS)
    free = type(row)._default_manager.filter(Q(lease=None) | Q(leased_until__lt=Now()), pk=row.pk)
    is_ours = free.update(lease=lease.token, leased_until=Now() + timedelta(seconds=SECONDS))
    row.refresh_from_db()
    return lease if is_ours else None


def give_back(lease: Lease) -> None:
    lease.rows.update(lease=None, leased_until=None)


@contextmanager
def leased(row: Leased) -> Iterator[Lease]:
    """The row is ours in this block. Raises Busy where somebody else has it."""
    lease = take(row)
    if lease is None:
        raise Busy(vendor="Pipedrive", reason="lease")
    try:
        yield lease
    except Exception:
        give_back(lease)
        raise
    give_back(lease)
