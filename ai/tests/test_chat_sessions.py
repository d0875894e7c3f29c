"""The chats themselves: whose they are, how they begin, are read, listed and deleted."""

import uuid

import pytest

from accounts.models import Role, Workspace
from accounts.tests.factories import make_member
from ai.models import ChatMessage, ChatSession
from ai.tests.chats import (
    blocks,
    fixture_session_id,  # noqa: F401  # tests ask for it by name
    fixture_workspace,  # noqa: F401  # tests ask for it by name
    say,
)
from leads.models import Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db


# Which workspace ------------------------------------------------------------------------------------------------------------


def test_a_visitor_names_the_workspace_by_its_public_key_else_it_is_the_oldest(anonymous, member, stranger, settings):
    Workspace.objects.catalogue()
    oldest = Workspace.objects.tenants().order_by("pk").first()

    def begun(**body):
        answer = anonymous.post("/api/session", body)
        return ChatSession.objects.get(pk=answer.json()["session_id"]).workspace

    assert begun(workspace=stranger.workspace.public_key) == stranger.workspace
    assert begun() == oldest
    settings.ZEVIX_DEFAULT_WORKSPACE = stranger.workspace.public_key
    assert begun() == stranger.workspace


def test_a_default_workspace_that_there_is_not_is_named_by_its_setting(anonymous, workspace, settings):
    settings.ZEVIX_DEFAULT_WORKSPACE = "pk_nobody"

    answer = anonymous.post("/api/session", {})

    assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")
    assert "ZEVIX_DEFAULT_WORKSPACE" in answer.json()["message"]


def test_a_member_can_only_name_their_own_workspace(api, member, stranger, openai_server):
    mine = say(api, workspace=member.workspace.public_key)
    theirs = say(api, workspace=stranger.workspace.public_key)

    assert (mine.status_code, theirs.status_code) == (200, 400)


# Contact --------------------------------------------------------------------------------------------------------------------


def test_contact_details_given_on_purpose_make_a_lead_once(anonymous, workspace, openai_server):
    contact = {"name": "Anna Lee", "email": "anna@x.example", "company": ""}

    session_id = anonymous.post("/api/session", {"contact": contact}).json()["session_id"]
    say(anonymous, session_id=session_id, contact={"email": "other@x.example"})

    session = ChatSession.objects.get()
    lead = Lead.objects.get()
    assert (lead.workspace, lead.name, lead.email) == (workspace, "Anna Lee", "anna@x.example")
    assert (session.lead, session.visitor) == (lead, {"name": "Anna Lee", "email": "other@x.example"})
    assert blocks(openai_server.requests[0])["visitor"] == session.visitor


def test_contact_details_never_show_what_is_known_of_a_lead(anonymous, workspace, openai_server):
    make_lead(workspace, name="Anna", email="anna@x.example", notes="pays late")

    say(anonymous, contact={"email": "ANNA@x.example"})

    assert "pays late" not in str(openai_server.requests)
    assert Lead.objects.count() == 1


# Sessions -------------------------------------------------------------------------------------------------------------------


def test_a_chat_is_read_with_its_messages_by_whom_it_belongs_to(api, client_of, member, stranger, openai_server):
    openai_server.reply("By her name.")
    session_id = say(api, "How do I greet her?").json()["session_id"]
    colleague = make_member(workspace=member.workspace)

    mine = api.get(f"/api/session/{session_id}")
    others = [client_of(other).get(f"/api/session/{session_id}").status_code for other in (stranger, colleague)]

    body = mine.json()
    assert [(message["role"], message["content"], message["sources"]) for message in body["messages"]] == [
        ("user", "How do I greet her?", []),
        ("assistant", "By her name.", []),
    ]
    assert (body["session_id"], body["title"], body["message_count"]) == (session_id, "How do I greet her?", 2)
    assert others == [404, 404]


def test_a_members_chat_is_nobody_elses(api, anonymous, client_of, member, stranger, openai_server):
    session_id = say(api).json()["session_id"]
    colleague = client_of(make_member(workspace=member.workspace))
    others = [anonymous, client_of(stranger), colleague]

    answers = [
        answer.status_code
        for other in others
        for answer in (
            say(other, session_id=session_id),
            other.get(f"/api/session/{session_id}"),
            other.delete(f"/api/session/{session_id}"),
        )
    ]

    assert answers == [404] * 9
    assert ChatMessage.objects.count() == 2


def test_a_visitors_chat_is_reached_by_its_id(anonymous, session_id, openai_server):
    openai_server.reply("Hello.")
    say(anonymous, session_id=session_id)

    body = anonymous.get(f"/api/session/{session_id}").json()
    deleted = anonymous.delete(f"/api/session/{session_id}")

    assert set(body) == {"session_id", "language", "created_at", "last_at", "messages"}
    assert [message["content"] for message in body["messages"]] == ["Hello", "Hello."]
    assert (deleted.status_code, ChatSession.objects.count(), ChatMessage.objects.count()) == (204, 0, 0)
    assert anonymous.get(f"/api/session/{session_id}").status_code == 404


def test_a_visitors_chat_is_not_found_under_another_workspaces_key(anonymous, stranger, session_id, openai_server):
    answer = say(anonymous, session_id=session_id, workspace=stranger.workspace.public_key)

    assert answer.status_code == 404


def test_members_read_their_visitors_chats_and_managers_delete_them(api, client_of, member, stranger, session_id):
    agent = client_of(make_member(Role.AGENT, member.workspace))

    read = [client.get(f"/api/session/{session_id}").status_code for client in (api, agent, client_of(stranger))]
    deleted = [client.delete(f"/api/session/{session_id}").status_code for client in (client_of(stranger), agent, api)]

    assert read == [200, 200, 404]
    assert deleted == [404, 403, 204]


def test_members_do_not_speak_in_a_visitors_chat(api, session_id, openai_server):
    assert say(api, session_id=session_id).status_code == 404


@pytest.mark.parametrize("wrong", ["x", "0", "{id}", "urn:uuid:id", "%20", "a" * 1_000, str(uuid.UUID(int=7))])
def test_an_id_that_is_none_is_not_found(api, anonymous, session_id, openai_server, wrong):
    wrong = wrong.replace("id", session_id) if "id" in wrong else wrong

    answers = [
        client.generic(method, f"/api/session/{wrong}").status_code
        for client in (api, anonymous)
        for method in ("GET", "DELETE")
    ]
    said = [say(client, session_id=wrong[:100]).status_code for client in (api, anonymous)]

    assert (answers, said) == ([404] * 4, [404] * 2)


@pytest.mark.parametrize("count", [1, 3])
def test_a_members_chats_are_listed_the_latest_first(api, member, openai_server, django_assert_num_queries, count):
    for number in range(count):
        say(api, f"Question {number}")
    ChatSession.objects.create(workspace=member.workspace)
    ChatSession.objects.create(workspace=member.workspace, user=make_member(workspace=member.workspace).user)

    with django_assert_num_queries(2):  # who asks, and the page
        answer = api.get("/api/sessions")

    assert [row["title"] for row in answer.json()["results"]] == [f"Question {number}" for number in range(count)][::-1]


@pytest.mark.parametrize("count", [1, 3])
def test_members_list_the_chats_of_their_visitors(
    api, anonymous, member, stranger, openai_server, django_assert_num_queries, count
):
    contact = {"name": "Anna", "email": "anna@x.example"}
    for number in range(count):
        say(anonymous, f"Question {number}", workspace=member.workspace.public_key, contact=contact)
    say(anonymous, "Theirs", workspace=stranger.workspace.public_key)
    say(api, "Mine")

    with django_assert_num_queries(2):
        answer = api.get("/api/sessions?visitors=true")

    rows = answer.json()["results"]
    assert [row["title"] for row in rows] == [f"Question {number}" for number in range(count)][::-1]
    assert [row["visitor"] for row in rows] == [contact] * count


def test_the_pages_of_chats_follow_each_other(api, openai_server):
    for number in range(3):
        say(api, f"Question {number}")

    first = api.get("/api/sessions?limit=2").json()
    second = api.get(first["next"]).json()

    assert [row["title"] for row in first["results"] + second["results"]] == ["Question 2", "Question 1", "Question 0"]
    assert second["next"] is None


def test_a_members_key_begins_a_chat_once(api):
    answers = [api.post("/api/session", {}, headers={"Idempotency-Key": "a"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert ChatSession.objects.count() == 1


def test_a_visitors_key_is_none_where_a_chat_begins(anonymous, workspace):
    answer = anonymous.post("/api/session", {}, headers={"Idempotency-Key": "a"})

    assert answer.status_code == 201
