"""The connections to the AI's server: one client for each key and address, its connections kept from one question to the next."""

import asyncio
from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import Any

import httpx2
import openai
from django.conf import settings

from zevix.errors import NotConfigured

_OPENAI = "https://api.openai.com/v1"
_CONNECT = 5.0  # seconds

Address = tuple[str, str, float]
_of_loops: dict[tuple[asyncio.AbstractEventLoop, Address], tuple[openai.AsyncOpenAI, AsyncGenerator[None, None]]] = {}


def is_configured() -> bool:
    # with other letters it is no key, and no header either
    return bool(settings.OPENAI_API_KEY) and settings.OPENAI_API_KEY.isascii()


def require_configured() -> None:
    """Raise NotConfigured where there is no key that could be one."""
    if not is_configured():
        raise NotConfigured(setting="OPENAI_API_KEY")


def client() -> openai.OpenAI:
    """For every thread. Raises NotConfigured."""
    return _kept(_address())


async def async_client() -> openai.AsyncOpenAI:
    """For the running event loop, and closed with it. Raises NotConfigured."""
    place = (asyncio.get_running_loop(), _address())
    if place not in _of_loops:
        made = openai.AsyncOpenAI(**_arguments(place[1]))
        keeper = _close_with_the_loop(made, place)
        _of_loops[place] = made, keeper
        await anext(keeper)
    return _of_loops[place][0]


async def _close_with_the_loop(
    made: openai.AsyncOpenAI, place: tuple[asyncio.AbstractEventLoop, Address]
) -> AsyncGenerator[None, None]:
    # a loop that ends closes the generators that were begun in it, while connections can still be closed
    try:
        yield
    finally:
        del _of_loops[place]
        await made.close()


@lru_cache(maxsize=4)
def _kept(address: Address) -> openai.OpenAI:
    return openai.OpenAI(**_arguments(address))


def _address() -> Address:
    require_configured()
    return settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL or _OPENAI, settings.OPENAI_TIMEOUT


def _arguments(address: Address) -> dict[str, Any]:
    key, url, seconds = address
    return {
        "api_key": key,
        "base_url": url,
        "timeout": httpx2.Timeout(seconds, connect=_CONNECT),
        "max_retries": 0,  # ours know what can't have been paid for
    }
