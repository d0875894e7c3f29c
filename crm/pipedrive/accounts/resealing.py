"""Secrets that were sealed with an older SECRET_KEY are sealed with the present one, so that the old one may go."""

from crm.models import Connection
from zevix import sealing

_SEALED = ("sealed_token", "sealed_webhook_password")


def reseal_all() -> None:
    for connection in Connection.objects.only(*_SEALED).iterator(chunk_size=500):
        for name in _SEALED:
            _reseal(connection, name, getattr(connection, name))


def _reseal(connection: Connection, name: str, sealed: str) -> None:
    if not sealed:
        return
    try:
        anew = sealing.reseal(sealed)
    except sealing.Unsealable:  # whoever needs it says so in words
        return
    # one that was replaced meanwhile stays
    Connection.objects.filter(pk=connection.pk, **{name: sealed}).update(**{name: anew})
