"""What every test may use. The database is a real PostgreSQL, always."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import translation
from rest_framework.test import APIClient

from accounts import tokens
from accounts.models import Membership, User
from accounts.tests.factories import make_member, make_user
from ai.tests.openai_server.fixture import openai_server, started_openai_server
from billing.tests.stripe_server.fixture import started_stripe_server, stripe_server
from crm.tests.pipedrive_server.fixture import pipedrive_server, started_pipedrive_server

__all__ = [
    "openai_server",
    "pipedrive_server",
    "started_openai_server",
    "started_pipedrive_server",
    "started_stripe_server",
    "stripe_server",
]


@pytest.fixture(autouse=True, scope="session")
def no_static_files() -> None:
    """WhiteNoise looks for all of them whenever a test makes a client; the tests of the running server ask for some."""
    settings.WHITENOISE_USE_FINDERS = False


@pytest.fixture(autouse=True)
def no_request_before() -> None:
    """A thread begins without a request's language and id; those of the test before may have left theirs."""
    translation.activate("en")
    structlog.contextvars.clear_contextvars()


@pytest.fixture(autouse=True)
def no_job_stays(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    """Django empties its own tables after a test with real transactions; the jobs' tables are not its own."""
    yield
    mark = request.node.get_closest_marker("django_db")
    if mark and mark.kwargs.get("transaction"):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM procrastinate_jobs")


@pytest.fixture
def member(db: None) -> Membership:
    """The admin of a workspace."""
    return make_member()


@pytest.fixture
def stranger(db: None) -> Membership:
    """The admin of another workspace, whose rows nobody else may see."""
    return make_member()


@pytest.fixture
def client_of() -> Callable[[Membership], APIClient]:
    """A client signed in as a member, as REST clients are: by access token."""

    def client(member: Membership, **headers: Any) -> APIClient:
        signed_in = APIClient(raise_request_exception=False, **headers)
        signed_in.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(member).access}", **headers)
        return signed_in

    return client


@pytest.fixture
def api(member: Membership, client_of: Callable[[Membership], APIClient]) -> APIClient:
    """A client signed in as `member`."""
    return client_of(member)


@pytest.fixture
def anonymous() -> APIClient:
    return APIClient(raise_request_exception=False)


@pytest.fixture
def operator(db: None) -> User:
    """Who runs the installation; a member of no workspace."""
    return make_user(is_superuser=True)


@pytest.fixture
def in_admin() -> Callable[[User], Client]:
    """A browser in which somebody is signed in to the admin."""

    def browser(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="accounts.backends.EmailOrUsername")
        return client

    return browser
