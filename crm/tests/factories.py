from typing import Any

from accounts.models import Membership, User, Workspace
from accounts.tests.factories import make_member
from crm.models import Connection, TokenMeter
from crm.pipedrive import accounts
from crm.tests.pipedrive_server import PipedriveServer


def make_connection(
    workspace: Workspace, server: PipedriveServer, *, by: User | None = None, **choices: Any
) -> Connection:
    """The workspace connected with the stand-in's account, with the webhook registered. ``choices`` as in `accounts.configure`.

    Its meter lets pass what the stand-in would, and as many searches as a test may need.
    """
    connection = accounts.connect(workspace, token=server.token, by=by or _somebody(workspace), **choices)
    server.limits.searches = 1000
    TokenMeter.objects.filter(connection=connection).update(
        burst_limit=server.limits.burst, search_limit=server.limits.searches, daily_limit=server.limits.daily
    )
    server.requests.clear()
    return connection


def _somebody(workspace: Workspace) -> User:
    member = Membership.objects.filter(workspace=workspace).order_by("pk").first() or make_member(workspace=workspace)
    return member.user
