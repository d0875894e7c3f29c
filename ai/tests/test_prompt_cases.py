"""Cases, what must hold of an answer, and versions that are tried on them."""

import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ai import jobs
from ai.errors import TooManyCases
from ai.models import AICall, Prompt, PromptCase, PromptEvaluation
from ai.prompts import cases, checks, evaluating, versions
from zevix.errors import Unreachable

pytestmark = pytest.mark.django_db

PATH = "/api/v1/prompts/chat/cases"
CASE = {
    "name": "greets",
    "variables": {"messages": [{"role": "user", "content": "Hello"}]},
    "language": "en",
    "checks": [{"contains": "hello"}],
}


@pytest.fixture
def prompt(member):
    """A chat prompt of the member's workspace, version 1 published and 2 a draft."""
    made = versions.create("chat", {"english": "First {{ messages }}"}, workspace=member.workspace, by=member.user)
    versions.publish(made.versions.get(), by=member.user)
    versions.draft(made, {"english": "Second {{ messages }}"}, by=member.user)
    return made


@pytest.fixture
def two_answers(openai_server):
    """An AI that answers the published version and the draft differently."""

    def answers(first, second):
        openai_server.reply(first, when=lambda body: body["instructions"].startswith("First"))
        openai_server.reply(second, when=lambda body: body["instructions"].startswith("Second"))

    return answers


# Writing them


def test_cases_are_added_listed_and_removed(api, prompt, django_assert_num_queries):
    made = api.post(PATH, CASE)
    with django_assert_num_queries(3):
        one = api.get(PATH).json()["results"]
    for name in ("b", "c"):
        api.post(PATH, CASE | {"name": name})
    with django_assert_num_queries(3):
        three = api.get(PATH).json()["results"]

    gone = [api.delete(f"{PATH}/{made.json()['id']}") for _ in range(2)]

    assert (made.status_code, made.json()) == (201, {"id": made.json()["id"], **CASE})
    assert one == [made.json()]
    assert [row["name"] for row in three] == ["greets", "b", "c"]
    assert [answer.status_code for answer in gone] == [204, 404]


def test_another_workspaces_cases_are_not_found(api, prompt, stranger, client_of):
    theirs = client_of(stranger)
    theirs.post("/api/v1/prompts", {"key": "chat"})
    made = theirs.post(PATH, CASE).json()

    assert api.get(PATH).json()["results"] == []
    assert api.delete(f"{PATH}/{made['id']}").status_code == 404
    assert PromptCase.objects.count() == 1


def test_a_name_is_used_once(api, prompt):
    api.post(PATH, CASE)

    again = api.post(PATH, CASE)

    assert (again.status_code, again.json()["error"]) == (409, "conflict")


def test_a_prompt_has_a_hundred_cases_at_most(api, prompt):
    PromptCase.objects.bulk_create(PromptCase(prompt=prompt, name=str(number)) for number in range(cases.MOST))

    answer = api.post(PATH, CASE)

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


@pytest.mark.django_db(transaction=True)
def test_cases_that_come_at_once_do_not_pass_the_limit(prompt):
    PromptCase.objects.bulk_create(PromptCase(prompt=prompt, name=str(number)) for number in range(cases.MOST - 2))
    outcomes = []

    def add(name):
        try:
            cases.add(prompt, CASE | {"name": name})
            outcomes.append("added")
        except TooManyCases:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=[f"at once {number}"]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["added"] * 2 + ["refused"] * 4
    assert prompt.cases.count() == cases.MOST


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"name": ""}, {"name"}),
        ({"name": "x" * 201}, {"name"}),
        ({"language": "fr"}, {"language"}),
        ({"variables": []}, {"variables"}),
        ({"variables": "hello"}, {"variables"}),
        ({"variables": {"system": "x"}}, {"variables"}),
        ({"variables": {"lead": []}}, {"variables"}),
        ({"variables": {"lead": {"password": "x"}}}, {"variables"}),
        ({"variables": {"lead": {"notes": "a\x00"}}}, {"variables"}),
        ({"variables": {"lead": {"notes": "x" * 70_000}}}, {"variables"}),
        ({"variables": {"lead": {"score": 10**30}}}, {"variables"}),
        ({"variables": {"messages": ["Hello"]}}, {"variables"}),
        ({"variables": {"messages": [{"role": "system", "content": "x"}]}}, {"variables"}),
        ({"variables": {"messages": [{"role": ["user"], "content": "x"}]}}, {"variables"}),
        ({"checks": {}}, {"checks"}),
        ({"checks": ["contains"]}, {"checks"}),
        ({"checks": [{}]}, {"checks"}),
        ({"checks": [{"sounds_like": "x"}]}, {"checks"}),
        ({"checks": [{"contains": "a", "not_contains": "b"}]}, {"checks"}),
        ({"checks": [{"contains": ""}]}, {"checks"}),
        ({"checks": [{"contains": 7}]}, {"checks"}),
        ({"checks": [{"contains": "a\x00"}]}, {"checks"}),
        ({"checks": [{"matches": "("}]}, {"checks"}),
        ({"checks": [{"max_length": 0}]}, {"checks"}),
        ({"checks": [{"max_length": True}]}, {"checks"}),
        ({"checks": [{"max_length": 2**70}]}, {"checks"}),
        ({"checks": [{"language": "fr"}]}, {"checks"}),
        ({"checks": [{"equals": "WON"}]}, {"checks"}),
        ({"checks": [{"equals": {"path": "analysis.status"}}]}, {"checks"}),
        ({"checks": [{"equals": {"path": "analysis", "value": []}}]}, {"checks"}),
        ({"checks": [{"contains": "a"}] * 21}, {"checks"}),
        ({"other": 1}, {"other"}),
    ],
)
def test_a_case_that_is_not_right_is_a_validation_error(api, prompt, changed, fields):
    answer = api.post(PATH, CASE | changed)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert set(answer.json()["fields"]) == fields
    assert PromptCase.objects.count() == 0


# What must hold

REPLY = {"reply": "Guten Tag, Frau Doktor. Wir freuen uns auf das Gespräch mit Ihnen.", "analysis": {"status": "WON", "score": 1, "next": [{"name": None}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        ({"contains": "guten TAG"}, True),
        ({"contains": "Good day"}, False),
        ({"not_contains": "Good day"}, True),
        ({"not_contains": "guten"}, False),
        ({"matches": r"Frau \w+"}, True),
        ({"matches": "^Frau"}, False),
        ({"matches": "^(([a-zA-Z ]+)*)*[0-9]$"}, False),
        ({"max_length": len(REPLY["reply"])}, True),
        ({"max_length": len(REPLY["reply"]) - 1}, False),
        ({"language": "de"}, True),
        ({"language": "en"}, False),
        ({"equals": {"path": "analysis.status", "value": "WON"}}, True),
        ({"equals": {"path": "analysis.status", "value": "LOST"}}, False),
        ({"equals": {"path": "analysis.score", "value": 1}}, True),
        ({"equals": {"path": "analysis.score", "value": True}}, False),
        ({"equals": {"path": "analysis.next.0.name", "value": None}}, True),
        ({"equals": {"path": "analysis.next.1.name", "value": None}}, False),
        ({"equals": {"path": "analysis.nothing", "value": None}}, False),
        ({"equals": {"path": "reply.0", "value": "G"}}, False),
    ],
)
def test_a_check_holds_or_not(check, holds):
    assert checks.problems([check]) == []
    assert checks.failures([check], REPLY) == ([] if holds else [check])


@pytest.mark.parametrize(
    ("text", "language"),
    [("The offer is on its way to you.", "en"), ("Das Angebot ist auf dem Weg zu Ihnen.", "de")],
)
def test_a_language_is_known_by_its_small_words(text, language):
    assert checks.language_of(text) == language


# Trying them


def test_a_draft_is_tried_beside_the_published_version(prompt, member, two_answers):
    cases.add(prompt, CASE)
    cases.add(prompt, CASE | {"name": "is brief", "checks": [{"max_length": 10}]})
    two_answers("Hello, how do you do?", "Hi")

    evaluation = evaluating.evaluate(prompt.versions.get(number=2), by=member.user)

    assert evaluation == PromptEvaluation.objects.get()
    assert (evaluation.passed, evaluation.baseline_passed, evaluation.total) == (1, 1, 2)
    assert (evaluation.version.number, evaluation.baseline.number) == (2, 1)
    assert evaluation.results == [
        {"case": "greets", "failed": [{"contains": "hello"}], "baseline_failed": []},
        {"case": "is brief", "failed": [], "baseline_failed": [{"max_length": 10}]},
    ]
    assert not evaluation.is_worse
    assert list(AICall.objects.values_list("workspace", "user", "action").distinct()) == [
        (member.workspace_id, member.user_id, "evaluate")
    ]


def test_what_evaluating_everybodys_prompts_costs_is_the_catalogues(openai_server):
    prompt = Prompt.objects.get(workspace=None, key="chat")
    draft = versions.draft(prompt, {"english": "Second {{ messages }}"}, by=None)
    cases.add(prompt, CASE)
    openai_server.reply("Hello")

    evaluation = evaluating.evaluate(draft)

    assert (evaluation.passed, evaluation.baseline_passed) == (1, 1)
    assert {call.workspace.is_catalogue for call in AICall.objects.select_related("workspace")} == {True}


def test_an_answer_that_breaks_off_fails_its_case(prompt, two_answers, openai_server):
    cases.add(prompt, CASE)
    two_answers("Hello", "Hello")
    openai_server.incomplete(when=lambda body: body["instructions"].startswith("Second"))

    evaluation = evaluating.evaluate(prompt.versions.get(number=2))

    assert (evaluation.passed, evaluation.baseline_passed) == (0, 1)
    assert [list(check) for check in evaluation.results[0]["failed"]] == [["answer"]]


def test_an_ai_that_is_down_says_nothing_about_a_prompt(prompt, openai_server):
    cases.add(prompt, CASE)
    openai_server.fail(429, retry_after=1_000)

    with pytest.raises(Unreachable):
        evaluating.evaluate(prompt.versions.get(number=2))

    assert PromptEvaluation.objects.count() == 0


def test_an_analysis_is_looked_into(member, openai_server):
    prompt = versions.create("analyze_lead", {}, workspace=member.workspace, by=member.user)
    check = {"equals": {"path": "analysis.next_action_at", "value": "2026-12-01T09:00:00Z"}}
    cases.add(prompt, {"name": "when", "variables": {"lead": {"notes": "x"}}, "language": "de", "checks": [check]})
    openai_server.reply(
        {
            "status": "WON", "needs_action": False, "next_action_at": "2026-12-01T09:00:00Z",
            "next_action_description": "", "last_contact": None, "score": 99, "reason": "Gekauft.",
        }
    )  # fmt: skip

    evaluation = evaluating.evaluate(prompt.versions.get())

    assert (evaluation.passed, evaluation.baseline.prompt.workspace) == (1, None)


def test_the_job_evaluates_and_a_version_that_is_gone_is_none(prompt, two_answers, member):
    cases.add(prompt, CASE)
    two_answers("Hello", "Hello")

    jobs.evaluate_prompt(version_id=prompt.versions.get(number=2).pk, user_id=member.user_id)
    jobs.evaluate_prompt(version_id=0, user_id=member.user_id)

    assert PromptEvaluation.objects.count() == 1


# The command


def run(*args):
    out, err = StringIO(), StringIO()
    call_command("evaluate_prompt", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_compares_the_latest_draft_with_the_published_version(prompt, two_answers):
    cases.add(prompt, CASE)
    two_answers("Good day", "Hello")

    out, err = run("chat", f"--workspace={prompt.workspace_id}")

    assert out.splitlines() == [
        "case    version 2  published (1)",
        "greets  holds      1 failed",
        "1 of 1 cases hold, of the published 0",
    ]
    assert err == ""


def test_the_command_fails_where_the_draft_is_worse(prompt, two_answers, capsys):
    cases.add(prompt, CASE)
    two_answers("Hello", "Good day")

    with pytest.raises(SystemExit) as ended:
        run("chat", f"--workspace={prompt.workspace_id}", "--version=2")

    assert ended.value.code == 1
    assert versions.warning(prompt.versions.get(number=2)) == (
        "This version is worse than the one before it: 0 of 1 cases hold, of the other's 1."
    )


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["chat", "--workspace=0"], "There is no workspace 0."),
        (["summarize"], "There is no draft to be tried."),
        (["summarize", "--version=7"], "There is no version 7."),
        (["summarize", "--version=1"], "This prompt has no cases to be tried on."),
        (["poems"], "Error: argument key: invalid choice: 'poems'"),
    ],
)
def test_the_command_says_what_it_can_not_try(args, sentence):
    with pytest.raises(CommandError) as refused:
        run(*args)

    assert str(refused.value).startswith(sentence)


def test_the_command_says_that_there_is_no_key(prompt, settings):
    settings.OPENAI_API_KEY = ""
    cases.add(prompt, CASE)

    with pytest.raises(CommandError) as refused:
        run("chat", f"--workspace={prompt.workspace_id}")

    assert "OPENAI_API_KEY" in str(refused.value)
