"""Connecting a workspace with its account, changing how, and taking it apart again."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from crm.errors import TokenRefused
from crm.models import Connection, TokenMeter
from crm.pipedrive.accounts import reading, tokens
from crm.pipedrive.accounts.choosing import choose
from crm.pipedrive.accounts.opening import Account, client, connection_of, keep, locked, mapping_of, open, refresh
from crm.pipedrive.accounts.trouble import sentence
from crm.pipedrive.client import Pipedrive
from crm.pipedrive.events import hooks
from crm.pipedrive.limits import Lane
from zevix.errors import Refusal, Rejected, Unreachable, ValidationFailed
from zevix.sealing import seal

log = structlog.get_logger()
State = Connection.State

PATIENCE = 20.0  # seconds that somebody waits while the account is checked
_METER = {"daily_tokens": "daily_limit", "burst": "burst_limit"}
# what can't be said without a look at the account
_ASKING = ("api_token", "domain", "pipeline", "stages", "mapping")


def connect(workspace: Workspace, *, token: str, domain: str = "", by: User, **choices: Any) -> Connection:
    """Connect the workspace with the account that a token opens, and register the webhook. ``choices`` as in `configure`.

    Raises ValidationFailed (a bad token, a name that there is not), Unreachable; then nothing is changed.
    """
    return configure(workspace, {"api_token": token, "domain": domain, **choices}, by=by)


def configure(workspace: Workspace, changes: Mapping[str, Any], *, by: User) -> Connection:
    """Change a connection; the first ``api_token`` makes it.

    ``changes``, all optional: ``api_token``, ``domain``, ``scope``, ``takes_new``, ``state`` (active or paused), ``pipeline`` and
    ``stages`` (status → stage) by ids or names, ``mapping`` ([{lead, entity, field, owner}], an empty one brings the defaults back),
    ``daily_tokens``, ``burst``. Pipedrive is asked where that must be checked. Raises ValidationFailed with a sentence for each field,
    NotConnected, Unreachable; then nothing is changed.
    """
    connection = _connection(workspace, changes)
    if _must_ask(connection, changes):
        connection = _checked(connection, changes)
    else:
        with transaction.atomic():
            connection = locked(connection)
            _set_plain(connection, changes)
    log.info("pipedrive_configured", workspace=workspace.pk, user=by.pk, changed=sorted(changes))
    return connection


def disconnect(workspace: Workspace, *, by: User) -> None:
    """Take a connection apart: its token is forgotten, its webhook deleted where Pipedrive can be reached.

    Links stay, so that the same account goes on where it was. Raises NotConnected.
    """
    connection = connection_of(workspace)
    try:
        hooks.remove(open(connection, lane=Lane.INTERACTIVE, patience=PATIENCE))
    except Refusal as refusal:  # its events are refused from now on, and Pipedrive gives up after three days
        log.warning("pipedrive_webhook_left_behind", workspace=workspace.pk, reason=str(refusal))
    Connection.objects.filter(pk=connection.pk).update(
        state=Connection.State.DISCONNECTED,
        sealed_token="",
        webhook_id=None,
        webhook_secret="",
        sealed_webhook_password="",
        webhook_problem="",
        problem="",
        problem_at=None,
        retry_at=None,
    )
    log.info("pipedrive_disconnected", workspace=workspace.pk, user=by.pk)


def check_now(connection: Connection) -> Connection:
    """Ask Pipedrive whether all is well: the token, the fields, the webhook. What is not is in the connection's problems.

    Raises NotConnected, TokenRefused, Unreachable, Rejected.
    """
    connection.retry_at = None
    token = tokens.of(connection)
    pipedrive = client(connection, token, connection.domain, lane=Lane.INTERACTIVE, patience=PATIENCE)
    account = refresh(Account(connection, pipedrive, mapping_of(connection)))
    hooks.check(account)
    return account.connection


def _connection(workspace: Workspace, changes: Mapping[str, Any]) -> Connection:
    """The row to change. What is connected for the first time gets one that counts as disconnected until Pipedrive has agreed."""
    found: Connection | None = Connection.objects.for_workspace(workspace).first()
    serves = tokens.serves(workspace.pk)
    is_asleep = found is None or found.state == State.DISCONNECTED
    has_token = bool(found and found.sealed_token) or (serves and (not found or not is_asleep or "state" in changes))
    if not has_token and not changes.get("api_token"):
        raise ValidationFailed(fields={"api_token": [_("Enter the API token of a user of Pipedrive.")]})
    if found is None:
        found, _made = Connection.objects.get_or_create(workspace=workspace, defaults={"state": State.DISCONNECTED})
    return found


def _must_ask(connection: Connection, changes: Mapping[str, Any]) -> bool:
    is_awake = connection.state in (State.ACTIVE, State.PAUSED)
    return not is_awake or not connection.account or any(name in changes for name in _ASKING)


def _checked(connection: Connection, changes: Mapping[str, Any]) -> Connection:
    """The connection as it is wanted, after a look at the account. Raises ValidationFailed, Unreachable, Rejected."""
    domain = _domain(changes, connection)
    token = changes.get("api_token") or _kept_token(connection)
    pipedrive = client(connection, token, domain, lane=Lane.INTERACTIVE, patience=PATIENCE)
    who, setup = _read(pipedrive, connection, changes)
    with transaction.atomic():
        connection = locked(connection)
        keep(connection, who, setup)
        connection.domain = domain or who["domain"]
        if "api_token" in changes:
            connection.sealed_token = seal(token)
        choose(connection, changes)
        if connection.state != State.PAUSED:
            connection.state = State.ACTIVE
        connection.problem, connection.problem_at, connection.retry_at = "", None, None
        _set_plain(connection, changes)
    _see_to_webhook(Account(connection, pipedrive, mapping_of(connection)))
    return connection


def _set_plain(connection: Connection, changes: Mapping[str, Any]) -> None:
    """Set what nobody needs to be asked about, and save everything."""
    for name in ("scope", "takes_new", "state"):
        if name in changes:
            setattr(connection, name, changes[name])
    connection.save()
    limits = {column: changes[name] for name, column in _METER.items() if name in changes}
    if limits:
        TokenMeter.objects.update_or_create(
            connection=connection, defaults=limits, create_defaults=limits | {"workspace_id": connection.workspace_id}
        )


def _domain(changes: Mapping[str, Any], connection: Connection) -> str:
    if "domain" not in changes:
        return connection.domain if "api_token" not in changes else ""
    try:
        return tokens.company_domain(changes["domain"]) if changes["domain"].strip() else ""
    except ValueError as error:
        raise ValidationFailed(fields={"domain": [str(error)]})


def _kept_token(connection: Connection) -> str:
    if not connection.sealed_token:
        return str(settings.PIPEDRIVE_API_KEY)
    try:
        return tokens.of(connection)
    except TokenRefused as error:
        raise ValidationFailed(fields={"api_token": [sentence(connection, error)]})


def _read(
    pipedrive: Pipedrive, connection: Connection, changes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Who the token is, and what the account has."""
    try:
        return reading.who(pipedrive), reading.setup(pipedrive)
    except TokenRefused as error:
        raise ValidationFailed(
            fields={"api_token": [str(error) if "api_token" in changes else sentence(connection, error)]}
        )
    except Rejected as error:
        if changes.get("domain"):
            raise ValidationFailed(fields={"domain": [str(error)]})
        raise


def _see_to_webhook(account: Account) -> None:
    try:
        hooks.check(account)
    except (Unreachable, Rejected) as error:  # the nightly check tries again
        log.warning("pipedrive_webhook_not_registered", workspace=account.connection.workspace_id, reason=str(error))
