"""Secrets of others that we have to keep: sealed by the settings' key, so that a copy of the database alone gives none away.

With SECRET_KEY_FALLBACKS what a former key sealed can still be read, and sealed anew by the present one.
"""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unsealable(ValueError):
    """None of the keys has sealed this, or it was damaged."""


def seal(text: str) -> str:
    """A text that only the present key, or whoever has it among the former ones, turns back into this one."""
    return _seal(settings.SECRET_KEY).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What was sealed. Raises Unsealable."""
    try:
        return _every_seal().decrypt(sealed.encode()).decode()
    except (InvalidToken, UnicodeError) as error:
        raise Unsealable("sealed with another SECRET_KEY, or damaged") from error


def reseal(sealed: str) -> str:
    """The same secret sealed by the present key; the same text where that has sealed it already. Raises Unsealable."""
    try:
        _seal(settings.SECRET_KEY).decrypt(sealed.encode())
    except (InvalidToken, UnicodeError):
        return seal(unseal(sealed))
    return sealed


def _every_seal() -> MultiFernet:
    return MultiFernet([_seal(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@lru_cache(maxsize=8)
def _seal(key: str) -> Fernet:
    # the settings' key signs other things as well: what seals is made of it for this alone
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"zevix.sealing").derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
