"""Trying a version on its prompt's cases, beside the one that is published."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from accounts.models import User, Workspace
from ai import asking
from ai.actions import answers, questions
from ai.actions.tasks import Task
from ai.asking import Purpose
from ai.chat import questions as talking
from ai.chat.questions import Talk
from ai.errors import AnswerRefused, AnswerUnusable, NothingToTry, Unfinished
from ai.models import PromptCase, PromptEvaluation, PromptVersion
from ai.openai_gateway import Question
from ai.prompts import checks, versions
from ai.prompts.keys import TALKS
from zevix.errors import Refusal

ACTION = "evaluate"
Shown = Callable[[Iterable[PromptCase]], Iterable[PromptCase]]


def evaluate(version: PromptVersion, *, by: User | None = None, shown: Shown = iter) -> PromptEvaluation:
    """How a version does, kept. What it costs is the workspace's, for everybody's prompts the catalogue's.

    ``results`` is a list of ``{"case", "failed": [checks], "baseline_failed": [checks] or None}``. ``shown`` sees the cases go by.
    Raises NothingToTry, BudgetExceeded, NotConfigured, Unreachable, Rejected; then nothing is kept.
    """
    cases = list(version.prompt.cases.select_related("prompt").order_by("pk"))
    if not cases:
        raise NothingToTry
    payer = version.prompt.workspace or Workspace.objects.catalogue()
    published = _baseline(version, payer)
    results = [
        {
            "case": case.name,
            "failed": _failures(case, version, payer, by),
            "baseline_failed": None if published is None else _failures(case, published, payer, by),
        }
        for case in shown(cases)
    ]
    return PromptEvaluation.objects.create(
        version=version,
        baseline=published,
        results=results,
        passed=_passed(results, "failed"),
        baseline_passed=None if published is None else _passed(results, "baseline_failed"),
        total=len(results),
    )


def evaluate_or_note(version: PromptVersion, *, by: User | None) -> None:
    """Evaluate in nobody's presence: why it was refused stands at the version, until it is tried again."""
    PromptVersion.objects.filter(pk=version.pk).update(refusal="")
    try:
        evaluate(version, by=by)
    except Refusal as refusal:
        PromptVersion.objects.filter(pk=version.pk).update(refusal=str(refusal))


def _baseline(version: PromptVersion, workspace: Workspace) -> PromptVersion | None:
    published = versions.current(version.prompt.key, workspace)
    return None if published.pk == version.pk else published


def _failures(
    case: PromptCase, version: PromptVersion, workspace: Workspace, user: User | None
) -> list[Mapping[str, Any]]:
    """The checks that do not hold; an answer that never came whole, or in another form, fails as a whole."""
    question = _question(case, version, workspace)
    try:
        answer = asking.ask(question, Purpose(workspace, user, ACTION, version))
        reply = answers.checked(answer, question)
    except (Unfinished, AnswerRefused, AnswerUnusable) as failure:
        return [{"answer": str(failure)}]
    analysis = {"analysis": answer.form.model_dump(mode="json")} if question.form else {}
    return checks.failures(case.checks, {"reply": reply, **analysis})


def _question(case: PromptCase, version: PromptVersion, workspace: Workspace) -> Question:
    given, key = case.variables, case.prompt.key
    messages = given.get("messages", [])
    if key in TALKS:
        data = {name: given.get(name) for name in ("lead", "passages")}
        return talking.question(version, Talk(case.language, workspace.name, messages, data))
    return questions.question(version, Task(key, case.language, given.get("lead"), messages))


def _passed(results: list[dict[str, Any]], name: str) -> int:
    return sum(not result[name] for result in results)
