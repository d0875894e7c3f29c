"""Which pages of others may call the API."""

from urllib.parse import urlsplit

from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest, HttpResponse


def is_listed(origin: str) -> bool:
    """Whether ``CORS_ALLOWED_ORIGINS`` or ``CORS_ALLOWED_ORIGIN_REGEXES`` has it."""
    try:
        url = urlsplit(origin)
    except ValueError:
        return False
    return CorsMiddleware(_never_called).origin_found_in_white_lists(origin, url)


def _never_called(request: HttpRequest) -> HttpResponse:
    raise AssertionError("the middleware is asked for its rule only")
