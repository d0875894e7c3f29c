"""From what a workspace has set to the fields that are kept in step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from crm.pipedrive.mapping.fields import MappedField
from crm.pipedrive.mapping.matching import Means, mapped
from crm.pipedrive.mapping.setup import Setup
from crm.pipedrive.mapping.stages import OPEN, Stages

# what is kept in step until somebody sets it otherwise
DEFAULTS: tuple[dict[str, str], ...] = tuple(
    {"lead": lead, "entity": entity, "key": key, "owner": "latest"}
    for lead, entity, key in (
        ("name", "person", "name"),
        ("email", "person", "email"),
        ("phone", "person", "phone"),
        ("assigned_user_id", "person", "owner_id"),
        ("company", "organization", "name"),
        ("website", "organization", "website"),
        ("status", "deal", "stage_id"),
    )
)


@dataclass(frozen=True)
class Mapping:
    """The fields that are kept in step, and in ``problems`` what of the settings does not fit the account any more, in sentences."""

    fields: tuple[MappedField, ...] = ()
    problems: list[str] = field(default_factory=list)
    stages: Stages | None = None

    @property
    def pipeline_id(self) -> int | None:
        """Where deals are made. None where it is no more."""
        return self.stages.pipeline_id if self.stages else None

    def stage_for(self, status: str) -> int | None:
        """The stage of a lead's status; None of WON and LOST, and without a pipeline."""
        return self.stages.stage_for(status) if self.stages else None


def build(
    means: Means, entries: Sequence[dict[str, Any]], *, pipeline_id: int | None, stages: dict[str, int]
) -> Mapping:
    """The mapping of ``entries`` (as `DEFAULTS`; those set by somebody with the field's name then as ``field``), or of the defaults
    where there are none. What does not work any more is left out, with a sentence."""
    problems = _pipeline_problems(means.setup, pipeline_id, stages)
    without_deals = bool(problems)
    fields: list[MappedField] = []
    for entry in entries or _defaults(means.setup):
        if entry["entity"] == "deal" and without_deals:
            continue
        try:
            fields.append(mapped(entry, means))
        except ValueError as error:
            problems.append(f"{entry['lead']}: {error}")
    return Mapping(tuple(fields), problems + _renamed(means.setup, entries), means.stages)


def _defaults(setup: Setup) -> list[dict[str, str]]:
    """As far as the account has them: an old one has no websites."""
    return [entry for entry in DEFAULTS if setup.by_key(entry["entity"], entry["key"])]


def stages_of(setup: Setup, pipeline_id: int | None, stages: dict[str, int]) -> Stages | None:
    """The chosen pipeline with those of the chosen stages that are still there; None where it is none."""
    if pipeline_id is None or pipeline_id not in setup.pipelines:
        return None
    order = tuple(stage.id for stage in setup.stages_of(pipeline_id))
    return Stages(pipeline_id, order, {status: stages[status] for status in OPEN if stages.get(status) in order})


def _pipeline_problems(setup: Setup, pipeline_id: int | None, stages: dict[str, int]) -> list[str]:
    """Why deals' fields are left out, if they are."""
    if pipeline_id is None or not setup.pipelines:
        return []
    if pipeline_id not in setup.pipelines:
        sentence = _("The pipeline of the deals is no longer in Pipedrive. Choose another one: {names}.")
        return [sentence.format(names=_quoted(setup.pipelines.values()))]
    there = {stage.id: stage.name for stage in setup.stages_of(pipeline_id)}
    gone = [status for status in OPEN if status in stages and stages[status] not in there]
    if not gone:
        return []
    sentence = _("The stage for {statuses} is no longer in Pipedrive. Choose among: {names}.")
    return [sentence.format(statuses=", ".join(gone), names=_quoted(there.values()))]


def _quoted(names: Any) -> str:
    return ", ".join(f"«{name}»" for name in list(names)[:20])


def _renamed(setup: Setup, entries: Sequence[dict[str, Any]]) -> list[str]:
    sentence = _("«{before}» is now called «{now}» in Pipedrive; the mapping follows.")
    return [
        sentence.format(before=entry["field"], now=there.name)
        for entry in entries
        if (there := setup.by_key(entry["entity"], entry["key"])) and there.name != entry.get("field", there.name)
    ]
