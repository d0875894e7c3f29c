"""``manage.py evaluate_prompt KEY [--workspace ID] [--version N]``"""

import sys
from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import Workspace
from ai.models import Prompt, PromptEvaluation, PromptVersion
from ai.prompts import evaluating
from ai.prompts.keys import KEYS
from zevix.errors import Refusal


class Command(BaseCommand):
    help = (
        "Try a version of a prompt on the prompt's cases, beside the one that is published. Fails where it does worse."
    )

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        # Django's own --version, of which nobody here would ask, gives way
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", choices=KEYS)
        parser.add_argument("--workspace", type=int, metavar="ID", help="Its own prompt; by default everybody's.")
        parser.add_argument(
            "--version", type=int, metavar="N", help="The version's number; by default the latest draft."
        )

    def handle(self, *args: Any, key: str, **options: Any) -> None:
        version = _version(_prompt(key, options["workspace"]), options["version"])
        try:
            evaluation = evaluating.evaluate(version, shown=partial(tqdm, desc=key, disable=None, leave=False))
        except Refusal as refusal:
            raise CommandError(str(refusal))
        self._tell(evaluation)
        if evaluation.is_worse:
            sys.exit(1)

    def _tell(self, evaluation: PromptEvaluation) -> None:
        rows = [
            (result["case"], _told(result["failed"]), _told(result["baseline_failed"])) for result in evaluation.results
        ]
        heads = ("case", f"version {evaluation.version.number}", _published(evaluation))
        widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(3)]
        for row in (heads, *rows):
            self.stdout.write("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        for result in evaluation.results:
            for check in result["failed"]:
                self.stderr.write(f"{result['case']}: {check}")
        before = "" if evaluation.baseline_passed is None else f", of the published {evaluation.baseline_passed}"
        self.stdout.write(f"{evaluation.passed} of {evaluation.total} cases hold{before}")


def _prompt(key: str, workspace_id: int | None) -> Prompt:
    if workspace_id is not None and not Workspace.objects.filter(pk=workspace_id).exists():
        raise CommandError(f"There is no workspace {workspace_id}.")
    found: Prompt | None = Prompt.objects.filter(key=key, workspace=workspace_id).first()
    if found is None:
        raise CommandError(f"This workspace has no prompt {key} of its own.")
    return found


def _version(prompt: Prompt, number: int | None) -> PromptVersion:
    wanted = {"status": PromptVersion.Status.DRAFT} if number is None else {"number": number}
    found = prompt.versions.filter(**wanted).order_by("-number").first()
    if found is None:
        raise CommandError("There is no draft to be tried." if number is None else f"There is no version {number}.")
    return found


def _told(failed: list[Any] | None) -> str:
    if failed is None:
        return "-"
    return f"{len(failed)} failed" if failed else "holds"


def _published(evaluation: PromptEvaluation) -> str:
    return f"published ({evaluation.baseline.number})" if evaluation.baseline else "published"
