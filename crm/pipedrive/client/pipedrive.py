"""What we ask of Pipedrive: v2 of its API where that has it, v1 for the rest. https://developers.pipedrive.com/docs/api/v1"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Literal, Self

from django.utils.translation import gettext as _

from crm.pipedrive.client import answers
from crm.pipedrive.client.answers import Row
from crm.pipedrive.client.failures import is_gone
from crm.pipedrive.client.wire import Operation, Wire
from crm.pipedrive.limits import Gate
from zevix.errors import Rejected, Unreachable

Entity = Literal["person", "organization", "deal"]
Query = dict[str, str | int]

_PLURALS = {"person": "persons", "organization": "organizations", "deal": "deals"}
_PAGE, _SMALLER_PAGE = 500, 100
_IDS = 100  # that a list can be asked for at once

# what each takes from the day's tokens is in the vendor's document: x-token-cost
_READ = {entity: Operation("GET", f"/api/v2/{plural}/{{}}", 1) for entity, plural in _PLURALS.items()}
_LIST = {entity: Operation("GET", f"/api/v2/{plural}", 10) for entity, plural in _PLURALS.items()}
_CREATE = {entity: Operation("POST", f"/api/v2/{plural}", 5) for entity, plural in _PLURALS.items()}
_UPDATE = {entity: Operation("PATCH", f"/api/v2/{plural}/{{}}", 5) for entity, plural in _PLURALS.items()}
_FIELDS = {entity: Operation("GET", f"/api/v2/{entity}Fields", 10) for entity in _PLURALS}
_SEARCH = {
    entity: Operation("GET", f"/api/v2/{_PLURALS[entity]}/search", 20, is_search=True)
    for entity in ("person", "organization")
}
_PIPELINES = Operation("GET", "/api/v2/pipelines", 5)
_STAGES = Operation("GET", "/api/v2/stages", 5)

_ME = Operation("GET", "/api/v1/users/me", 2)
_USERS = Operation("GET", "/api/v1/users", 20)
_WEBHOOKS = Operation("GET", "/api/v1/webhooks", 10)
_CREATE_WEBHOOK = Operation("POST", "/api/v1/webhooks", 10)
_DELETE_WEBHOOK = Operation("DELETE", "/api/v1/webhooks/{}", 6)
_NOTES = Operation("GET", "/api/v1/notes", 20)
_CREATE_NOTE = Operation("POST", "/api/v1/notes", 10)
_LEAD = Operation("GET", "/api/v1/leads/{}", 2)
_LEADS = Operation("GET", "/api/v1/leads", 20)
_CREATE_LEAD = Operation("POST", "/api/v1/leads", 10)
_UPDATE_LEAD = Operation("PATCH", "/api/v1/leads/{}", 10)


class Pipedrive:
    """One account, for as many threads as like. ``patience``: seconds from now in which everything has to end.

    Objects come as the API has them, with an ``id`` that is a positive number of 64 bits; None stands for one that is not there
    or was deleted. All raise Unreachable (Unanswered where it may have been done, BudgetSpent), Rejected and TokenRefused.
    """

    def __init__(self, base_url: str, token: str, gate: Gate, *, patience: float | None = None) -> None:
        self._wire = Wire(base_url, token, gate, patience=patience)

    def until(self, deadline: float) -> Self:
        """The same account, for what has to end by then (`time.monotonic`)."""
        sooner = copy(self)
        sooner._wire = self._wire.until(deadline)
        return sooner

    # The account ------------------------------------------------------------------------------------------------------------

    def me(self) -> Row:
        """The token's user, with ``company_id``, ``company_name``, ``company_domain``, ``default_currency``."""
        return self._wire.ask(_ME, read=answers.one)

    def users(self) -> list[Row]:
        return self._wire.ask(_USERS, read=answers.several)

    def fields(self, entity: Entity) -> list[Row]:
        """With ``field_code``, ``field_name``, ``field_type``, ``options``; custom ones have codes of the account's own."""
        return list(self._pages(_FIELDS[entity], {"limit": _SMALLER_PAGE}, answers.fields))

    def pipelines(self) -> list[Row]:
        return list(self._pages(_PIPELINES, {"limit": _PAGE}))

    def stages(self) -> list[Row]:
        """Of all pipelines."""
        return list(self._pages(_STAGES, {"limit": _PAGE}))

    # Persons, organizations, deals ------------------------------------------------------------------------------------------

    def person(self, person_id: int) -> Row | None:
        return self._read(_READ["person"], person_id)

    def organization(self, organization_id: int) -> Row | None:
        return self._read(_READ["organization"], organization_id)

    def deal(self, deal_id: int) -> Row | None:
        return self._read(_READ["deal"], deal_id)

    def create_person(self, body: Row) -> Row:
        return self._wire.ask(_CREATE["person"], read=answers.one, body=body)

    def create_organization(self, body: Row) -> Row:
        return self._wire.ask(_CREATE["organization"], read=answers.one, body=body)

    def create_deal(self, body: Row) -> Row:
        return self._wire.ask(_CREATE["deal"], read=answers.one, body=body)

    def update_person(self, person_id: int, body: Row) -> Row | None:
        """As it is then."""
        return self._read(_UPDATE["person"], person_id, body)

    def update_organization(self, organization_id: int, body: Row) -> Row | None:
        """As it is then."""
        return self._read(_UPDATE["organization"], organization_id, body)

    def update_deal(self, deal_id: int, body: Row) -> Row | None:
        """As it is then."""
        return self._read(_UPDATE["deal"], deal_id, body)

    def persons_with_email(self, email: str) -> list[int]:
        """Ids of those that the search finds; it may not know the latest yet."""
        wanted = email.strip().lower()
        found = self._found("person", wanted, "email")
        return [row["id"] for row in found if wanted in _lowered(row.get("emails"))]

    def organizations_named(self, name: str) -> list[int]:
        """The same, with the same name but for capitals and spaces."""
        wanted = _folded(name)
        return [row["id"] for row in self._found("organization", name, "name") if _folded(row.get("name")) == wanted]

    def listed(
        self,
        entity: Entity,
        *,
        updated_since: datetime | None = None,
        ids: Sequence[int] | None = None,
        person_id: int | None = None,
        status: str | None = None,
    ) -> Iterator[Row]:
        """All of them, by their ids, a page at a time. ``person_id`` and ``status`` are for deals; without a status none is deleted."""
        query: Query = {"limit": _PAGE}
        if updated_since is not None:
            query["updated_since"] = f"{updated_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if person_id is not None:
            query["person_id"] = person_id
        if status is not None:
            query["status"] = status
        if ids is None:
            yield from self._pages(_LIST[entity], query)
            return
        for start in range(0, len(ids), _IDS):
            some = ",".join(str(one) for one in ids[start : start + _IDS])
            yield from self._pages(_LIST[entity], query | {"ids": some})

    # Webhooks ---------------------------------------------------------------------------------------------------------------

    def webhooks(self) -> list[Row]:
        return self._wire.ask(_WEBHOOKS, read=answers.several)

    def create_webhook(self, url: str, *, user: str, password: str, name: str) -> Row:
        """One for everything that happens."""
        body = {
            "subscription_url": url,
            "event_action": "*",
            "event_object": "*",
            "name": name,
            "version": "2.0",
            "http_auth_user": user,
            "http_auth_password": password,
        }
        return self._wire.ask(_CREATE_WEBHOOK, read=answers.one, body=body)

    def delete_webhook(self, webhook_id: int) -> None:
        """One that is gone already is all right."""
        try:
            self._wire.ask(_DELETE_WEBHOOK, webhook_id, read=answers.nothing)
        except Rejected as error:
            if not is_gone(error):
                raise

    # Notes ------------------------------------------------------------------------------------------------------------------

    def create_note(
        self, content: str, *, deal_id: int | None = None, person_id: int | None = None, lead_id: str | None = None
    ) -> Row:
        """``content`` is HTML."""
        body = {"content": content, **_given(deal_id=deal_id, person_id=person_id, lead_id=lead_id)}
        return self._wire.ask(_CREATE_NOTE, read=answers.one, body=body)

    def notes(
        self, *, deal_id: int | None = None, person_id: int | None = None, lead_id: str | None = None
    ) -> Iterator[Row]:
        query = _given(deal_id=deal_id, person_id=person_id, lead_id=lead_id)
        return self._numbered_pages(_NOTES, query, answers.several)

    # Leads, which in Pipedrive are what may become a deal -------------------------------------------------------------------

    def lead(self, lead_id: str) -> Row | None:
        return self._read(_LEAD, lead_id, read=answers.lead)

    def create_lead(self, body: Row) -> Row:
        """It needs a ``title``, and a ``person_id`` or an ``organization_id``."""
        return self._wire.ask(_CREATE_LEAD, read=answers.lead, body=body)

    def update_lead(self, lead_id: str, body: Row) -> Row | None:
        """As it is then."""
        return self._read(_UPDATE_LEAD, lead_id, body, read=answers.lead)

    def leads(self, *, person_id: int | None = None, organization_id: int | None = None) -> Iterator[Row]:
        """Those that are not archived."""
        query = _given(person_id=person_id, organization_id=organization_id)
        return self._numbered_pages(_LEADS, query, answers.leads)

    # Ways of asking ---------------------------------------------------------------------------------------------------------

    def _read(
        self,
        operation: Operation,
        object_id: int | str,
        body: Row | None = None,
        read: Callable[[Row], Row] = answers.one,
    ) -> Row | None:
        try:
            found = self._wire.ask(operation, object_id, read=read, body=body)
        except Rejected as error:
            if is_gone(error):
                return None
            raise
        return None if found.get("is_deleted") is True else found

    def _found(self, entity: Entity, term: str, field: str) -> Iterator[Row]:
        if not term:
            return iter(())
        query: Query = {"term": term, "fields": field, "exact_match": "true", "limit": _SMALLER_PAGE}
        return self._pages(_SEARCH[entity], query, answers.found_items)

    def _pages(
        self, operation: Operation, query: Query, rows: Callable[[Row], list[Row]] = answers.several
    ) -> Iterator[Row]:
        cursor = ""
        while True:
            here: Query = query | {"cursor": cursor} if cursor else query
            try:
                found, after = self._wire.ask(
                    operation, read=lambda it: (rows(it), answers.next_cursor(it)), query=here
                )
            except Rejected as error:
                if error.details["kind"] != "too_large" or query["limit"] == _SMALLER_PAGE:
                    raise
                query = query | {"limit": _SMALLER_PAGE}
                continue
            yield from found
            if not after:
                return
            if after == cursor:
                raise _endless()
            cursor = after

    def _numbered_pages(self, operation: Operation, query: Query, rows: Callable[[Row], list[Row]]) -> Iterator[Row]:
        """As v1 has them."""
        start, more = 0, True
        while more:
            here: Query = query | {"limit": _SMALLER_PAGE, "start": start}
            found, more = self._wire.ask(operation, read=lambda it: (rows(it), answers.has_more(it)), query=here)
            yield from found
            start, more = start + _SMALLER_PAGE, more and bool(found)


def _given(**values: int | str | None) -> Query:
    return {name: value for name, value in values.items() if value is not None}


def _lowered(emails: object) -> list[str]:
    return [email.strip().lower() for email in emails if isinstance(email, str)] if isinstance(emails, list) else []


def _folded(name: object) -> str:
    return " ".join(name.casefold().split()) if isinstance(name, str) else ""


def _endless() -> Unreachable:
    return Unreachable(vendor="Pipedrive", reason=_("its pages do not end"), kind="answer")
