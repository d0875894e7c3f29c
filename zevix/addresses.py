"""Where a request came from."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The caller's address, behind ``TRUSTED_PROXIES`` proxies of our own; what a stranger wrote in the header never counts.

    A header that holds no address where our proxies should have written one is ignored.
    """
    direct = request.META.get("REMOTE_ADDR", "")
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if not settings.TRUSTED_PROXIES or not hops:
        return direct
    try:
        return str(ip_address(hops[-min(settings.TRUSTED_PROXIES, len(hops))]))
    except ValueError:
        return direct
