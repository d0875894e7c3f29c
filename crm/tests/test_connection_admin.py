"""Connections in the admin."""

import json

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from accounts.tests.factories import make_member
from crm.models import Connection
from crm.tests.factories import make_connection

pytestmark = pytest.mark.django_db

LIST = reverse("admin:crm_connection_changelist")
ADD = reverse("admin:crm_connection_add")


def page_of(connection):
    return reverse("admin:crm_connection_change", args=[connection.pk])


def as_form(browser, connection, **changes):
    """What the page's form sends, with some of it changed."""
    form = browser.get(page_of(connection)).context["adminform"].form
    shown = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    texts = {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in shown.items()}
    sent = {name: value for name, value in (texts | changes).items() if value not in (None, False)}
    return browser.post(page_of(connection), sent)


def said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def act(browser, action, *connections):
    rows = [connection.pk for connection in connections]
    return browser.post(LIST, {"action": action, "_selected_action": rows, "index": "0", "select_across": "0"})


def test_a_manager_connects_their_workspace(member, pipedrive_server, in_admin):
    browser = in_admin(member.user)
    form = {"workspace": member.workspace_id, "api_token": pipedrive_server.token, "scope": "all", "takes_new": "on"}

    answer = browser.post(ADD, form)

    connection = Connection.objects.get()
    assert answer.status_code == 302
    assert (connection.workspace, connection.company_name, connection.state) == (
        member.workspace,
        "Stand-in Ltd",
        "active",
    )
    assert pipedrive_server.token not in browser.get(page_of(connection)).content.decode()


def test_a_bad_token_is_told_and_connects_nothing(member, pipedrive_server, in_admin):
    form = {"workspace": member.workspace_id, "api_token": "0" * 40, "scope": "all"}

    answer = in_admin(member.user).post(ADD, form)

    assert said(answer) == ["Some of the input is not valid. Pipedrive could not do this: the API token is not valid"]
    assert list(Connection.objects.values_list("state", flat=True)) == ["disconnected"]


def test_saving_a_page_as_it_is_changes_and_asks_nothing(member, pipedrive_server, in_admin):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    before = Connection.objects.values().get()

    answer = as_form(in_admin(member.user), connection)

    assert answer.status_code == 302
    assert Connection.objects.values().get() == before
    assert pipedrive_server.requests == []


def test_fields_and_stages_are_checked_as_in_the_api(member, pipedrive_server, in_admin):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    browser = in_admin(member.user)
    entry = {"lead": "city", "entity": "person", "field": "Nicknam", "owner": "zevix"}

    refused = as_form(browser, connection, entries=json.dumps([entry]), stage_names='{"NEW": "Nowhere"}')
    saved = as_form(browser, connection, entries=json.dumps([entry | {"field": "Nickname"}]), stage_names='{"NEW": 2}')

    assert "Did you mean «Nickname»?" in said(refused)[0]
    assert "There is no stage «Nowhere» in this pipeline." in said(refused)[0]
    assert saved.status_code == 302
    connection.refresh_from_db()
    assert connection.stages == {"NEW": 2}
    assert [(kept["lead"], kept["field"]) for kept in connection.mapping] == [("city", "Nickname")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entries", "{"), ("entries", "{}"), ("entries", "[1]"), ("entries", '[{"lead": "city"}]'),
        ("entries", '[{"lead": "city", "entity": "person", "field": "x", "colour": 1}]'), ("stage_names", "[1]"),
        ("stage_names", '{"NEW": []}'), ("api_token", "a b"), ("pipeline", "99"), ("pipeline", "x"),
    ],
)  # fmt: skip
def test_what_is_no_mapping_is_told_at_its_field(member, pipedrive_server, in_admin, field, value):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)

    answer = as_form(in_admin(member.user), connection, **{field: value})

    assert answer.status_code == 200
    assert set(answer.context["adminform"].form.errors) == {field}


def test_pausing_resuming_and_checking(member, pipedrive_server, in_admin):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    browser = in_admin(member.user)

    sentences = []
    states = []
    for action in ("pause", "resume", "check_now"):
        sentences.append(said(act(browser, action, connection))[-1])
        states.append(Connection.objects.get().state)

    assert states == ["paused", "active", "active"]
    assert sentences == ["1 connection is paused.", "1 connection goes on.", "1 connection works."]


def test_a_check_that_fails_says_why(member, pipedrive_server, in_admin):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)
    pipedrive_server.token = "0" * 40

    answer = act(in_admin(member.user), "check_now", connection)

    assert said(answer)[0] == "Stand-in Ltd: Pipedrive could not do this: the API token is not valid"
    assert Connection.objects.get().state == "broken"


def test_disconnecting(member, pipedrive_server, in_admin):
    connection = make_connection(member.workspace, pipedrive_server, by=member.user)

    act(in_admin(member.user), "disconnect", connection)

    assert Connection.objects.values_list("state", "sealed_token").get() == ("disconnected", "")


def test_nobody_acts_on_a_strangers_connection(member, stranger, pipedrive_server, in_admin):
    theirs = make_connection(stranger.workspace, pipedrive_server)
    before = Connection.objects.values().get()
    browser = in_admin(member.user)

    for action in ("pause", "resume", "check_now", "disconnect"):
        act(browser, action, theirs)
    answers = [browser.get(page_of(theirs)).status_code, browser.post(page_of(theirs), {"scope": "linked"}).status_code]
    added = browser.post(ADD, {"workspace": stranger.workspace_id, "api_token": pipedrive_server.token, "scope": "all"})

    assert answers == [302, 302]
    assert added.status_code == 200
    assert Connection.objects.values().get() == before


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_as_many_queries_for_any_number_of_rows(rows, operator, in_admin, django_assert_num_queries):
    for _ in range(rows):
        Connection.objects.create(workspace=make_member().workspace)
    browser = in_admin(operator)
    browser.get(LIST)

    with django_assert_num_queries(4):
        answer = browser.get(LIST)

    assert len(answer.context["cl"].result_list) == rows
