"""Our webhook in Pipedrive."""

import pytest

from crm.models import Connection
from crm.pipedrive import accounts
from crm.pipedrive.events import hooks
from crm.pipedrive.limits import Lane
from crm.tests.factories import make_connection
from zevix.errors import Unreachable
from zevix.sealing import unseal

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    return accounts.open(connection, lane=Lane.INTERACTIVE, patience=5)


def registered(server):
    return list(server.world.tables["webhook"].values())


def test_a_webhook_for_everything_leads_to_a_path_that_nobody_can_guess(account, pipedrive_server, settings):
    (hook,) = registered(pipedrive_server)
    kept = Connection.objects.get()

    assert len(kept.webhook_secret) >= 32
    assert hook["subscription_url"] == f"{settings.PUBLIC_URL}/api/crm/webhooks/pipedrive/{kept.webhook_secret}"
    assert (hook["event_action"], hook["event_object"], hook["version"]) == ("*", "*", "2.0")
    assert (hook["http_auth_user"], hook["http_auth_password"]) == ("zevix", unseal(kept.sealed_webhook_password))
    assert hook["http_auth_password"] not in str(Connection.objects.values().get())


def test_one_that_works_is_left_alone(account, pipedrive_server):
    before = registered(pipedrive_server)

    hooks.check(account)

    assert registered(pipedrive_server) == before


@pytest.mark.parametrize("change", ["deleted", "inactive", "moved", "unreadable"])
def test_one_that_does_not_work_is_made_anew_and_there_is_one(account, pipedrive_server, settings, change):
    (before,) = registered(pipedrive_server)
    if change == "deleted":
        pipedrive_server.world.tables["webhook"].clear()
    elif change == "inactive":
        before["is_active"] = 0
    elif change == "moved":
        settings.PUBLIC_URL = "https://zevix.example"
    else:
        Connection.objects.update(sealed_webhook_password="damaged")
        account.connection.refresh_from_db()

    hooks.check(account)

    (hook,) = registered(pipedrive_server)
    kept = Connection.objects.get()
    assert hook["id"] == kept.webhook_id != before["id"]
    assert hook["subscription_url"] == hooks.url(kept)
    assert hook["http_auth_password"] == unseal(kept.sealed_webhook_password)
    assert kept.webhook_problem == ""


def test_of_two_that_lead_to_us_one_stays(account, pipedrive_server):
    account.pipedrive.create_webhook(hooks.url(account.connection), user="zevix", password="another", name="Zevix")

    hooks.check(account)

    assert [hook["id"] for hook in registered(pipedrive_server)] == [Connection.objects.get().webhook_id]


def test_webhooks_of_others_are_left_alone(account, pipedrive_server):
    account.pipedrive.create_webhook("https://other.example/x", user="u", password="p", name="Theirs")

    hooks.register(account)

    assert sorted(hook["name"] for hook in registered(pipedrive_server)) == ["Theirs", "Zevix"]


def test_one_whose_answer_never_came_is_found_again(account, pipedrive_server):
    pipedrive_server.world.tables["webhook"].clear()
    pipedrive_server.fail(on="POST /api/v1/webhooks", how="cut")
    with pytest.raises(Unreachable):
        hooks.check(account)
    problem = Connection.objects.get().webhook_problem

    hooks.check(account)

    assert problem
    assert [hook["id"] for hook in registered(pipedrive_server)] == [Connection.objects.get().webhook_id]
    assert Connection.objects.get().webhook_problem == ""


def test_a_refusal_is_told_in_words(account, pipedrive_server):
    pipedrive_server.world.tables["webhook"].clear()
    pipedrive_server.fail(on="POST /api/v1/webhooks", how="403")

    hooks.check(account)

    kept = Connection.objects.get()
    assert kept.webhook_id is None
    assert kept.webhook_problem.endswith("Until it is there, changes in Pipedrive are looked for every 15 minutes.")


def test_connecting_goes_well_without_a_webhook(member, pipedrive_server):
    pipedrive_server.fail(on="POST /api/v1/webhooks", how="403")

    connection = accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user)

    assert connection.state == "active"
    assert Connection.objects.get().webhook_problem


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000", "http://192.168.1.5", "http://zevix.local"],
)
def test_pipedrive_itself_is_not_sent_to_this_machines_own_address(account, settings, url):
    settings.PIPEDRIVE_BASE_URL, settings.PUBLIC_URL = "", url

    hooks.register(account)

    assert Connection.objects.get().webhook_problem == (
        f"Pipedrive can't send events to {url}: set PUBLIC_URL to an address that it can reach. "
        "Until then changes in Pipedrive are looked for every 15 minutes."
    )
