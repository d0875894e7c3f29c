"""Opening a connection for work."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, Workspace
from crm.errors import NotConnected, TokenRefused
from crm.models import Connection
from crm.pipedrive.accounts import reading, tokens
from crm.pipedrive.accounts.companies import belong_to
from crm.pipedrive.accounts.trouble import note_fine, note_trouble
from crm.pipedrive.client import Pipedrive
from crm.pipedrive.limits import Gate, Lane
from crm.pipedrive.mapping import Mapping, Setup, build
from crm.pipedrive.mapping.building import stages_of
from crm.pipedrive.mapping.matching import Means
from crm.pipedrive.mapping.stages import spread
from leads.custom_fields import Definitions
from zevix.errors import Unreachable

READ_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class Account:
    """A connection that is open for work."""

    connection: Connection
    pipedrive: Pipedrive
    mapping: Mapping


def connection_of(workspace: Workspace) -> Connection:
    """The workspace's connection; of the settings' account it is made here. Raises NotConnected."""
    found: Connection | None = Connection.objects.for_workspace(workspace).first()
    if found is None and tokens.serves(workspace.pk):
        found, _made = Connection.objects.get_or_create(workspace=workspace)
    if found is None or found.state == Connection.State.DISCONNECTED:
        raise NotConnected
    if not found.sealed_token and not tokens.serves(workspace.pk):
        raise NotConnected
    return found


def default_connection() -> Connection | None:
    """The connection that works with the settings' account, made where it is not there yet; None where it has none."""
    workspace = Workspace.objects.default()
    if workspace is None or not tokens.serves(workspace.pk):
        return None
    try:
        return connection_of(workspace)
    except NotConnected:
        return None


def open(connection: Connection, *, lane: Lane, patience: float | None = None) -> Account:
    """The connection with a client and its mapping; ``patience`` are the seconds that all that is asked may take.

    Pipedrive is asked nothing here, unless its fields were last read more than a day ago, or the connection was broken and is to be
    tried again. Raises NotConnected; TokenRefused while it is broken; Unreachable where its fields were never read and can't be now.
    """
    if connection.state == Connection.State.BROKEN and connection.retry_at and connection.retry_at > timezone.now():
        raise TokenRefused(vendor="Pipedrive", reason=connection.problem, kind="broken")
    try:
        token = tokens.of(connection)
    except TokenRefused as error:
        note_trouble(connection, error)
        raise
    account = _account(connection, client(connection, token, connection.domain, lane=lane, patience=patience))
    return account if _is_known(connection) else _read_anew(account)


def client(connection: Connection, token: str, domain: str, *, lane: Lane, patience: float | None = None) -> Pipedrive:
    """A client for any token, with what this connection may ask for."""
    deadline = None if patience is None else time.monotonic() + patience
    gate = Gate(connection.pk, connection.workspace_id, lane, deadline)
    return Pipedrive(tokens.base_url(domain), token, gate, patience=patience)


def refresh(account: Account) -> Account:
    """The account with its fields, pipelines, stages and users read anew. Raises Unreachable, Rejected, TokenRefused."""
    try:
        who, setup = reading.who(account.pipedrive), reading.setup(account.pipedrive)
    except TokenRefused as error:
        note_trouble(account.connection, error)
        raise
    keep(account.connection, who, setup)
    note_fine(account.connection)
    return _account(account.connection, account.pipedrive)


def keep(connection: Connection, who: dict[str, Any], setup: dict[str, Any]) -> None:
    """Keep what was read of the account. Another company's takes the place of all that was linked."""
    with transaction.atomic():
        belong_to(connection, who["company_id"])
        for name in ("user_id", "company_name", "currency"):
            setattr(connection, name, who[name])
        connection.account = setup | {"user": who["name"]}
        connection.account_read_at = timezone.now()
        _choose_pipeline(connection)
        connection.save(
            update_fields=[
                "user_id", "company_name", "currency", "account", "account_read_at", "pipeline_id", "stages", "updated_at",
            ]
        )  # fmt: skip


def setup_of(connection: Connection) -> Setup:
    """What the account has, as it was last read."""
    return Setup.of(connection.account)


def mapping_of(connection: Connection) -> Mapping:
    """By the settings as they are, and the account as it was last read."""
    return build(means_of(connection), connection.mapping, stages=connection.stages, pipeline_id=connection.pipeline_id)


def means_of(connection: Connection) -> Means:
    """What its mapping is made of. Two queries."""
    setup = setup_of(connection)
    members = Membership.objects.for_workspace(connection.workspace_id).filter(user__is_active=True)
    return Means(
        setup=setup,
        definitions=Definitions.of(connection.workspace_id).by_key,
        members={user_id: email.lower() for user_id, email in members.values_list("user_id", "user__email")},
        stages=stages_of(setup, connection.pipeline_id, connection.stages),
        currency=connection.currency,
    )


def _account(connection: Connection, pipedrive: Pipedrive) -> Account:
    return Account(connection, pipedrive, mapping_of(connection))


def _is_known(connection: Connection) -> bool:
    read_at = connection.account_read_at
    return (
        connection.state != Connection.State.BROKEN
        and bool(connection.account)
        and read_at is not None
        and read_at > timezone.now() - READ_EVERY
    )


def _read_anew(account: Account) -> Account:
    try:
        return refresh(account)
    except Unreachable:
        if account.connection.account:  # yesterday's will do
            return account
        raise


def _choose_pipeline(connection: Connection) -> None:
    """Deals go to the first pipeline until somebody chooses. That is written down: another one that comes first later changes nothing."""
    setup = setup_of(connection)
    if connection.pipeline_id is None and setup.pipelines:
        connection.pipeline_id = next(iter(setup.pipelines))
    if not connection.stages:
        connection.stages = spread(setup.stages_of(connection.pipeline_id))
