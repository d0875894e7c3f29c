"""Chats in the admin."""

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from ai.chat import visitors
from ai.models import ChatMessage, ChatSession
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

LIST = reverse("admin:ai_chatsession_changelist")


def make_chat(workspace, *said, **fields):
    chat = ChatSession.objects.create(workspace=workspace, last_seq=len(said), **fields)
    for seq, text in enumerate(said, start=1):
        role = "user" if seq % 2 else "assistant"
        ChatMessage.objects.create(workspace=workspace, session=chat, seq=seq, role=role, text=text)
    return chat


def page_of(chat):
    return reverse("admin:ai_chatsession_change", args=[chat.pk])


@pytest.fixture
def manager(member):
    return make_member(Role.MANAGER, member.workspace)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


def test_a_chat_is_read_as_a_conversation(browser, member):
    lead = make_lead(member.workspace)
    chat = make_chat(
        member.workspace, "What does <it> cost?", "4 euros [1].\nReally.", lead=lead, visitor={"name": "Anna"}
    )
    chat.messages.filter(seq=2).update(
        sources=[{"number": 1, "title": "Prices", "passage": 7}],
        tools=[{"name": "search_knowledge", "arguments": {"query": "cost"}, "result": {"found": 1}}],
        is_broken_off=True,
    )

    page = browser.get(page_of(chat)).content.decode()

    for shown in (
        "What does &lt;it&gt; cost?",
        "4 euros [1].<br>Really.",
        "[1] Prices · 7",
        "search_knowledge",
        "broken off",
    ):
        assert shown in page
    assert "Visitor, Anna" in page
    assert reverse("admin:leads_lead_change", args=[lead.pk]) in page


def test_a_lead_that_was_deleted_is_no_link(browser, member):
    chat = make_chat(member.workspace, "Hello", lead_id=2**40)

    answers = [browser.get(page) for page in (LIST, page_of(chat))]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert str(2**40) not in answers[1].content.decode()


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_for_any_number_of_chats(browser, member, django_assert_num_queries, count):
    lead = make_lead(member.workspace)
    for number in range(count):
        make_chat(member.workspace, f"Question {number}", lead=lead, user=member.user)
    browser.get(LIST)

    with django_assert_num_queries(7):
        page = browser.get(LIST).content.decode()

    assert page.count("Question ") == count


@pytest.mark.parametrize(("who", "shown"), [("visitors", "Theirs"), ("members", "Ours")])
def test_visitors_and_members_are_told_apart(browser, member, who, shown):
    make_chat(member.workspace, "Theirs")
    make_chat(member.workspace, "Ours", user=member.user)

    page = browser.get(LIST, {"who": who}).content.decode()

    assert [word for word in ("Theirs", "Ours") if word in page] == [shown]


@pytest.mark.parametrize("term", ["FLAT WHITE", "customer-7", "second answer"])
def test_chats_are_found_by_what_was_said_and_by_whom(browser, member, term):
    make_chat(member.workspace, "A flat white?", "The second answer", "And a flat white?", visitor_id="customer-7")
    make_chat(member.workspace, "Something else")

    page = browser.get(LIST, {"q": term}).content.decode()

    assert (page.count("A flat white?"), "Something else" in page) == (1, False)


def test_managers_delete_a_chat(browser, member):
    chat = make_chat(member.workspace, "Forget me", "Gladly")

    browser.post(reverse("admin:ai_chatsession_delete", args=[chat.pk]), {"post": "yes"})

    assert (ChatSession.objects.count(), ChatMessage.objects.count()) == (0, 0)


def test_nobody_writes_a_chat(browser, member):
    chat = make_chat(member.workspace, "Hello")

    answers = [
        browser.post(page_of(chat), {"summary": "Something"}).status_code,
        browser.get(reverse("admin:ai_chatsession_add")).status_code,
    ]

    assert answers == [403, 403]


def test_managers_see_what_their_website_needs_and_the_operator_nobodys(browser, in_admin, operator, member, stranger):
    own, theirs = (visitors.secret_of(one.workspace) for one in (member, stranger))

    managers, operators = browser.get(LIST).content.decode(), in_admin(operator).get(LIST).content.decode()

    assert (own in managers, theirs in managers, member.workspace.public_key in managers) == (True, False, True)
    assert (own in operators, theirs in operators) == (False, False)
