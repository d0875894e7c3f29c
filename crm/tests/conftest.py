import pytest

from crm.tests.asking import Ask, asking
from crm.tests.pipedrive_server import PipedriveServer


@pytest.fixture
def ask(pipedrive_server: PipedriveServer) -> Ask:
    """The stand-in, asked without our client."""
    return asking(pipedrive_server)
