"""`openai_server`, for every test of the project."""

from collections.abc import Iterator
from typing import Any

import pytest

from ai.tests.openai_server import OpenAIServer


@pytest.fixture(scope="session")
def started_openai_server() -> Iterator[OpenAIServer]:
    server = OpenAIServer()
    yield server
    server.stop()


@pytest.fixture
def openai_server(started_openai_server: OpenAIServer, settings: Any) -> Iterator[OpenAIServer]:
    """An AI that has been asked nothing yet, which the settings point at."""
    started_openai_server.reset()
    settings.OPENAI_API_KEY = started_openai_server.key
    settings.OPENAI_BASE_URL = started_openai_server.url
    yield started_openai_server
    started_openai_server.slow(0)
    assert started_openai_server.faults == []
