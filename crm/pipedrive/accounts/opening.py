"""Opening a connection for work."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, Workspace
from crm.errors import Busy, NotConnected, TokenRefused
from crm.models import Connection
from crm.pipedrive.accounts import reading, tokens
from crm.pipedrive.accounts.companies import belong_to
from crm.pipedrive.accounts.trouble import KNOWN, note_fine, note_trouble
from crm.pipedrive.client import Pipedrive
from crm.pipedrive.limits import Gate, Lane
from crm.pipedrive.mapping import Mapping, Setup, build
from crm.pipedrive.mapping.building import stages_of
from crm.pipedrive.mapping.matching import Means
from crm.pipedrive.mapping.stages import spread
from leads.custom_fields import Definitions
from zevix.errors import Rejected, Unreachable

log = structlog.get_logger()

READ_EVERY = timedelta(days=1)
_FIRST_LOOK = 10.0  # seconds


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


def looked_at(workspace: Workspace) -> Connection:
    """The same, with what the account has: that of the settings is looked at the first time. What is wrong with it is its problem.

    Raises NotConnected.
    """
    connection = connection_of(workspace)
    if connection.account:
        return connection
    try:
        return open(connection, lane=Lane.INTERACTIVE, patience=_FIRST_LOOK).connection
    except (Unreachable, Rejected) as error:
        note_trouble(connection, error)
        return connection


def open(connection: Connection, *, lane: Lane, patience: float | None = None) -> Account:
    """The connection with a client and its mapping; ``patience`` are the seconds that all that is asked may take.

    Pipedrive is asked nothing here, unless its fields were last read more than a day ago, or the connection was broken and is to be
    tried again. Raises NotConnected; TokenRefused while it is broken; Unreachable where its fields were never read and can't be now.
    """
    if connection.state == Connection.State.BROKEN and connection.retry_at and connection.retry_at > timezone.now():
        raise TokenRefused(vendor="Pipedrive", reason=connection.problem, kind=KNOWN)
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
    with transaction.atomic():
        connection = locked(account.connection)
        if connection.sealed_token != account.connection.sealed_token:
            raise Busy(vendor="Pipedrive", reason="token")  # somebody has just connected another account
        keep(connection, who, setup)
    note_fine(connection)
    return _account(connection, account.pipedrive)


def locked(connection: Connection) -> Connection:
    """The row as it is now, held until the transaction ends."""
    found: Connection = Connection.objects.select_for_update().get(pk=connection.pk)
    return found


def keep(connection: Connection, who: dict[str, Any], setup: dict[str, Any]) -> None:
    """Keep what was read of the account; the row is held. Another company's takes the place of all that was linked."""
    belong_to(connection, who["company_id"])
    for name in ("user_id", "company_name", "currency"):
        setattr(connection, name, who[name])
    connection.account = setup | {"user": who["name"]}
    connection.account_read_at = timezone.now()
    _choose_pipeline(connection)
    connection.save()


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
    except TokenRefused:
        raise
    except (Unreachable, Rejected) as error:
        if not account.connection.account:
            raise
        log.warning("pipedrive_account_not_read", connection=account.connection.pk, reason=str(error))
        return account  # yesterday's will do


def _choose_pipeline(connection: Connection) -> None:
    """Deals go to the first pipeline until somebody chooses. That is written down: another one that comes first later changes nothing."""
    setup = setup_of(connection)
    if connection.pipeline_id is None and setup.pipelines:
        connection.pipeline_id = next(iter(setup.pipelines))
    if not connection.stages:
        connection.stages = spread(setup.stages_of(connection.pipeline_id))
