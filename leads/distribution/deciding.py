"""Deciding who gets a lead, in memory: what `leads.distribution.rulebook` has read goes in, decisions come out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from leads.models import DistributionRule

Strategy = DistributionRule.Strategy

# why a lead waits
NO_RULE = "no_rule"  # no active rule takes it
NO_MEMBERS = "no_members"  # one takes it, but none of its members does
NOBODY_FREE = "nobody_free"  # those who would are away, or have their day's number


@dataclass(frozen=True)
class Arrival:
    """A lead as rules see it: in small letters."""

    id: int
    owner_id: int | None
    state: str
    zip_code: str
    specialties: frozenset[str]
    tags: frozenset[str]

    @classmethod
    def of(
        cls, id: int, owner_id: int | None, state: str, zip_code: str, specialties: Sequence[str], tags: Sequence[str]
    ) -> "Arrival":
        small = [frozenset(map(str.casefold, texts)) for texts in (specialties, tags)]
        return cls(id, owner_id, state.casefold(), zip_code.casefold(), *small)


Texts = dict[str, str]


@dataclass(frozen=True)
class Territory:
    """Which leads are meant: a place (a state or the beginning of a ZIP code), a specialty, a tag; each where given.

    Each text stands in small letters with the way in which it was written.
    """

    states: Texts
    zip_prefixes: Texts
    specialties: Texts
    tags: Texts

    @classmethod
    def of(cls, *named: Sequence[str]) -> "Territory":
        """``named`` as the fields have it."""
        return cls(*({text.casefold(): text for text in texts} for texts in named))

    @cached_property
    def _beginnings(self) -> tuple[str, ...]:
        return tuple(self.zip_prefixes)

    def has(self, lead: Arrival) -> bool:
        return (
            (
                not (self.states or self.zip_prefixes)
                or lead.state in self.states
                or lead.zip_code.startswith(self._beginnings)
            )
            and (not self.specialties or not self.specialties.keys().isdisjoint(lead.specialties))
            and (not self.tags or not self.tags.keys().isdisjoint(lead.tags))
        )

    def matches(self, lead: Arrival) -> dict[str, list[str]]:
        """What of the lead is named here, by field, as it is written here."""
        named = {
            "state": [text for state, text in self.states.items() if state == lead.state],
            "zip_code": [text for prefix, text in self.zip_prefixes.items() if lead.zip_code.startswith(prefix)],
            "specialties": [text for specialty, text in self.specialties.items() if specialty in lead.specialties],
            "tags": [text for tag, text in self.tags.items() if tag in lead.tags],
        }
        return {name: found for name, found in named.items() if found}


@dataclass
class Person:
    """Somebody who gets leads, by whichever rule; the counts go up as they do."""

    user_id: int
    is_away: bool = False
    capacity: int | None = None
    given_today: int = 0
    open_leads: int = 0

    @property
    def is_free(self) -> bool:
        return not self.is_away and (self.capacity is None or self.given_today < self.capacity)


@dataclass
class Member:
    """A person's place in a rule."""

    id: int
    person: Person
    weight: int
    credit: int
    territory: Territory


@dataclass
class Rule:
    id: int
    name: str
    strategy: str
    territory: Territory
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True)
class Decision:
    """Who gets a lead, and what the rule saw when it decided."""

    lead: Arrival
    user_id: int
    rule_id: int
    facts: dict[str, Any]


def decide(lead: Arrival, rules: Iterable[Rule]) -> Decision | str:
    """Who gets the lead, by the first rule that has somebody free for it; else why it waits.

    The counts of whoever gets it, and whose turn is next, are brought up to date in ``rules``.
    """
    reason = NO_RULE
    for rule in rules:
        if not rule.territory.has(lead):
            continue
        suited = [member for member in rule.members if member.territory.has(lead)]
        free = [member for member in suited if member.person.is_free]
        if free:
            return _give(lead, rule, free, suited)
        if suited:
            reason = NOBODY_FREE
        elif reason == NO_RULE:
            reason = NO_MEMBERS
    return reason


def _give(lead: Arrival, rule: Rule, free: list[Member], suited: list[Member]) -> Decision:
    chosen = _least_busy(free) if rule.strategy == Strategy.LEAST_BUSY else _next_in_turn(rule, free)
    person = chosen.person
    facts = {
        "rule": rule.name,
        "strategy": rule.strategy,
        "matched": _both(rule.territory.matches(lead), chosen.territory.matches(lead)),
        "suited": len(suited),
        "free": len(free),
    }
    if rule.strategy == Strategy.WEIGHTED:
        facts |= {"weight": chosen.weight, "weights": sum(member.weight for member in free)}
    if rule.strategy == Strategy.LEAST_BUSY:
        facts |= {"open_leads": person.open_leads}
    person.given_today += 1
    person.open_leads += 1
    if person.capacity is not None:
        facts |= {"given_today": person.given_today, "daily_capacity": person.capacity}
    return Decision(lead, person.user_id, rule.id, facts)


def _least_busy(free: list[Member]) -> Member:
    return min(free, key=lambda member: (member.person.open_leads, member.id))


def _next_in_turn(rule: Rule, free: list[Member]) -> Member:
    """Smooth weighted round robin, as nginx does it: each earns its weight, the richest is next and pays what all have earned.

    Over a full cycle everybody gets exactly their share, spread evenly. Of equals the longest in the rule is first.
    """
    earned = 0
    for member in free:
        weight = member.weight if rule.strategy == Strategy.WEIGHTED else 1
        member.credit += weight
        earned += weight
    chosen = max(free, key=lambda member: (member.credit, -member.id))
    chosen.credit -= earned
    return chosen


def _both(of_rule: dict[str, list[str]], of_member: dict[str, list[str]]) -> dict[str, list[str]]:
    """What the rule names and what the member does; the member's where both do, since it is the narrower."""
    return of_rule | of_member
