"""Connecting a workspace, opening its account for work, and what becomes of it when something breaks."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.tests.factories import make_member, make_workspace
from accounts.tests.threads import at_once
from crm.errors import NotConnected, TokenRefused
from crm.models import ChangedLead, Connection, Creation, Deal, Link
from crm.pipedrive import accounts
from crm.pipedrive.limits import Lane
from crm.tests.factories import make_connection
from leads.tests.factories import make_lead
from zevix.errors import NotConfigured, Unreachable, ValidationFailed

pytestmark = pytest.mark.django_db


def an_account(connection):
    return accounts.open(connection, lane=Lane.INTERACTIVE, patience=5)


def a_week_old(connection):
    connection.account_read_at = timezone.now() - timedelta(days=7)
    connection.save()


# Whose account


def test_the_settings_account_is_the_default_workspaces_alone(pipedrive_server, settings):
    first, second = make_workspace(), make_workspace()
    settings.PIPEDRIVE_API_KEY = pipedrive_server.token

    connection = accounts.connection_of(first)

    assert (connection.sealed_token, connection.state) == ("", "active")
    assert an_account(connection).connection.company_name == "Stand-in Ltd"
    assert accounts.connection_of(first) == accounts.default_connection() == connection
    with pytest.raises(NotConnected):
        accounts.connection_of(second)


def test_the_default_workspace_is_the_one_that_the_settings_name(pipedrive_server, settings):
    make_workspace()
    named = make_workspace()
    settings.PIPEDRIVE_API_KEY = pipedrive_server.token
    settings.ZEVIX_DEFAULT_WORKSPACE = named.public_key or type(named).objects.get(pk=named.pk).public_key

    assert accounts.default_connection().workspace == named


def test_without_a_key_in_the_settings_nobody_is_connected():
    workspace = make_workspace()

    assert accounts.default_connection() is None
    with pytest.raises(NotConnected, match="not connected to Pipedrive"):
        accounts.connection_of(workspace)


def test_a_workspace_that_lost_the_settings_account_is_not_connected(pipedrive_server, settings):
    workspace = make_workspace()
    settings.PIPEDRIVE_API_KEY = pipedrive_server.token
    connection = accounts.connection_of(workspace)
    settings.PIPEDRIVE_API_KEY = ""

    with pytest.raises(NotConnected):
        accounts.connection_of(workspace)
    with pytest.raises(NotConnected):
        an_account(connection)


def test_the_domain_of_the_settings_must_be_one(settings):
    workspace = make_workspace()
    settings.PIPEDRIVE_API_KEY, settings.PIPEDRIVE_DOMAIN = "a" * 40, "evil.example"

    with pytest.raises(NotConfigured, match="PIPEDRIVE_DOMAIN"):
        an_account(accounts.connection_of(workspace))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("acme", "acme"),
        (" Acme.Pipedrive.com ", "acme"),
        ("https://acme.pipedrive.com/pipeline/1/user/everyone?x=1#y", "acme"),
        ("http://acme-2.pipedrive.com", "acme-2"),
    ],
)
def test_a_domain_is_understood_as_people_write_it(written, name):
    from crm.pipedrive.accounts.tokens import company_domain

    assert company_domain(written) == name


@pytest.mark.parametrize(
    "written",
    [
        "", "acme.example", "acme.pipedrive.com.evil.example", "https://evil.example/acme.pipedrive.com", "acme@evil.example",
        "https://user:pw@acme.pipedrive.com", "acme:8000", "a.b.pipedrive.com", "-acme", "a" * 64, "127.0.0.1", "äcme",
        "https://https://acme.pipedrive.com", "acme\n.pipedrive.com", "acme%2eevil", "acme\\evil.example", "ftp://acme.pipedrive.com",
    ],
)  # fmt: skip
def test_a_domain_never_names_another_host(written):
    from crm.pipedrive.accounts.tokens import company_domain

    with pytest.raises(ValueError, match="This is no domain of Pipedrive"):
        company_domain(written)


# Connecting


def test_connecting_reads_the_account_and_registers_the_webhook(member, pipedrive_server):
    connection = accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user)

    kept = Connection.objects.get()
    assert kept == connection
    assert pipedrive_server.token not in str(Connection.objects.values().get())
    assert (kept.company_id, kept.company_name, kept.user_id) == (7_313_377, "Stand-in Ltd", 1)
    assert (kept.domain, kept.currency, kept.state) == ("stand-in", "EUR", "active")
    assert (kept.pipeline_id, kept.stages) == (1, {"NEW": 1, "CONTACTED": 2, "QUALIFIED": 3, "PROPOSAL": 4})
    assert [hook["id"] for hook in pipedrive_server.world.tables["webhook"].values()] == [kept.webhook_id]
    assert accounts.hint(kept) == f"…{pipedrive_server.token[-4:]}"


def test_a_bad_token_connects_nothing(member, pipedrive_server):
    with pytest.raises(ValidationFailed) as refused:
        accounts.connect(member.workspace, token="b" * 40, by=member.user)

    assert refused.value.fields == {"api_token": ["Pipedrive could not do this: the API token is not valid"]}
    with pytest.raises(NotConnected):
        accounts.connection_of(member.workspace)


def test_while_pipedrive_is_down_nothing_is_connected_or_changed(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    before = Connection.objects.values().get()
    pipedrive_server.down()

    with pytest.raises(Unreachable):
        accounts.configure(member.workspace, {"api_token": "c" * 40, "scope": "linked"}, by=member.user)

    pipedrive_server.up()
    assert Connection.objects.values().get() == before
    assert an_account(connection).pipedrive.me()["id"] == 1


def test_a_new_token_of_the_same_company_keeps_its_links(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    lead = make_lead(member.workspace)
    link = Link.objects.create(workspace=member.workspace, connection=connection, lead=lead, person_id=5)
    pipedrive_server.token = "d" * 40

    accounts.connect(member.workspace, token="d" * 40, by=member.user)

    assert list(Link.objects.all()) == [link]
    assert len(pipedrive_server.world.tables["webhook"]) == 1


def test_another_company_begins_without_the_links_of_the_one_before(member, stranger, pipedrive_server, monkeypatch):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    lead = make_lead(member.workspace)
    mine = {"workspace": member.workspace, "connection": connection}
    Link.objects.create(**mine, lead=lead, person_id=5)
    Creation.objects.create(**mine, kind="person", key="a@x.example", remote_id=5)
    Deal.objects.create(**mine, lead=lead, remote_id=9, title="Old", status="open")
    Deal.objects.create(**mine, lead=lead, title="Still wanted", status="queued", person_id=5, stage_id=3)
    other = Connection.objects.create(workspace=stranger.workspace, company_id=7_313_377)
    Link.objects.create(workspace=stranger.workspace, connection=other, lead=make_lead(stranger.workspace), person_id=5)
    monkeypatch.setattr(pipedrive_server.world, "company_id", 99)

    accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user)

    assert Connection.objects.get(pk=connection.pk).company_id == 99
    assert [link.workspace for link in Link.objects.all()] == [stranger.workspace]
    assert list(Creation.objects.all()) == []
    assert list(Deal.objects.values_list("title", "person_id", "stage_id")) == [("Still wanted", None, None)]


def test_a_domain_that_pipedrive_tells_never_names_another_host(member, pipedrive_server, monkeypatch):
    monkeypatch.setattr(pipedrive_server.world, "company_domain", "evil.example/")

    connection = accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user)

    assert connection.domain == ""


@pytest.mark.django_db(transaction=True)
def test_two_who_connect_a_workspace_at_once_make_one_connection(member, pipedrive_server):
    def connect():
        accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user)

    at_once([connect, connect])

    connection = Connection.objects.get()
    accounts.check_now(connection)
    assert connection.state == "active"
    assert [hook["id"] for hook in pipedrive_server.world.tables["webhook"].values()] == [
        Connection.objects.get().webhook_id
    ]


# Opening


def test_an_open_account_asks_nothing_for_a_day(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)

    account = an_account(connection)

    assert len(account.mapping.fields) == 7
    assert pipedrive_server.requests == []


def test_after_a_day_the_account_is_read_anew(member, pipedrive_server):
    connection = make_connection(
        member.workspace,
        pipedrive_server,
        by=member.user,
        mapping=[{"lead": "city", "entity": "person", "field": "Nickname", "owner": "zevix"}],
    )
    pipedrive_server.people.fields.rename("person", "Nickname", "Town")
    a_week_old(connection)

    account = an_account(connection)

    assert [(field.name, field.label) for field in account.mapping.fields] == [("city", "Town")]
    assert account.mapping.problems == ["«Nickname» is now called «Town» in Pipedrive; the mapping follows."]


def test_yesterdays_reading_will_do_while_pipedrive_is_down(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    a_week_old(connection)
    pipedrive_server.down()

    account = an_account(connection)

    assert len(account.mapping.fields) == 7


def test_a_pipeline_that_is_deleted_there_is_told_and_persons_go_on(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    pipedrive_server.people.pipelines.create("Renewals", stages=["Open"])
    pipedrive_server.people.pipelines.delete(1)

    account = accounts.refresh(an_account(connection))

    assert "status" not in [field.name for field in account.mapping.fields]
    assert account.mapping.problems == [
        "The pipeline of the deals is no longer in Pipedrive. Choose another one: «Renewals»."
    ]


def test_a_refused_token_breaks_the_connection_until_it_is_mended(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    account = an_account(connection)
    good, pipedrive_server.token = pipedrive_server.token, "e" * 40

    with pytest.raises(TokenRefused):
        accounts.refresh(account)

    broken = Connection.objects.get()
    asked = len(pipedrive_server.requests)
    assert broken.state == "broken"
    assert broken.problem.startswith("Pipedrive does not accept the API token. Enter a new one")
    for _ in range(2):
        with pytest.raises(TokenRefused) as refused:
            an_account(broken)
        accounts.note_trouble(broken, refused.value)
    assert len(pipedrive_server.requests) == asked
    assert Connection.objects.get().problem == broken.problem
    accounts.connect(member.workspace, token="e" * 40, by=member.user)
    assert Connection.objects.values_list("state", "problem", "problem_at", "retry_at").get() == (
        "active",
        "",
        None,
        None,
    )
    assert good != pipedrive_server.token


def test_a_broken_connection_is_tried_again_after_an_hour_and_heals_by_itself(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    pipedrive_server.fail(how="402", times=1)
    with pytest.raises(TokenRefused):
        accounts.refresh(an_account(connection))
    broken = Connection.objects.get()
    assert broken.problem.startswith("The account of Pipedrive is closed or not paid for.")
    broken.retry_at = timezone.now()
    broken.save()

    account = an_account(broken)

    assert account.connection.state == Connection.objects.get().state == "active"
    assert Connection.objects.get().problem == ""


def test_trouble_with_a_former_token_does_not_break_the_present_one(member, pipedrive_server):
    old = make_connection(member.workspace, pipedrive_server, by=member.user)
    accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user)

    accounts.note_trouble(old, TokenRefused(vendor="Pipedrive", reason="no", kind="token"))

    assert Connection.objects.values_list("state", "problem").get() == ("active", "")


def test_a_changed_secret_key_breaks_the_connection_with_a_sentence(member, pipedrive_server, settings):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    settings.SECRET_KEY, former = "another", settings.SECRET_KEY

    with pytest.raises(TokenRefused):
        an_account(connection)

    assert Connection.objects.get().state == "broken"
    assert Connection.objects.get().problem.startswith("The API token can't be read: SECRET_KEY has changed.")
    assert accounts.hint(connection) == ""
    settings.SECRET_KEY_FALLBACKS = [former]
    assert accounts.check_now(Connection.objects.get()).state == "active"


# Disconnecting


def test_disconnecting_forgets_the_token_and_keeps_the_links(member, pipedrive_server):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    Link.objects.create(
        workspace=member.workspace, connection=connection, lead=make_lead(member.workspace), person_id=5
    )

    accounts.disconnect(member.workspace, by=member.user)

    kept = Connection.objects.get()
    assert (kept.state, kept.sealed_token, kept.sealed_webhook_password) == ("disconnected", "", "")
    assert pipedrive_server.world.tables["webhook"] == {}
    with pytest.raises(NotConnected):
        accounts.connection_of(member.workspace)
    with pytest.raises(NotConnected):
        an_account(kept)
    assert accounts.connect(member.workspace, token=pipedrive_server.token, by=member.user).state == "active"
    assert Link.objects.count() == 1


def test_one_disconnects_also_while_pipedrive_is_down(member, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)
    pipedrive_server.down()

    accounts.disconnect(member.workspace, by=member.user)

    assert Connection.objects.get().state == "disconnected"


def test_nobody_comes_back_to_the_settings_account_unasked(pipedrive_server, settings):
    member = make_member()
    settings.PIPEDRIVE_API_KEY = pipedrive_server.token
    accounts.looked_at(member.workspace)
    accounts.disconnect(member.workspace, by=member.user)

    with pytest.raises(ValidationFailed):
        accounts.configure(member.workspace, {"scope": "linked"}, by=member.user)
    assert accounts.default_connection() is None
    accounts.configure(member.workspace, {"state": "active"}, by=member.user)
    assert accounts.default_connection().state == "active"


def test_changed_leads_are_noted_for_those_who_are_connected(member, stranger, pipedrive_server):
    make_connection(member.workspace, pipedrive_server, by=member.user)

    lead = make_lead(member.workspace)
    make_lead(stranger.workspace)

    assert list(ChangedLead.objects.values_list("lead_id", flat=True)) == [lead.pk]
