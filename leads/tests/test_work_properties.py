"""Imports, edits, deletions, merges and the taking back of each, in any order, beside a plain model of what they mean."""

from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import editing, undoing
from leads.history import Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import ObjectSource
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import Lead
from zevix.errors import Refusal

pytestmark = pytest.mark.django_db

EMPTY = {"external_id": "", "name": "", "city": "", "notes": "", "tags": [], "extra": {}}
WRITTEN = [name for name in EMPTY if name != "external_id"]


# The plain model ----------------------------------------------------------------------------------------------------------------


@dataclass
class PlainLead:
    """A lead with all that was ever done to it: ``(act, before, after)``, the oldest first."""

    state: dict
    brought_by: str
    changes: list = field(default_factory=list)
    versions: dict = field(default_factory=dict)
    version: int = 1
    gone: str = ""  # "bin" or the merge that it went in

    def change(self, act, **new):
        after = self.state | new
        if after != self.state:
            self.changes.append((act, self.state, after))
            self.come_to(after)

    def come_to(self, state):
        self.versions[self.version] = self.state
        self.state = state
        self.version += 1

    @property
    def first(self):
        return self.versions.get(1, self.state)


class Refused(Exception):
    pass


@dataclass
class Model:
    leads: dict = field(default_factory=dict)
    merges: dict = field(default_factory=dict)  # merge → (survivor, losers), as long as it stands
    undone: set = field(default_factory=set)

    def alive(self):
        return {number: lead for number, lead in self.leads.items() if not lead.gone}

    def holder(self, external_id):
        return next(
            (n for n, lead in self.alive().items() if external_id and lead.state["external_id"] == external_id), None
        )

    def bring(self, act, rows, new_ids):
        for key, row in rows.items():
            number = self.holder(key)
            if number is None:
                self.leads[new_ids[key]] = PlainLead(EMPTY | {"external_id": key} | row, brought_by=act)
            else:
                lead = self.leads[number]
                extra = {"extra": lead.state["extra"] | row["extra"]} if "extra" in row else {}
                lead.change(act, **row | extra)

    def edit(self, number, row):
        lead = self.leads[number]
        extra = {}
        if "extra" in row:
            merged = lead.state["extra"] | row["extra"]
            extra = {"extra": {key: value for key, value in merged.items() if value is not None}}
        lead.change("edit", **row | extra)

    def bring_back(self, number):
        lead = self.leads[number]
        if self.holder(lead.state["external_id"]) is not None:
            return
        lead.gone = ""
        lead.come_to(lead.state)

    def restore(self, number, version):
        lead = self.leads[number]
        state = lead.state if version == lead.version else lead.versions.get(version)
        if state is None:
            raise Refused
        if state["external_id"] != lead.state["external_id"] and self.holder(state["external_id"]) is not None:
            raise Refused
        lead.change(f"restore:{version}", **state)

    def merge(self, act, survivor, losers):
        lead, others = self.leads[survivor], [self.leads[number] for number in losers]
        states = [lead.state, *(other.state for other in others)]
        new = {name: next((s[name] for s in states if s[name]), "") for name in ("external_id", "name", "city")}
        new["notes"] = states[0]["notes"]
        new["tags"] = list(dict.fromkeys(tag for state in states for tag in state["tags"]))
        new["extra"] = {}
        for state in reversed(states):
            new["extra"] = new["extra"] | state["extra"]
        for state in states[1:]:
            if state["notes"] and state["notes"] not in new["notes"]:
                new["notes"] = f"{new['notes']}\n\n{state['notes']}" if new["notes"] else state["notes"]
        for other in others:
            other.gone = act
        lead.change(act, **new)
        self.merges[act] = (survivor, losers)

    def unmerge(self, act):
        if act in self.undone or self.leads[self.merges[act][0]].gone:
            raise Refused
        survivor, losers = self.merges[act]
        before = deepcopy(self.leads[survivor])
        self.revert(act, [survivor])
        if any(self.holder(self.leads[number].state["external_id"]) is not None for number in losers):
            self.leads[survivor] = before
            raise Refused
        for number in losers:
            self.bring_back(number)
        self.undone.add(act)
        del self.merges[act]

    def undo_import(self, act):
        """Returns the leads that are kept."""
        if act in self.undone:
            raise Refused
        self.undone.add(act)
        kept = self.revert(act, list(self.leads))
        for number, lead in self.alive().items():
            if lead.brought_by != act:
                continue
            survives = any(survivor == number for survivor, _losers in self.merges.values())
            if survives or (lead.version > 1 and lead.state != lead.first):
                kept.add(number)
            else:
                lead.gone = "bin"
        return kept

    def revert(self, act, numbers):
        kept = set()
        for number in numbers:
            lead = self.leads[number]
            for _act, before, after in [change for change in lead.changes if change[0] == act]:
                if lead.gone:
                    kept.add(number)
                    continue
                new = {}
                for name in EMPTY:
                    if name == "extra":
                        new[name], stays = self.extra_taken_back(lead.state[name], before[name], after[name])
                        kept |= {number} if stays else set()
                    elif before[name] != after[name] and lead.state[name] == after[name]:
                        taken = name == "external_id" and self.holder(before[name]) is not None
                        new |= {} if taken else {name: before[name]}
                        kept |= {number} if taken else set()
                    elif before[name] != after[name] and lead.state[name] != before[name]:
                        kept.add(number)
                lead.change(f"undo:{act}", **new)
        return kept

    @staticmethod
    def extra_taken_back(now, before, after):
        result, stays = dict(now), False
        for key in before.keys() | after.keys():
            if before.get(key) == after.get(key):
                continue
            if now.get(key) == after.get(key):
                result.pop(key, None)
                result |= {key: before[key]} if key in before else {}
            elif now.get(key) != before.get(key):
                stays = True
        return result, stays


# The real thing -----------------------------------------------------------------------------------------------------------------


class Workplace:
    """A workspace in which the same is done."""

    def __init__(self):
        self.member = make_member(Role.ADMIN)
        self.workspace, self.by = self.member.workspace, Author.of(self.member)

    def bring(self, rows):
        objects = [
            {"external_id": key, **{name: value for name, value in row.items() if name != "extra"}, **row.get("extra", {})}
            for key, row in rows.items()
        ]  # fmt: skip
        batch = importing.run(ObjectSource(objects), Options(), workspace=self.workspace, by=self.by)
        assert batch.error_count == 0
        return f"import:{batch.pk}", dict(Lead.objects.for_workspace(self.workspace).values_list("external_id", "pk"))

    def undo(self, act):
        with transaction.atomic():
            undo = undoing.begin(act, workspace=self.workspace, by=self.by)
            while undo.status != undo.Status.COMPLETED:
                undoing.advance(undo, limit=2)
        return set(undo.kept.values_list("lead_id", flat=True))

    def content(self):
        rows = Lead.objects.for_workspace(self.workspace).values("id", "version", *EMPTY)
        return {row.pop("id"): (row.pop("version"), row) for row in rows}


def chosen(mapping, number):
    """One of the mapping's keys, by a number of any size."""
    return sorted(mapping)[number % len(mapping)] if mapping else None


def both(real, plain):
    """Do the same to both; either both refuse, or neither."""
    try:
        with transaction.atomic():
            answer = real()
    except Refusal:
        with pytest.raises(Refused):
            plain()
        return None
    expected = plain()
    assert answer == expected if expected is not None else True
    return answer


def act_upon(place, model, step):
    kind, *given = step
    if kind == "import":
        act, ids = place.bring(given[0])
        model.bring(act, given[0], ids)
        return act
    if kind == "add":
        number = editing.create(deepcopy(given[0]), workspace=place.workspace, by=place.by)
        model.leads[number] = PlainLead(EMPTY | given[0], brought_by="")
    elif kind == "edit" and (number := chosen(model.alive(), given[0])):
        editing.update(number, deepcopy(given[1]), workspace=place.workspace, by=place.by)
        model.edit(number, given[1])
    elif kind == "delete" and (number := chosen(model.alive(), given[0])):
        editing.delete(Lead.objects.filter(pk=number), by=place.by)
        model.leads[number].gone = "bin"
    elif kind == "bring back":
        if number := chosen({n for n, lead in model.leads.items() if lead.gone == "bin"}, given[0]):
            editing.restore_deleted([number], workspace=place.workspace, by=place.by)
            model.bring_back(number)
    elif kind == "restore" and (number := chosen(model.alive(), given[0])):
        version = 1 + given[1] % model.leads[number].version
        both(
            lambda: editing.restore(number, version, workspace=place.workspace, by=place.by),
            lambda: model.restore(number, version),
        )
    elif kind == "merge":
        merge_some(place, model, given)
    elif kind == "unmerge" and model.merges:
        act = sorted(model.merges)[given[0] % len(model.merges)]
        both(
            lambda: unmerging.undo(int(act.partition(":")[2]), workspace=place.workspace, by=place.by) and None,
            lambda: model.unmerge(act),
        )
    return None


def merge_some(place, model, given):
    numbers = list(dict.fromkeys(chosen(model.alive(), number) for number in given))
    if len(numbers) > 1 and None not in numbers:
        (done,) = merging.merge([Wish(numbers[0], tuple(numbers[1:]))], workspace=place.workspace, by=place.by)
        model.merge(f"merge:{done.merge_id}", numbers[0], numbers[1:])


def compare(place, model):
    assert place.content() == {number: (lead.version, lead.state) for number, lead in model.alive().items()}


words = st.sampled_from(["Ann", "Bob", "Cleo"])
custom = st.dictionaries(st.sampled_from(["k1", "k2"]), words, min_size=1)
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": words,
        "city": words,
        "notes": words,
        "tags": st.lists(words, min_size=1, max_size=2, unique=True),
        "extra": custom,
    },
) | st.fixed_dictionaries({"extra": custom, "name": words})
edits = fields | st.fixed_dictionaries({"extra": st.dictionaries(st.sampled_from(["k1", "k2"]), st.none() | words)}) | st.fixed_dictionaries(
    {"name": st.just(""), "tags": st.just([])}
)  # fmt: skip
number = st.integers(0, 4)
steps = st.one_of(
    st.tuples(
        st.just("import"), st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), fields, min_size=1, max_size=3)
    ),
    st.tuples(st.just("add"), fields),
    st.tuples(st.just("edit"), number, edits),
    st.tuples(st.just("delete"), number),
    st.tuples(st.just("bring back"), number),
    st.tuples(st.just("restore"), number, number),
    st.tuples(st.just("merge"), number, number, number),
    st.tuples(st.just("unmerge"), number),
    st.tuples(st.just("undo"), st.just(0) | number),
)


@given(
    st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), fields, min_size=3),
    st.lists(steps, min_size=12, max_size=25),
)
@settings(deadline=None, database=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_and_taken_back_leaves_what_a_plain_model_says(known, done):
    with transaction.atomic():
        place, model, imports = Workplace(), Model(), []
        for step in [("import", known), *done]:
            if step[0] == "undo" and imports:
                act = imports[step[1] % len(imports)]
                both(lambda act=act: place.undo(act), lambda act=act: model.undo_import(act))
            elif act := act_upon(place, model, step):
                imports.append(act)
            compare(place, model)
        transaction.set_rollback(True)
