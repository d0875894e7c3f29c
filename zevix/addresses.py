"""Where a request came from."""

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The caller's address, behind ``TRUSTED_PROXIES`` proxies of our own; what a stranger wrote in the header never counts."""
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if settings.TRUSTED_PROXIES and hops:
        return hops[-min(settings.TRUSTED_PROXIES, len(hops))]
    return request.META.get("REMOTE_ADDR", "")
