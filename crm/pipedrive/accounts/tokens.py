"""Which token a connection works with, and at which address."""

import re

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import Workspace
from crm.errors import NotConnected, TokenRefused
from crm.models import Connection
from zevix.errors import NotConfigured
from zevix.sealing import Unsealable, unseal

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SCHEME = re.compile(r"^https?://")


def of(connection: Connection) -> str:
    """Its own, else the settings' one, which serves the default workspace alone. Raises NotConnected, TokenRefused (unreadable)."""
    if connection.state == Connection.State.DISCONNECTED:
        raise NotConnected
    if not connection.sealed_token:
        if not serves(connection.workspace_id):
            raise NotConnected
        return str(settings.PIPEDRIVE_API_KEY)
    try:
        return unseal(connection.sealed_token)
    except Unsealable:
        raise TokenRefused(vendor="Pipedrive", reason=_("the kept API token can't be read"), kind="unsealable")


def serves(workspace_id: int) -> bool:
    """Whether the account of the settings is this workspace's."""
    if not settings.PIPEDRIVE_API_KEY:
        return False
    default = Workspace.objects.default()
    return default is not None and default.pk == workspace_id


def hint(connection: Connection) -> str:
    """The last four characters of the token, behind an ellipsis; empty where there is none that can be read."""
    try:
        token = of(connection)
    except (NotConnected, TokenRefused):
        return ""
    return f"…{token[-4:]}" if len(token) >= 12 else "…"


def base_url(domain: str) -> str:
    """Where the API is. The operator's PIPEDRIVE_BASE_URL stands for all. Raises NotConfigured for a PIPEDRIVE_DOMAIN that is none."""
    if settings.PIPEDRIVE_BASE_URL:
        return str(settings.PIPEDRIVE_BASE_URL)
    return f"https://{domain or _settings_domain() or 'api'}.pipedrive.com"


def _settings_domain() -> str:
    if not settings.PIPEDRIVE_DOMAIN:
        return ""
    try:
        return company_domain(settings.PIPEDRIVE_DOMAIN)
    except ValueError:
        raise NotConfigured(setting="PIPEDRIVE_DOMAIN")


def company_domain(written: str) -> str:
    """``acme`` of ``acme``, ``acme.pipedrive.com`` or an address copied from the browser.

    Raises ValueError for all else: the token must not be sent to any other host.
    """
    host = re.split(r"[/?#]", _SCHEME.sub("", written.strip().lower()), maxsplit=1)[0]
    name = host.removesuffix(".pipedrive.com")
    if not _NAME.fullmatch(name):
        raise ValueError(_("This is no domain of Pipedrive: write it as acme or acme.pipedrive.com."))
    return name
