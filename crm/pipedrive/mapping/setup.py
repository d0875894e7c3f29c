"""What an account of Pipedrive has: its fields, pipelines, stages and users, as they were last read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, Self

from django.utils.translation import gettext as _

ENTITIES: tuple[Literal["person", "organization", "deal"], ...] = ("person", "organization", "deal")


@dataclass(frozen=True)
class There:
    """A field of an account. ``options`` are those of a choice: id → label."""

    entity: str
    key: str
    name: str
    kind: str
    is_custom: bool = False
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    id: int
    name: str
    pipeline_id: int


@dataclass(frozen=True)
class Setup:
    fields: tuple[There, ...] = ()
    pipelines: dict[int, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    users: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        """As a connection keeps it (`accounts.reading` writes it)."""
        return cls(
            fields=tuple(There(**row) for row in kept.get("fields", [])),
            pipelines={row["id"]: row["name"] for row in kept.get("pipelines", [])},
            stages=tuple(Stage(**row) for row in kept.get("stages", [])),
            users={row["id"]: row["email"] for row in kept.get("users", [])},
        )

    def fields_of(self, entity: str) -> list[There]:
        return [there for there in self.fields if there.entity == entity]

    def by_key(self, entity: str, key: str) -> There | None:
        return next((there for there in self.fields_of(entity) if there.key == key), None)

    def named(self, entity: str, wanted: str) -> There:
        """The field with this key or name. Raises ValueError with a sentence."""
        if found := self.by_key(entity, wanted):
            return found
        alike = [there for there in self.fields_of(entity) if there.name.casefold() == wanted.strip().casefold()]
        if len(alike) > 1:
            raise ValueError(
                _("There are {count} fields «{name}»: give the key.").format(count=len(alike), name=wanted)
            )
        if alike:
            return alike[0]
        sentence = {
            "person": _("There is no field «{name}» among the persons' fields in Pipedrive."),
            "organization": _("There is no field «{name}» among the organizations' fields in Pipedrive."),
            "deal": _("There is no field «{name}» among the deals' fields in Pipedrive."),
        }[entity]
        raise ValueError(did_you_mean(sentence, wanted, [there.name for there in self.fields_of(entity)]))

    def pipeline(self, wanted: int | str) -> int:
        """The id of the pipeline with this id or name. Raises ValueError with a sentence."""
        sentence = _("There is no pipeline «{name}» in Pipedrive.")
        return _chosen(sentence, wanted, self.pipelines.items())

    def stage(self, wanted: int | str, pipeline_id: int | None) -> int:
        """The same for a stage of a pipeline."""
        sentence = _("There is no stage «{name}» in this pipeline.")
        return _chosen(sentence, wanted, [(stage.id, stage.name) for stage in self.stages_of(pipeline_id)])

    def stages_of(self, pipeline_id: int | None) -> list[Stage]:
        """In their order."""
        return [stage for stage in self.stages if stage.pipeline_id == pipeline_id]


def _chosen(sentence: str, wanted: int | str, choices: Iterable[tuple[int, str]]) -> int:
    known = dict(choices)
    if isinstance(wanted, int) and wanted in known:
        return wanted
    written = str(wanted).strip()[:500]
    for number, name in known.items():
        if name.casefold() == written.casefold():
            return number
    if written.isascii() and written.isdigit() and int(written) in known:
        return int(written)
    raise ValueError(did_you_mean(sentence, written, list(known.values())))


def did_you_mean(sentence: str, wanted: str, names: Sequence[str]) -> str:
    """The sentence about ``{name}``, with the nearest of the names that there are."""
    shown = wanted.strip()[:100]
    said = sentence.format(name=shown)
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(shown.casefold(), folded, n=1, cutoff=0.7)
    return said + " " + _("Did you mean «{name}»?").format(name=folded[near[0]]) if near else said
