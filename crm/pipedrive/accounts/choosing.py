"""What somebody chooses of an account: pipeline, stages and fields, by their names or ids."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from crm.models import Connection
from crm.pipedrive.accounts.opening import means_of, setup_of
from crm.pipedrive.mapping.matching import Means, mapped
from crm.pipedrive.mapping.setup import Setup
from crm.pipedrive.mapping.stages import OPEN, spread
from zevix.errors import ValidationFailed


def choose(connection: Connection, changes: Mapping[str, Any]) -> None:
    """Set ``pipeline``, ``stages`` and ``mapping`` as far as given. Raises ValidationFailed with a sentence for each that can't be."""
    setup = setup_of(connection)
    problems: dict[str, list[str]] = {}
    if "pipeline" in changes:
        try:
            connection.pipeline_id = setup.pipeline(changes["pipeline"])
        except ValueError as error:
            problems["pipeline"] = [str(error)]
        else:
            connection.stages = spread(setup.stages_of(connection.pipeline_id))
    if "stages" in changes and "pipeline" not in problems:
        connection.stages, problems["stages"] = _stages(changes["stages"], connection, setup)
    if "mapping" in changes:
        connection.mapping, problems["mapping"] = _entries(changes["mapping"], means_of(connection))
    if problems := {name: sentences for name, sentences in problems.items() if sentences}:
        raise ValidationFailed(fields=problems)


def _stages(wanted: Mapping[str, Any], connection: Connection, setup: Setup) -> tuple[dict[str, int], list[str]]:
    if not wanted:
        return spread(setup.stages_of(connection.pipeline_id)), []
    found, problems = {}, []
    for status, stage in wanted.items():
        try:
            found[_open(status)] = setup.stage(stage, connection.pipeline_id)
        except ValueError as error:
            problems.append(f"{status[:100]}: {error}")
    return found, problems


def _open(status: str) -> str:
    if status not in OPEN:
        raise ValueError(
            _("Stages go with {statuses}; a deal that is won or lost is so in any stage.").format(
                statuses=", ".join(OPEN)
            )
        )
    return status


def _entries(wanted: list[dict[str, Any]], means: Means) -> tuple[list[dict[str, Any]], list[str]]:
    """The entries with each field's key and name as they are there."""
    entries: list[dict[str, Any]] = []
    problems: list[str] = []
    used: set[tuple[str, str]] = set()
    for entry in wanted:
        try:
            kept = _entry(entry, means)
        except ValueError as error:
            problems.append(f"{entry['lead'][:100]}: {error}")
            continue
        sides = {("lead", kept["lead"]), (kept["entity"], kept["key"])}
        if sides & used:
            problems.append(
                _("{lead}: it is in the mapping twice, or its field in Pipedrive is.").format(lead=kept["lead"])
            )
        used |= sides
        entries.append(kept)
    return entries, problems


def _entry(entry: dict[str, Any], means: Means) -> dict[str, Any]:
    """Raises ValueError with a sentence."""
    there = means.setup.by_key(entry["entity"], entry.get("key", "")) or means.setup.named(
        entry["entity"], entry["field"]
    )
    found = mapped(entry | {"key": there.key}, means)
    return {
        "lead": found.name,
        "entity": entry["entity"],
        "key": there.key,
        "field": there.name,
        "owner": entry["owner"],
    }
