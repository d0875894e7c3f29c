"""From what a workspace has set to the fields that are kept in step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from crm.pipedrive.mapping import forms
from crm.pipedrive.mapping.fields import MappedField
from crm.pipedrive.mapping.forms import Form, Users
from crm.pipedrive.mapping.places import Builtin, Column, Custom, Extra, OfDeal, OfOrganization, Primary
from crm.pipedrive.mapping.setup import ENTITIES, Setup, There
from crm.pipedrive.mapping.stages import OPEN, Stages
from leads.custom_fields import PREFIX, Definition
from leads.values import ALIASES, CLEANERS

OWNERS = ("zevix", "pipedrive", "latest")
STAGE = "stage_id"

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
        ("status", "deal", STAGE),
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


@dataclass(frozen=True)
class Means:
    """What a mapping is built from. ``members`` are the workspace's users: id → address in lower case."""

    setup: Setup
    definitions: dict[str, Definition]
    members: dict[int, str]
    stages: Stages | None
    currency: str


def build(
    setup: Setup,
    entries: list[dict[str, Any]],
    *,
    pipeline_id: int | None,
    stages: dict[str, int],
    definitions: dict[str, Definition],
    members: dict[int, str],
    currency: str,
) -> Mapping:
    """The mapping of ``entries`` (as `DEFAULTS`; custom fields with their name as ``field``), without what does not work any more."""
    raise NotImplementedError
