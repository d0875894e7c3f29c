"""Who and what is in Pipedrive already, by what names them: persons by their addresses, organizations by their names."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.utils import timezone

from crm.pipedrive.accounts import Account
from crm.pipedrive.mapping.values import one_line

LAG = timedelta(minutes=5)  # by which the search's index may be late, or the two clocks apart
_FRESH = 30.0  # seconds
_TOLD_EVERY = 500
_LONGEST_NAME = 255


class Directory(Protocol):
    """Who and what is there, by what names them; the ids in order."""

    def person_ids(self, email: str) -> list[int]: ...

    def organization_ids(self, name: str) -> list[int]: ...


def addresses(person: dict[str, Any]) -> set[str]:
    """A person's e-mail addresses in lower case."""
    emails = person.get("emails")
    items = emails if isinstance(emails, list) else []
    values = [item.get("value") for item in items if isinstance(item, dict)]
    return {value.strip().lower() for value in values if isinstance(value, str) and value.strip()}


def name_key(name: Any) -> str:
    """The name of an organization in the form in which it is one's own: in lower case, with single spaces."""
    return one_line(one_line(name, _LONGEST_NAME).casefold(), _LONGEST_NAME)


class Searching:
    """Asks Pipedrive's search, and, since its index may lag, the list of what changed in the last minutes."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def person_ids(self, email: str) -> list[int]:
        wanted = email.lower()
        found = self._account.pipedrive.persons_with_email(wanted)
        return sorted({*found, *persons_since(timezone.now(), wanted, account=self._account)})

    def organization_ids(self, name: str) -> list[int]:
        found = self._account.pipedrive.organizations_named(name)
        return sorted({*found, *organizations_since(timezone.now(), name, account=self._account)})


def persons_since(moment: datetime, email: str, *, account: Account) -> list[int]:
    """Those with an e-mail address that were made or changed since shortly before a moment."""
    recent = account.pipedrive.listed("person", updated_since=moment - LAG)
    return [person["id"] for person in recent if email.lower() in addresses(person)]


def organizations_since(moment: datetime, name: str, *, account: Account) -> list[int]:
    """The same for a name."""
    recent = account.pipedrive.listed("organization", updated_since=moment - LAG)
    return [one["id"] for one in recent if name_key(one.get("name")) == name_key(name)]


class Listed:
    """Has read all persons and organizations once, and reads what is new from time to time: for work on many leads.

    ``progress`` is told how many were read so far. It keeps a number for each address and name, nothing else.
    """

    def __init__(self, account: Account, progress: Callable[[int], None] | None = None) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._persons: dict[str, int] = {}
        self._organizations: dict[str, int] = {}
        self._read_at = timezone.now()
        self._fresh_until = time.monotonic() + _FRESH
        self._read(None, progress or (lambda count: None))

    def person_ids(self, email: str) -> list[int]:
        self._freshen()
        found = self._persons.get(email.lower())
        return [found] if found else []

    def organization_ids(self, name: str) -> list[int]:
        self._freshen()
        found = self._organizations.get(name_key(name))
        return [found] if found else []

    def _freshen(self) -> None:
        with self._lock:
            if time.monotonic() < self._fresh_until:
                return
            began = timezone.now()
            self._read(self._read_at - LAG, lambda count: None)
            self._read_at, self._fresh_until = began, time.monotonic() + _FRESH

    def _read(self, since: datetime | None, progress: Callable[[int], None]) -> None:
        pipedrive = self._account.pipedrive
        count = 0
        for keep, bodies in (
            (self._keep_person, pipedrive.listed("person", updated_since=since)),
            (self._keep_organization, pipedrive.listed("organization", updated_since=since)),
        ):
            for body in bodies:
                keep(body)
                count += 1
                if count % _TOLD_EVERY == 0:
                    progress(count)
        progress(count)

    def _keep_person(self, person: dict[str, Any]) -> None:
        for address in addresses(person):
            self._persons.setdefault(address, person["id"])

    def _keep_organization(self, organization: dict[str, Any]) -> None:
        self._organizations.setdefault(name_key(organization.get("name")), organization["id"])
