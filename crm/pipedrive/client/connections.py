"""The connections to Pipedrive: one pool in a process, kept from one request to the next. They know no token."""

from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

_AT_ONCE = 100  # each is a thread's
_KEPT_FOR = 15.0  # seconds; they close idle ones themselves later


@lru_cache(maxsize=1)
def pool() -> "httpx2.Client":
    """For every account and thread. Redirects are not followed, cookies not kept: one account's would be sent with another's."""
    import httpx2  # a tenth of a second that only those who are connected spend

    limits = httpx2.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE, keepalive_expiry=_KEPT_FOR)
    cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.Client(limits=limits, cookies=cookies, follow_redirects=False)
