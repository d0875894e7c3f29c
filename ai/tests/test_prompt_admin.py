"""Prompts, calls and budgets in the admin."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.models import Role
from accounts.tests.factories import make_member
from ai import jobs
from ai.models import AICall, AIMonth, Prompt, PromptCase, PromptEvaluation, PromptVersion
from ai.prompts import cases, versions
from ai.tests.factories import give_budget
from leads.quotas import current_month
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

CASE = {"name": "greets", "variables": {"messages": []}, "language": "en", "checks": [{"contains": "hello"}]}


def list_of(model):
    return reverse(f"admin:ai_{model._meta.model_name}_changelist")


def add(model):
    return reverse(f"admin:ai_{model._meta.model_name}_add")


def page_of(row, view="change"):
    return reverse(f"admin:ai_{row._meta.model_name}_{view}", args=[row.pk])


def save(browser, path, **changes):
    return browser.post(path, filled(browser.get(path), **changes))


def choose(browser, action, *rows):
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return browser.post(list_of(type(rows[0])), chosen, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def errors(answer):
    return answer.context["adminform"].form.errors


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


@pytest.fixture
def prompt(manager):
    return versions.create("chat", {"english": "First {{ messages }}"}, workspace=manager.workspace, by=manager.user)


def everybodys(key="chat"):
    return Prompt.objects.get(workspace=None, key=key)


def test_a_manager_makes_a_prompt_of_their_own_and_writes_versions(browser, manager):
    made = save(browser, add(Prompt), workspace=manager.workspace_id, key="chat")
    prompt = Prompt.objects.get(workspace=manager.workspace)
    added = save(browser, add(PromptVersion), prompt=prompt.pk, english="Second {{ messages }}", max_output_tokens=99)
    draft = prompt.versions.get(number=2)
    changed = save(browser, page_of(draft), note="warmer", temperature="0.3")

    draft.refresh_from_db()
    assert [answer.status_code for answer in (made, added, changed)] == [302, 302, 302]
    assert (draft.english, draft.max_output_tokens, draft.note, draft.temperature) == (
        "Second {{ messages }}", 99, "warmer", 0.3,
    )  # fmt: skip
    assert (draft.status, draft.user) == ("draft", manager.user)


def test_a_manager_makes_no_prompt_for_everybody(browser, manager):
    Prompt.objects.filter(workspace=None, key="chat").delete()

    answer = save(browser, add(Prompt), workspace="", key="chat")

    assert set(errors(answer)) == {"workspace"}
    assert not Prompt.objects.filter(key="chat").exists()


def test_there_is_one_prompt_of_ones_own_for_a_key(browser, manager, prompt):
    answer = save(browser, add(Prompt), workspace=manager.workspace_id, key="chat")

    assert answer.status_code in (200, 302)
    assert Prompt.objects.filter(workspace=manager.workspace).count() == 1


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"english": "No variable"}, "english"),
        ({"english": "{{ password }} {{ messages }}"}, "english"),
        ({"english": ""}, "english"),
        ({"german": "Nichts"}, "german"),
        ({"temperature": "3"}, "temperature"),
        ({"max_output_tokens": "1"}, "max_output_tokens"),
        ({"max_output_tokens": "9" * 20}, "max_output_tokens"),
    ],
)
def test_a_version_that_is_not_right_is_told_where(browser, prompt, written, field):
    texts = {"english": "Fine {{ messages }}"} | written

    answers = [
        save(browser, add(PromptVersion), prompt=prompt.pk, **texts),
        save(browser, page_of(prompt.versions.get()), **texts),
    ]

    assert [set(errors(answer)) for answer in answers] == [{field}, {field}]
    assert prompt.versions.count() == 1


def test_what_was_published_stays_as_it_is(browser, prompt, manager):
    version = prompt.versions.get()
    versions.publish(version, by=manager.user)

    answers = [
        browser.post(page_of(version), {"english": "Other {{ messages }}", "max_output_tokens": 20}),
        browser.post(page_of(version, "delete"), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert browser.get(page_of(version)).status_code == 200
    assert prompt.versions.get().english == "First {{ messages }}"


def test_a_draft_can_be_deleted(browser, prompt):
    answer = browser.post(page_of(prompt.versions.get(), "delete"), {"post": "yes"})

    assert answer.status_code == 302
    assert prompt.versions.count() == 0


def test_a_manager_neither_sees_nor_changes_everybodys_prompts(browser, prompt):
    version = everybodys().versions.get()

    shown = browser.get(list_of(Prompt)).context["cl"].result_list
    answers = [browser.get(page_of(row)) for row in (everybodys(), version)]
    choose(browser, "roll_back", everybodys())

    assert list(shown) == [prompt]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert everybodys().releases.count() == 1


def test_the_operator_changes_everybodys_prompts(operator, in_admin, member):
    browser = in_admin(operator)

    added = save(browser, add(PromptVersion), prompt=everybodys().pk, english="Mine {{ messages }}")
    draft = everybodys().versions.get(number=2)
    published = choose(browser, "publish", draft)

    assert added.status_code == 302
    assert said(published)[-1:] == ["chat 2 is published."]
    assert versions.current("chat", member.workspace) == draft


def test_everybodys_prompts_can_not_be_deleted(operator, in_admin):
    browser = in_admin(operator)

    browser.post(page_of(everybodys(), "delete"), {"post": "yes"})
    choose(browser, "delete_selected", everybodys())
    browser.post(list_of(Prompt), {"action": "delete_selected", "_selected_action": [everybodys().pk], "post": "yes"})

    assert everybodys().versions.count() == 1


def test_without_a_prompt_of_ones_own_everybodys_is_used_again(browser, prompt, manager):
    versions.publish(prompt.versions.get(), by=manager.user)

    answer = browser.post(page_of(prompt, "delete"), {"post": "yes"})

    assert answer.status_code == 302
    assert versions.current("chat", manager.workspace).prompt == everybodys()


def test_versions_are_published_and_rolled_back(browser, prompt, manager):
    first, second = prompt.versions.get(), versions.draft(prompt, {}, by=None)
    PromptEvaluation.objects.create(version=second, passed=0, baseline_passed=1, total=1)

    answers = [
        choose(browser, "publish", first),
        choose(browser, "publish", second),
        choose(browser, "roll_back", prompt),
    ]

    assert [said(answer) for answer in answers] == [
        ["chat 1 is published."],
        ["chat 2 is published. This version is worse than the one before it: 0 of 1 cases hold, of the other's 1."],
        ["chat 1 is published again."],
    ]
    assert versions.current("chat", manager.workspace) == first


def test_there_is_nothing_to_roll_back_to_before_the_second_version(browser, prompt):
    answer = choose(browser, "roll_back", prompt)

    assert said(answer) == ["chat: No other version had the label production before."]


def test_evaluating_is_queued(browser, prompt, manager, openai_server):
    version = prompt.versions.get()
    cases.add(prompt, CASE)

    answer = choose(browser, "evaluate", version)

    job = ProcrastinateJob.objects.get(task_name="ai.jobs.evaluate_prompt")
    assert said(answer) == ["chat 1 is being tried on its prompt's cases."]
    assert job.args == {"version_id": version.pk, "user_id": manager.user_id}


def test_why_an_evaluation_was_refused_stands_at_the_version_until_the_next_one(
    browser, prompt, manager, openai_server
):
    version = prompt.versions.get()
    cases.add(prompt, CASE)
    openai_server.reply("Hello")
    give_budget(manager.workspace, 0)

    jobs.evaluate_prompt(version_id=version.pk, user_id=manager.user_id)
    refused = [browser.get(page).content.decode() for page in (list_of(PromptVersion), page_of(version))]
    give_budget(manager.workspace, 500)
    jobs.evaluate_prompt(version_id=version.pk, user_id=manager.user_id)
    evaluated = [browser.get(page).content.decode() for page in (list_of(PromptVersion), page_of(version))]

    assert all("AI budget of 0.00 US dollars is used up" in page for page in refused)
    assert not any("is used up" in page for page in evaluated)


def test_what_can_not_be_evaluated_is_told_at_once(browser, prompt, openai_server, settings):
    without_cases = choose(browser, "evaluate", prompt.versions.get())
    settings.OPENAI_API_KEY = ""
    without_a_key = choose(browser, "evaluate", prompt.versions.get())

    assert said(without_cases) == ["chat 1: This prompt has no cases to be tried on."]
    assert said(without_a_key) == ["This needs the setting OPENAI_API_KEY, which is not set up."]
    assert not ProcrastinateJob.objects.filter(task_name="ai.jobs.evaluate_prompt").exists()


def test_cases_are_written_and_checked(browser, prompt):
    row = {"prompt": prompt.pk, "name": "greets", "language": "de", "variables": "{}"}

    wrong = save(browser, add(PromptCase), **row | {"checks": '[{"contains": ""}]'})
    broken = save(browser, add(PromptCase), **row | {"variables": '{"lead": {"notes": "\\ud800"}}'}, checks="[]")
    added = save(browser, add(PromptCase), **row, checks='[{"contains": "Guten"}]')
    twice = save(browser, add(PromptCase), **row, checks="[]")
    changed = save(browser, page_of(PromptCase.objects.get()), name="greets politely")

    case = PromptCase.objects.get()
    assert (set(errors(wrong)), set(errors(broken)), set(errors(twice))) == ({"checks"}, {"variables"}, {"name"})
    assert (added.status_code, changed.status_code) == (302, 302)
    assert (case.name, case.language, case.checks) == ("greets politely", "de", [{"contains": "Guten"}])


def test_what_failed_in_an_evaluation_is_shown(browser, prompt):
    results = [{"case": "<b>greets</b>", "failed": [{"contains": "hello"}], "baseline_failed": None}]
    evaluation = PromptEvaluation.objects.create(version=prompt.versions.get(), passed=0, total=1, results=results)

    shown = browser.get(page_of(evaluation)).content.decode()

    assert "&lt;b&gt;greets&lt;/b&gt;: contains: hello" in shown
    assert browser.get(list_of(PromptEvaluation)).status_code == 200


def test_calls_are_filtered(browser, manager):
    def call(**fields):
        return AICall.objects.create(
            workspace=manager.workspace, month=current_month(),
            **{"action": "chat", "model": "gpt-4o-mini", "outcome": "completed", **fields},
        )  # fmt: skip

    plain, other = call(), call(action="summarize", model="gpt-4o", outcome="failed")
    AICall.objects.filter(pk=other.pk).update(created_at=timezone.now() - timedelta(days=3))

    def found(**query):
        return [row.pk for row in browser.get(list_of(AICall), query).context["cl"].result_list]

    assert found() == [other.pk, plain.pk]
    assert found(action="chat") == found(model="gpt-4o-mini") == found(day="1") == [plain.pk]
    assert found(outcome__exact="failed") == [other.pk]
    assert found(day="7") == [other.pk, plain.pk]


def test_lists_cost_the_same_with_more_rows(operator, in_admin, manager, django_assert_num_queries):
    browser = in_admin(operator)

    def rows(number):
        prompt = versions.create("chat", {}, workspace=make_member().workspace, by=manager.user)
        cases.add(prompt, CASE)
        PromptEvaluation.objects.create(version=prompt.versions.get(), passed=number, total=3)
        AICall.objects.create(
            workspace=prompt.workspace, user=manager.user, action="chat", model="x", month=current_month(),
            prompt_version=prompt.versions.get(),
        )  # fmt: skip

    rows(1)
    expected = {Prompt: 4, PromptVersion: 4, PromptCase: 4, PromptEvaluation: 4, AICall: 4, AIMonth: 5}
    for model, count in expected.items():
        with django_assert_num_queries(count):
            browser.get(list_of(model))
    rows(2), rows(3)

    for model, count in expected.items():
        with django_assert_num_queries(count):
            browser.get(list_of(model))
