"""What the tests of billing share."""

import pytest

from accounts.tests.factories import make_workspace
from billing.signals import plan_changed
from billing.tests.selling import make_account, sell, subscribe


@pytest.fixture
def account(stripe_server):
    """A workspace that is Stripe's customer."""
    return make_account(make_workspace())


@pytest.fixture
def bought(stripe_server, account):
    """A subscription that the customer paid for, and whose events did not come yet."""
    return subscribe(stripe_server, account, sell("starter").stripe_price_id)


@pytest.fixture
def told():
    """The workspaces of which it was told that their plan is another."""
    heard = []

    def hear(workspace_id, **_more):
        heard.append(workspace_id)

    plan_changed.connect(hear)
    yield heard
    plan_changed.disconnect(hear)
