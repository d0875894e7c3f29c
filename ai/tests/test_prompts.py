"""Prompts: everybody's and one's own, in versions, published and rolled back by label."""

import threading

import pytest
from django.db import connection

from accounts.models import Role
from accounts.tests.factories import make_member
from ai.models import Prompt, PromptEvaluation, PromptRelease, PromptVersion
from ai.prompts import seeding, templates, versions
from ai.prompts.keys import KEYS, VARIABLES

pytestmark = pytest.mark.django_db

PATH = "/api/v1/prompts"
CHAT = "Answer {{ messages }} briefly."


def own_chat(api, **fields):
    """A chat prompt of the workspace's own, with a draft."""
    answer = api.post(PATH, {"key": "chat", "english": CHAT, **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def say_something(api, openai_server, **data):
    openai_server.reply("All right.")
    return api.post("/ai", {"action": "chat", "data": {"messages": [{"role": "user", "content": "Hi"}], **data}})


# What is delivered


@pytest.mark.parametrize("key", KEYS)
def test_every_action_begins_with_a_published_version_in_both_languages(key):
    version = PromptVersion.objects.get(prompt__key=key, prompt__workspace=None)

    assert (version.number, version.status) == (1, "published")
    assert templates.problems(version.english, VARIABLES[key]) == []
    assert templates.problems(version.german, VARIABLES[key]) == []
    assert version.english != version.german
    assert PromptRelease.objects.get(version=version).label == "production"


def test_what_the_operator_made_of_a_prompt_outlives_a_migration(member):
    prompt = Prompt.objects.get(workspace=None, key="chat")
    version = versions.draft(prompt, {"english": CHAT}, by=None)
    versions.publish(version, by=None)

    seeding.seed("default")

    assert versions.current("chat", member.workspace) == version
    assert Prompt.objects.count() == len(KEYS)


# Templates


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Answer {{ messages }}.", 0),
        ("Answer {{messages}} to {{  lead  }}.", 0),
        ("Answer { messages } and {messages} and {{ messages }}.", 0),
        ("Answer.", 1),
        ("", 1),
        ("Answer {{ messages }} of {{ secret }}.", 1),
        ("Answer {{ messages }} of {{ messages.0 }}.", 1),
        ("Answer {{ messages|safe }}.", 2),
        ("Answer {{ messages }} and {{ }}.", 1),
        ("Answer {{ messages }} }}.", 1),
        ("Answer {{{{ messages }}}}.", 1),
        ("{% load x %}{{ messages }}", 0),
        ("Answer {{ MESSAGES }}.", 2),
    ],
)
def test_a_text_names_what_its_action_has_and_nothing_else(text, sentences):
    assert len(templates.problems(text, VARIABLES["chat"])) == sentences


def test_a_value_is_not_interpreted_again():
    shown = templates.render("{{ a }} {{ b }}", {"a": "{{ b }}", "b": r"\1 {{ a }}"})

    assert shown == r"{{ b }} \1 {{ a }}"


# Own prompts


def test_a_workspace_sees_everybodys_prompts_until_it_has_its_own(api, stranger, client_of, django_assert_num_queries):
    client_of(stranger).post(PATH, {"key": "summarize"})

    with django_assert_num_queries(2):
        none_own = api.get(PATH).json()
    for key in ("chat", "follow_up", "analyze_lead"):
        api.post(PATH, {"key": key})
    with django_assert_num_queries(2):
        three_own = api.get(PATH).json()

    assert [(row["key"], row["is_own"], row["labels"]) for row in none_own["results"]] == [
        (key, False, {"production": 1}) for key in sorted(KEYS)
    ]
    assert {row["key"]: row["labels"] for row in three_own["results"] if row["is_own"]} == {
        "analyze_lead": {},
        "chat": {},
        "follow_up": {},
    }
    assert (three_own["next"], three_own["previous"]) == (None, None)


def test_ones_own_prompt_begins_as_everybodys(api, member):
    made = api.post(PATH, {"key": "chat", "temperature": 0.9, "note": "warmer"})

    shown = api.get(f"{PATH}/chat").json()
    (version,) = shown["versions"]
    assert (made.status_code, made.headers["Location"]) == (201, f"{PATH}/chat")
    assert made.json() == {name: value for name, value in shown.items() if name != "versions"}
    assert (shown["is_own"], shown["required_variables"]) == (True, ["messages"])
    assert version.pop("created_at")
    assert version == {
        "number": 1,
        "status": "draft",
        "english": seeding.text("chat", "en"),
        "german": seeding.text("chat", "de"),
        "model": "",
        "temperature": 0.9,
        "max_output_tokens": 800,
        "note": "warmer",
        "user_id": member.user_id,
    }


def test_an_english_text_of_ones_own_stands_for_both_languages(api, openai_server):
    own_chat(api)
    api.post(f"{PATH}/chat/versions/1/publish", {})

    answer = say_something(api, openai_server, language="de")

    told = openai_server.requests[0]["instructions"]
    assert (answer.status_code, answer.json()["language"]) == (200, "de")
    assert told.startswith("Answer “messages” briefly.")
    assert told.endswith("Answer in German.")


def test_there_is_one_prompt_of_ones_own_for_a_key(api):
    own_chat(api)

    again = api.post(PATH, {"key": "chat"})

    assert (again.status_code, again.json()["error"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"key"}),
        ([], {"non_field_errors"}),
        ({"key": "poems"}, {"key"}),
        ({"key": "chat", "english": ""}, {"english"}),
        ({"key": "chat", "english": "No variable"}, {"english"}),
        ({"key": "chat", "english": CHAT, "german": "{{ password }}"}, {"german"}),
        ({"key": "chat", "english": CHAT + "\x00"}, {"english"}),
        ({"key": "chat", "english": CHAT + "x" * 20_000}, {"english"}),
        ({"key": "chat", "english": [CHAT]}, {"english"}),
        ({"key": "chat", "temperature": 2.1}, {"temperature"}),
        ({"key": "chat", "temperature": "hot"}, {"temperature"}),
        ({"key": "chat", "temperature": "nan"}, {"temperature"}),
        ({"key": "chat", "max_output_tokens": 15}, {"max_output_tokens"}),
        ({"key": "chat", "max_output_tokens": 2**70}, {"max_output_tokens"}),
        ({"key": "chat", "model": "x" * 101}, {"model"}),
        ({"key": "chat", "status": "published"}, {"status"}),
    ],
)
def test_a_prompt_that_is_not_right_is_a_validation_error(api, body, fields):
    answer = api.post(PATH, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert set(answer.json()["fields"]) == fields
    assert Prompt.objects.exclude(workspace=None).count() == 0


def test_everybodys_prompts_are_only_read(api):
    answers = [
        api.post(f"{PATH}/chat/versions", {"english": CHAT}),
        api.patch(f"{PATH}/chat/versions/1", {"note": "mine"}),
        api.post(f"{PATH}/chat/versions/1/publish", {}),
        api.post(f"{PATH}/chat/rollback", {}),
        api.post(f"{PATH}/chat/cases", {"name": "x", "variables": {}, "checks": []}),
        api.delete(f"{PATH}/chat/cases/1"),
    ]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(403, "permission_denied")] * 6
    assert PromptVersion.objects.count() == len(KEYS)


@pytest.mark.parametrize(("role", "status"), [(Role.AGENT, 403), (Role.MANAGER, 201), (Role.ADMIN, 201)])
def test_managers_change_and_everybody_reads(client_of, role, status):
    member = client_of(make_member(role))

    answers = [member.post(PATH, {"key": "chat"}), member.get(PATH), member.get(f"{PATH}/chat")]

    assert [answer.status_code for answer in answers] == [status, 200, 200]


def test_what_there_is_not_is_not_found(api):
    own_chat(api)

    answers = [
        api.get(f"{PATH}/poems"),
        api.post(f"{PATH}/poems/versions", {}),
        api.get(f"{PATH}/chat/versions/2"),
        api.get(f"{PATH}/chat/versions/{2**70}"),
        api.patch(f"{PATH}/chat/versions/2", {}),
        api.post(f"{PATH}/chat/versions/2/publish", {}),
        api.delete(f"{PATH}/chat/cases/{2**70}"),
    ]

    assert {answer.status_code for answer in answers} == {404}


def test_another_workspaces_prompt_is_neither_seen_nor_used(api, stranger, client_of, openai_server):
    theirs = client_of(stranger)
    own_chat(theirs, note="theirs")
    theirs.post(f"{PATH}/chat/versions/1/publish", {})

    answer = say_something(api, openai_server)

    assert answer.status_code == 200
    assert CHAT.split()[0] not in openai_server.requests[0]["instructions"].split("\n")[0]
    assert not api.get(f"{PATH}/chat").json()["is_own"]
    assert b"theirs" not in api.get(f"{PATH}/chat").content
    assert api.patch(f"{PATH}/chat/versions/1", {"note": "x"}).status_code == 403


# Versions


def test_a_new_version_is_like_the_published_one_but_for_what_is_said(api):
    own_chat(api, german="Kurz: {{ messages }}", temperature=0.1)
    api.post(f"{PATH}/chat/versions/1/publish", {})
    api.post(f"{PATH}/chat/versions", {"english": "Draft {{ messages }}"})

    answer = api.post(f"{PATH}/chat/versions", {"max_output_tokens": 99})

    body = answer.json()
    assert answer.status_code == 201
    assert (body["number"], body["status"]) == (3, "draft")
    assert (body["english"], body["german"]) == (CHAT, "Kurz: {{ messages }}")
    assert (body["temperature"], body["max_output_tokens"]) == (0.1, 99)


def test_versions_cost_the_same_to_read_however_many(api, django_assert_num_queries):
    own_chat(api)
    with django_assert_num_queries(4):
        one = api.get(f"{PATH}/chat").json()["versions"]
    for _ in range(2):
        api.post(f"{PATH}/chat/versions", {})

    with django_assert_num_queries(4):
        three = api.get(f"{PATH}/chat").json()["versions"]

    assert ([row["number"] for row in one], [row["number"] for row in three]) == ([1], [3, 2, 1])


def test_a_draft_can_be_changed_and_what_was_published_stays(api):
    own_chat(api)
    changed = api.patch(f"{PATH}/chat/versions/1", {"note": "better"})
    wrong = api.patch(f"{PATH}/chat/versions/1", {"english": "Nothing to answer"})
    api.post(f"{PATH}/chat/versions/1/publish", {})

    published = api.patch(f"{PATH}/chat/versions/1", {"note": "worse"})
    api.post(f"{PATH}/chat/versions", {})
    api.post(f"{PATH}/chat/versions/2/publish", {})
    retired = api.patch(f"{PATH}/chat/versions/1", {"note": "worse"})

    assert (changed.status_code, changed.json()["note"]) == (200, "better")
    assert wrong.status_code == 400
    assert [answer.status_code for answer in (published, retired)] == [409, 409]
    assert api.get(f"{PATH}/chat/versions/1").json()["note"] == "better"


def test_the_same_key_makes_one_version(api):
    own_chat(api)

    answers = [api.post(f"{PATH}/chat/versions", {}, headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert PromptVersion.objects.filter(prompt__workspace__isnull=False).count() == 2


# Publishing


def test_a_published_version_is_what_the_ai_is_told(api, openai_server):
    own_chat(api)
    before = say_something(api, openai_server)
    published = api.post(f"{PATH}/chat/versions/1/publish", {})

    after = say_something(api, openai_server)

    told = [body["instructions"] for body in openai_server.requests]
    assert (published.status_code, published.json()["status"], published.json()["label"]) == (
        200,
        "published",
        "production",
    )
    assert "warning" not in published.json()
    assert (before.status_code, after.status_code) == (200, 200)
    assert [text.startswith("Answer “messages” briefly.") for text in told] == [False, True]


def test_a_label_of_ones_own_is_used_by_name(api, openai_server):
    own_chat(api)
    api.post(f"{PATH}/chat/versions/1/publish", {"label": "staging"})

    say_something(api, openai_server)
    say_something(api, openai_server, label="staging")

    told = [body["instructions"].startswith("Answer “messages” briefly.") for body in openai_server.requests]
    assert told == [False, True]
    assert api.get(f"{PATH}/chat").json()["labels"] == {"staging": 1}
    assert api.get(f"{PATH}/chat/versions/1").json()["status"] == "draft"
    assert api.patch(f"{PATH}/chat/versions/1", {"note": "x"}).status_code == 409


def test_rolling_back_gives_the_label_to_the_version_before(api):
    own_chat(api)
    for number in (1, 2, 3):
        api.post(f"{PATH}/chat/versions/{number}/publish", {})
        api.post(f"{PATH}/chat/versions", {})
    api.post(f"{PATH}/chat/versions/3/publish", {})

    answers = [api.post(f"{PATH}/chat/rollback", {}) for _ in range(2)]

    assert [(answer.json()["number"], answer.json()["status"]) for answer in answers] == [
        (2, "published"),
        (3, "published"),
    ]
    assert [row["status"] for row in api.get(f"{PATH}/chat").json()["versions"]] == [
        "draft",
        "published",
        "retired",
        "retired",
    ]


@pytest.mark.parametrize("label", ["production", "staging"])
def test_there_is_nothing_to_roll_back_to_before_the_second_version(api, label):
    own_chat(api)
    api.post(f"{PATH}/chat/versions/1/publish", {})

    answer = api.post(f"{PATH}/chat/rollback", {"label": label})

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


@pytest.mark.parametrize("label", ["", "Production", "a b", "-x", "x" * 51, 7, None, ["x"], "x\x00", "ä"])
def test_a_label_is_a_short_word(api, label):
    own_chat(api)

    answer = api.post(f"{PATH}/chat/versions/1/publish", {"label": label})

    assert (answer.status_code, set(answer.json()["fields"])) == (400, {"label"})


@pytest.mark.parametrize(
    ("passed", "before", "is_warned"), [(1, 2, True), (2, 2, False), (2, 1, False), (0, None, False)]
)
def test_publishing_a_version_that_did_worse_warns(api, passed, before, is_warned):
    own_chat(api)
    version = PromptVersion.objects.get(prompt__workspace__isnull=False)
    PromptEvaluation.objects.create(version=version, passed=passed, baseline_passed=before, total=2)

    answer = api.post(f"{PATH}/chat/versions/1/publish", {})

    assert (answer.status_code, answer.json()["status"]) == (200, "published")
    assert ("warning" in answer.json()) == is_warned


@pytest.mark.django_db(transaction=True)
def test_versions_that_are_written_and_published_at_once_leave_one_published(member):
    prompt = versions.create("chat", {"english": CHAT}, workspace=member.workspace, by=member.user)
    problems = []

    def write():
        try:
            versions.publish(versions.draft(prompt, {"english": CHAT}, by=member.user), by=member.user)
        except Exception as error:
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    rows = list(prompt.versions.order_by("number").values_list("number", "status"))
    assert problems == []
    assert [number for number, _status in rows] == list(range(1, 8))
    assert [status for _number, status in rows].count("published") == 1
    assert versions.current("chat", member.workspace).status == "published"
