"""Versions of a prompt: drafted, published under a label, rolled back; and which one an action uses."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from ai.errors import NothingBefore, NotYourPrompt, PromptExists, VersionIsFixed
from ai.models import Prompt, PromptRelease, PromptVersion
from ai.prompts import templates
from ai.prompts.keys import VARIABLES
from zevix.errors import NotFound, ValidationFailed

Status = PromptVersion.Status
PRODUCTION = "production"
WRITTEN = ("english", "german", "model", "temperature", "max_output_tokens", "note")
_COPIED = ("english", "german", "model", "temperature", "max_output_tokens")


# Which one ------------------------------------------------------------------------------------------------------------------


def visible(workspace: Workspace) -> QuerySet[Prompt]:
    """One prompt for each key: the workspace's own, else everybody's."""
    mine = Prompt.objects.filter(Q(workspace=workspace) | Q(workspace=None))
    found: QuerySet[Prompt] = mine.order_by("key", F("workspace").asc(nulls_last=True)).distinct("key")
    return found


def find(key: str, workspace: Workspace) -> Prompt:
    """The workspace's own prompt, else everybody's. Raises NotFound."""
    found = visible(workspace).filter(key=key).first()
    if found is None:
        raise NotFound
    return found


def own(key: str, workspace: Workspace) -> Prompt:
    """The workspace's own prompt, to be changed. Raises NotFound; NotYourPrompt where there is only everybody's."""
    found = find(key, workspace)
    if found.workspace_id is None:
        raise NotYourPrompt
    return found


def current(key: str, workspace: Workspace, label: str = PRODUCTION) -> PromptVersion:
    """The version that has a label: of the workspace's own prompt, else of everybody's. Raises ValidationFailed."""
    given = PromptRelease.objects.filter(
        Q(prompt__workspace=workspace) | Q(prompt__workspace=None), prompt__key=key, label=label
    )
    latest = given.select_related("version").order_by(F("prompt__workspace").asc(nulls_last=True), "-pk").first()
    if latest is None:
        raise ValidationFailed(fields={"label": [_("No version of this prompt has this label.")]})
    return latest.version


def is_fixed(version: PromptVersion) -> bool:
    """Whether it must stay as it is: somebody may have been answered by it."""
    return version.status != Status.DRAFT or version.releases.exists()


# Writing --------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def create(key: str, written: Mapping[str, Any], *, workspace: Workspace, by: User) -> Prompt:
    """A prompt of the workspace's own, with a draft like everybody's version but for what is ``written``. Raises PromptExists.

    An English text stands for both languages where no German one comes with it: everybody's would tell something else.
    """
    workspace = Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    before = find(key, workspace)
    if before.workspace_id is not None:
        raise PromptExists(key=key)
    prompt: Prompt = Prompt.objects.create(workspace=workspace, key=key)
    texts = {"german": ""} if "english" in written else {}
    draft(prompt, _like(current(key, workspace)) | texts | dict(written), by=by)
    return prompt


@transaction.atomic
def draft(prompt: Prompt, written: Mapping[str, Any], *, by: User | None) -> PromptVersion:
    """A new draft: the prompt's latest published version, or its latest draft, but for what is ``written``. Raises ValidationFailed."""
    prompt = _lock(prompt.pk)
    published = prompt.versions.filter(status=Status.PUBLISHED).first()
    latest = published or prompt.versions.order_by("-number").first()
    fields = (_like(latest) if latest else {}) | dict(written)
    check(prompt.key, fields)
    number = (prompt.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    return PromptVersion.objects.create(prompt=prompt, number=number, user=by, **fields)


@transaction.atomic
def change(version: PromptVersion, written: Mapping[str, Any]) -> None:
    """Write a draft anew. Raises VersionIsFixed, ValidationFailed."""
    prompt = _lock(version.prompt_id)
    version.refresh_from_db()
    if is_fixed(version):
        raise VersionIsFixed(number=version.number)
    check(prompt.key, _like(version) | dict(written))
    PromptVersion.objects.filter(pk=version.pk).update(**written)


def check(key: str, written: Mapping[str, Any]) -> None:
    """Raises ValidationFailed where a text does not suit what its action gives it."""
    problems = {
        name: found
        for name in ("english", "german")
        if (name == "english" or written.get(name))
        and (found := templates.problems(written.get(name, ""), VARIABLES[key]))
    }
    if problems:
        raise ValidationFailed(fields=problems)


# Publishing -----------------------------------------------------------------------------------------------------------------


@transaction.atomic
def publish(version: PromptVersion, *, by: User | None, label: str = PRODUCTION) -> None:
    """Give a version a label; with `PRODUCTION` it is what everybody is answered by, from now on."""
    prompt = _lock(version.prompt_id)
    latest = prompt.releases.filter(label=label).order_by("-pk").first()
    if latest and latest.version_id == version.pk:
        return
    PromptRelease.objects.create(prompt=prompt, label=label, version=version, user=by)
    if label == PRODUCTION:
        prompt.versions.filter(status=Status.PUBLISHED).update(status=Status.RETIRED)
        prompt.versions.filter(pk=version.pk).update(status=Status.PUBLISHED)


@transaction.atomic
def roll_back(prompt: Prompt, *, by: User | None, label: str = PRODUCTION) -> PromptVersion:
    """Give a label back to the version that had it before; done twice, it is undone. Returns that version. Raises NothingBefore."""
    prompt = _lock(prompt.pk)
    releases = list(prompt.releases.filter(label=label).select_related("version").order_by("-pk")[:2])
    if len(releases) < 2:
        raise NothingBefore(label=label)
    before = releases[1].version
    publish(before, by=by, label=label)
    return before


def warning(version: PromptVersion) -> str:
    """A sentence where the last evaluation of a version found it worse than the one that was published then; else nothing."""
    last = version.evaluations.order_by("-pk").first()
    if last is None or last.baseline_passed is None or not last.is_worse:
        return ""
    return _(
        "This version is worse than the one before it: {passed} of {total} cases hold, of the other's {before}."
    ).format(passed=last.passed, total=last.total, before=last.baseline_passed)


def _like(version: PromptVersion) -> dict[str, Any]:
    return {name: getattr(version, name) for name in _COPIED}


def _lock(prompt_id: int) -> Prompt:
    found: Prompt = Prompt.objects.select_for_update().get(pk=prompt_id)
    return found
