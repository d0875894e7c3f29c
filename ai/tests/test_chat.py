"""Talks of members and visitors, as clients see them: the answers of `POST /api/chat` and what goes along with a question."""

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from ai import jobs
from ai.chat import history
from ai.models import AICall, ChatMessage, ChatSession
from ai.prompts import cases, evaluating, versions
from ai.tests.chats import (
    STREAM,
    blocks,
    events,
    fixture_workspace,  # noqa: F401  # tests ask for it by name
    say,
    spoken,
)
from ai.tests.documents import hand_in
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db


# Answers --------------------------------------------------------------------------------------------------------------------


def test_a_member_is_answered_in_a_chat_of_their_own(api, member, openai_server):
    openai_server.reply("By her name.")

    answer = say(api, "How do I greet her?")

    session = ChatSession.objects.get()
    assert (answer.status_code, answer.json()) == (
        200,
        {"session_id": str(session.pk), "reply": "By her name.", "sources": [], "proposals": [], "language": "en"},
    )
    assert (session.user, session.workspace, session.busy_until) == (member.user, member.workspace, None)
    assert list(ChatMessage.objects.order_by("seq").values_list("seq", "role", "text", "is_broken_off")) == [
        (1, "user", "How do I greet her?", False),
        (2, "assistant", "By her name.", False),
    ]
    assert list(AICall.objects.values_list("action", "outcome", "user_id")) == [
        ("assistant", "completed", member.user_id)
    ]


def test_a_visitor_is_answered_from_documents_and_told_which(anonymous, member, openai_server):
    hand_in(member, "A flat white costs 4 euros. An espresso costs 2 euros.", title="Prices")
    hand_in(member, "The flat white is made by a secret recipe.", title="Recipes", is_internal=True)
    openai_server.reply("It costs 4 euros [1].")

    answer = say(anonymous, "What does a flat white cost?", workspace=member.workspace.public_key)

    (source,) = answer.json()["sources"]
    told = blocks(openai_server.requests[-1])["passages"]
    assert answer.json()["reply"] == "It costs 4 euros [1]."
    assert (source["number"], source["title"], source["passage"]) == (1, "Prices", 1)
    assert "4 euros" in source["text"]
    assert [(passage["source"], passage["title"]) for passage in told] == [(1, "Prices")]
    assert ChatMessage.objects.get(role="assistant").sources == [source]


def test_sources_that_the_answer_does_not_cite_are_not_told(anonymous, member, openai_server):
    hand_in(member, "A flat white costs 4 euros.", title="Prices")
    openai_server.reply("I do not know [2], [0], [x], [99999].")

    answer = say(anonymous, "What does a flat white cost?", workspace=member.workspace.public_key)

    assert answer.json()["sources"] == []


def test_where_nothing_is_found_the_prompt_says_so(anonymous, workspace, openai_server):
    openai_server.reply("I know nothing about it.")

    say(anonymous, "What does it cost?")

    (body,) = openai_server.requests
    assert "is “passages” (not given)" in body["instructions"]
    assert blocks(body) == {}
    assert [tool["name"] for tool in body["tools"]] == ["search_knowledge", "create_lead"]


def test_an_answer_comes_as_events(anonymous, workspace, openai_server):
    openai_server.reply("We do not know.")

    answer = say(anonymous, "How much?", headers=STREAM)

    *deltas, sources, done = events(answer)
    whole = {
        "session_id": str(ChatSession.objects.get().pk),
        "reply": "We do not know.",
        "sources": [],
        "proposals": [],
        "language": "en",
    }
    assert [name for name, _data in deltas] == ["delta"] * 4
    assert "".join(data["text"] for _name, data in deltas) == "We do not know."
    assert (sources, done) == (("sources", {"sources": []}), ("done", whole))
    assert answer["Cache-Control"] == "no-cache, no-transform"
    assert answer["X-Accel-Buffering"] == "no"


def test_what_was_said_before_goes_along(api, openai_server):
    openai_server.reply("Hello, Anna.", times=1)
    openai_server.reply("Anna.", times=1)
    first = say(api, "I am Anna.").json()

    say(api, "Who am I?", session_id=first["session_id"])

    assert spoken(openai_server.requests[1]) == [
        ("user", "I am Anna."),
        ("assistant", "Hello, Anna."),
        ("user", "Who am I?"),
    ]


def test_a_member_talks_about_a_lead(api, member, openai_server):
    lead = make_lead(member.workspace, company="Black River Clinic")

    first = say(api, "What of them?", lead_id=lead.pk).json()
    say(api, "And now?", session_id=first["session_id"])

    assert [blocks(body)["lead"]["company"] for body in openai_server.requests] == ["Black River Clinic"] * 2
    assert "earlier_chats" not in blocks(openai_server.requests[1])
    assert ChatSession.objects.values_list("lead_id", "reads_untrusted").get() == (lead.pk, True)


def test_another_workspaces_lead_is_not_found(api, stranger, openai_server):
    lead = make_lead(stranger.workspace, company="Theirs")
    session_id = say(api).json()["session_id"]

    answers = [
        say(api, lead_id=number, **more) for number in (lead.pk, 2**63 - 1) for more in ({}, {"session_id": session_id})
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert (len(openai_server.requests), ChatSession.objects.count(), ChatMessage.objects.count()) == (1, 1, 2)


def test_a_lead_that_was_deleted_meanwhile_is_left_out(api, member, openai_server):
    lead = make_lead(member.workspace, company="Black River Clinic")
    session_id = say(api, lead_id=lead.pk).json()["session_id"]
    api.delete(f"/api/v1/leads/{lead.pk}")

    answer = say(api, "And now?", session_id=session_id)

    assert answer.status_code == 200
    assert "lead" not in blocks(openai_server.requests[-1])


def test_tools_are_used_and_what_came_of_them_goes_back(api, member, openai_server):
    lead = make_lead(member.workspace, company="Black River Clinic")
    openai_server.tool_call("find_lead", {"query": "river"})
    openai_server.tool_call("create_deal", {"lead_id": lead.pk, "title": "Bread", "value": 10, "currency": "EUR", "reason": None})  # fmt: skip
    openai_server.reply("Proposed.")

    answer = say(api, "Make a deal with River.").json()

    first, second, third = openai_server.requests
    (said,) = ChatMessage.objects.filter(role="assistant")
    outputs = [item["output"] for item in third["input"] if item.get("type") == "function_call_output"]
    assert len(first["tools"]) == 5
    assert "Black River Clinic" in outputs[0]
    assert answer["reply"] == "Proposed."
    assert answer["proposals"] == [member.workspace.proposals.get().pk]
    assert [tool["name"] for tool in said.tools] == ["find_lead", "create_deal"]
    assert [item.get("type") for item in second["input"]] == [None, "function_call", "function_call_output"]


def test_tools_end_after_four_rounds(api, openai_server):
    openai_server.tool_call("find_lead", {"query": "river"}, times=4)
    openai_server.reply("Nothing found.")

    answer = say(api, "Find River.")

    assert answer.json()["reply"] == "Nothing found."
    assert ["tools" in body for body in openai_server.requests] == [True] * 4 + [False]


def test_the_language_is_the_one_asked_for_and_stays(anonymous, workspace, openai_server):
    first = say(anonymous, "Hallo", language="de").json()

    second = say(anonymous, "Und?", session_id=first["session_id"]).json()
    third = say(anonymous, "And?", session_id=first["session_id"], language="en").json()

    assert [answer["language"] for answer in (first, second, third)] == ["de", "de", "en"]
    assert "Antworten Sie auf Deutsch." in openai_server.requests[1]["instructions"]


def test_a_workspaces_own_prompt_is_what_its_visitors_are_answered_by(anonymous, member, openai_server):
    written = {"english": "You sell bread. {{ passages }}"}
    prompt = versions.create("visitor", written, workspace=member.workspace, by=member.user)
    versions.publish(prompt.versions.get(), by=member.user)

    say(anonymous)

    assert openai_server.requests[0]["instructions"].startswith("You sell bread. “passages” (not given)")


@pytest.mark.parametrize("key", ["visitor", "assistant"])
def test_a_talks_prompt_is_tried_on_its_cases(member, openai_server, key):
    prompt = versions.create(key, {}, workspace=member.workspace, by=member.user)
    given = {
        "messages": [{"role": "user", "content": "What does it cost?"}],
        "passages": [{"title": "Prices", "text": "It costs 4 euros."}],
    }
    cases.add(prompt, {"name": "price", "language": "en", "variables": given, "checks": [{"contains": "4 euros"}]})
    openai_server.reply("4 euros [1].")

    evaluation = evaluating.evaluate(prompt.versions.get())

    body = openai_server.requests[0]
    assert (evaluation.passed, evaluation.baseline_passed, evaluation.total) == (1, 1, 1)
    assert blocks(body) == {"passages": given["passages"]}
    assert spoken(body) == [("user", "What does it cost?")]


# Summaries ------------------------------------------------------------------------------------------------------------------


def is_summing_up(body):
    return "Sum up the conversation" in body["instructions"]


def test_what_leaves_the_window_is_summed_up_and_the_summary_goes_along(api, openai_server):
    openai_server.reply("Answer")
    openai_server.reply("She wants bread.", when=is_summing_up)
    session_id = say(api, "I want bread. " + "x" * 19_000).json()["session_id"]
    say(api, "y" * 19_000, session_id=session_id)

    jobs.sum_up_chat(**ProcrastinateJob.objects.get(task_name="ai.jobs.sum_up_chat").args)
    say(api, "What do I want?", session_id=session_id)

    session = ChatSession.objects.get()
    (asked,) = filter(is_summing_up, openai_server.requests)
    body = openai_server.requests[-1]
    assert (session.summary, session.summarized_seq) == ("She wants bread.", 2)
    assert [message["role"] for message in blocks(asked)["messages"]] == ["user", "assistant"]
    assert blocks(body)["summary"] == "She wants bread."
    assert [text[:15] for _role, text in spoken(body)] == ["y" * 15, "Answer", "What do I want?"]


def test_until_it_is_summed_up_only_the_latest_of_a_long_talk_goes_along(api, openai_server):
    openai_server.reply("Answer")
    session_id = say(api, "x" * 15_000).json()["session_id"]

    say(api, "y" * 15_000, session_id=session_id)

    assert [len(text) for _role, text in spoken(openai_server.requests[-1])] == [6, 15_000]


def test_a_talk_is_summed_up_once_whoever_is_first(api, openai_server):
    openai_server.reply("Answer")
    session_id = say(api, "x" * 19_000).json()["session_id"]
    say(api, "y" * 19_000, session_id=session_id)
    first, second = ChatSession.objects.get(), ChatSession.objects.get()
    openai_server.reply("First", when=is_summing_up, times=1)
    openai_server.reply("Second", when=is_summing_up, times=1)

    history.sum_up(first)
    history.sum_up(second)

    assert ChatSession.objects.values_list("summary", "summarized_seq").get() == ("First", 2)


def test_a_second_summary_takes_over_the_first(api, openai_server):
    openai_server.reply("Answer")
    openai_server.reply("Bread.", when=is_summing_up, times=1)
    openai_server.reply("Bread and milk.", when=is_summing_up, times=1)
    session_id = say(api, "x" * 19_000).json()["session_id"]
    for _ in range(2):
        say(api, "y" * 19_000, session_id=session_id)
        history.sum_up(ChatSession.objects.get())

    _first, second = filter(is_summing_up, openai_server.requests)
    assert blocks(second)["messages"][0] == {"role": "summary", "content": "Bread."}
    assert ChatSession.objects.get().summary == "Bread and milk."
