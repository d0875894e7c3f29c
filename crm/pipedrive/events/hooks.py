"""Our webhook in Pipedrive: registering it, and seeing to it that it is still there."""

import secrets
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from crm.models import Connection
from crm.pipedrive.accounts.opening import Account
from zevix.errors import Rejected, Unreachable
from zevix.sealing import Unsealable, seal, unseal

USER = "zevix"  # of its Basic authentication
NAME = "Zevix"
PATH = "/api/crm/webhooks/pipedrive/"


def url(connection: Connection) -> str:
    """Where Pipedrive sends events; its last part is known to the two of us alone."""
    return f"{settings.PUBLIC_URL}{PATH}{connection.webhook_secret}"


def register(account: Account) -> None:
    """Have events sent to us, by a new webhook; those of ours that are there already are deleted. What goes wrong is its problem, in words.

    Raises Unreachable, where that is noted as well.
    """
    connection = account.connection
    if _is_out_of_reach():
        _note(connection, webhook_id=None, webhook_problem=_out_of_reach())
        return
    try:
        _make_path(connection)
        _delete_ours(account)
        password = _new_password(connection)
        made = account.pipedrive.create_webhook(url(connection), user=USER, password=password, name=NAME)
    except Unreachable as error:
        _note(connection, webhook_id=None, webhook_problem=str(error))
        raise
    except Rejected as error:
        _note(
            connection,
            webhook_id=None,
            webhook_problem=_(
                "{reason} Until it is there, changes in Pipedrive are looked for every 15 minutes."
            ).format(reason=error),
        )
        return
    _note(connection, webhook_id=made["id"], webhook_problem="")


def check(account: Account) -> None:
    """See that the webhook is there once, active, and leads to us; else register it anew. Raises Unreachable."""
    ours = [row for row in account.pipedrive.webhooks() if _is_ours(row, account.connection)]
    if len(ours) == 1 and _works(ours[0], account.connection):
        _note(account.connection, webhook_problem="")
    else:
        register(account)


def remove(account: Account) -> None:
    """Have no more events sent. Raises Unreachable, Rejected."""
    _delete_ours(account)
    _note(account.connection, webhook_id=None, webhook_problem="")


def _works(row: dict[str, Any], connection: Connection) -> bool:
    return (
        row.get("id") == connection.webhook_id
        and row.get("subscription_url") == url(connection)
        and row.get("is_active") in (1, True)
        and _password_is_known(connection)
    )


def _password_is_known(connection: Connection) -> bool:
    try:
        return bool(unseal(connection.sealed_webhook_password))
    except Unsealable:
        return False


def _delete_ours(account: Account) -> None:
    """Also those that were registered under another PUBLIC_URL, and one whose answer never came."""
    for row in account.pipedrive.webhooks():
        if _is_ours(row, account.connection):
            account.pipedrive.delete_webhook(row["id"])


def _is_ours(row: dict[str, Any], connection: Connection) -> bool:
    secret = connection.webhook_secret
    return bool(secret) and str(row.get("subscription_url")).endswith(PATH + secret)


def _make_path(connection: Connection) -> None:
    """Two who connect at once agree on one."""
    without = Connection.objects.filter(pk=connection.pk, webhook_secret="")
    without.update(webhook_secret=secrets.token_urlsafe(24))
    connection.refresh_from_db(fields=["webhook_secret"])


def _new_password(connection: Connection) -> str:
    """It is kept before Pipedrive learns of it: the first event may come at once."""
    password = secrets.token_urlsafe(24)
    _note(connection, sealed_webhook_password=seal(password))
    return password


def _note(connection: Connection, **changes: Any) -> None:
    if any(getattr(connection, name) != value for name, value in changes.items()):
        Connection.objects.filter(pk=connection.pk).update(**changes)
        for name, value in changes.items():
            setattr(connection, name, value)


def _is_out_of_reach() -> bool:
    """Pipedrive itself can't send anything to this machine's own address."""
    return not settings.PIPEDRIVE_BASE_URL and _is_local(urlsplit(settings.PUBLIC_URL).hostname or "")


def _is_local(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local"))


def _out_of_reach() -> str:
    sentence = _(
        "Pipedrive can't send events to {url}: set PUBLIC_URL to an address that it can reach. Until then changes in Pipedrive are looked for every 15 minutes."
    )
    return sentence.format(url=settings.PUBLIC_URL)
