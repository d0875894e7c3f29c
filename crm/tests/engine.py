"""What the tests of syncing share: a lead in step with its person, and the two hands that change them."""

from typing import Any

from crm.models import Connection, Link
from crm.pipedrive import accounts
from crm.pipedrive.accounts import Account
from crm.pipedrive.limits import Lane
from crm.pipedrive.syncing import syncing
from crm.pipedrive.syncing.syncing import Outcome
from leads import editing
from leads.history import Author
from leads.models import Lead
from leads.tests.factories import make_lead


def opened(connection: Connection) -> Account:
    connection.refresh_from_db()
    return accounts.open(connection, lane=Lane.BACKGROUND)


def edit(lead: Lead, *, source: str = "human", **changes: Any) -> None:
    """Somebody changes a lead here."""
    editing.update(lead.pk, changes, workspace=lead.workspace_id, by=Author(source))
    lead.refresh_from_db()


def link_of(lead: Lead) -> Link:
    return Link.objects.get(lead=lead.pk)


def sync(lead: Lead, connection: Connection, **how: Any) -> Outcome:
    outcome = syncing.sync_lead(lead.pk, account=opened(connection), **how)
    if Lead.objects.filter(pk=lead.pk).exists():
        lead.refresh_from_db()
    return outcome


def in_step(connection: Connection, **fields: Any) -> tuple[Lead, Link]:
    """A lead of a person's hand that is in step with a new person."""
    lead = make_lead(
        connection.workspace, **{"name": "Anna Adams", "email": "anna@adams.example", "company": "", **fields}
    )
    outcome = sync(lead, connection)
    assert outcome.created and not outcome.problem
    return lead, link_of(lead)
