"""`pipedrive_server`, for every test of the project."""

from collections.abc import Iterator
from typing import Any

import pytest

from crm.pipedrive.client.connections import pool
from crm.tests.pipedrive_server import PipedriveServer


@pytest.fixture(scope="session")
def started_pipedrive_server() -> Iterator[PipedriveServer]:
    server = PipedriveServer()
    yield server
    server.stop()
    pool().close()  # what was kept open to it
    pool.cache_clear()


@pytest.fixture
def pipedrive_server(started_pipedrive_server: PipedriveServer, settings: Any) -> Iterator[PipedriveServer]:
    """An account in which nobody has worked yet, which the settings point at."""
    started_pipedrive_server.reset()
    settings.PIPEDRIVE_BASE_URL = started_pipedrive_server.url
    settings.PIPEDRIVE_PAUSES, settings.PIPEDRIVE_RUN_PAUSE = (0.02, 0.05), 0.2
    yield started_pipedrive_server
    started_pipedrive_server.slow(0)
    assert started_pipedrive_server.broken == []
