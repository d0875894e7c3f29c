"""The canonical form of each kind of value, and how it is written on both sides.

A form reads what a lead's field holds (``ours``) and what Pipedrive answers (``theirs``) into the same canonical form, and says what to
write there (``for_theirs``) and here (``for_ours``; `leads.values` cleans it afterwards). Both raise ValueError with a sentence where a
side can't hold the value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from crm.pipedrive.mapping.stages import Stages
from crm.pipedrive.mapping.values import UNKNOWN, Canonical, day, keepable, lines, number, one_line
from leads.values import normalized_phone

Lead = Mapping[str, Any]

SHORT, LONG = 255, 20_000  # characters: of a text there; of a long one here, where Pipedrive takes 65,000


def person_name(lead: Lead) -> str:
    """A lead's name; of a nameless one what it is called in Pipedrive, where a person must have a name."""
    named = (one_line(lead.get(name), SHORT) for name in ("name", "company", "email", "phone"))
    return next(filter(None, named), f"Lead {lead.get('id') or ''}".strip())


class Form:
    """Text of one line. ``lists`` and ``objects``: what else than a plain value may stand for one."""

    lists = False
    objects = False

    def ours(self, value: Any, lead: Lead) -> Canonical:
        return self.theirs(value)

    def theirs(self, raw: Any) -> Canonical:
        return one_line(raw, SHORT)

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        """What to write there; None empties it. ``raw`` is what is there now."""
        return canonical

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        """What to write here; None empties it."""
        return keepable(raw).strip() or None


class Lines(Form):
    """Text of many lines."""

    def theirs(self, raw: Any) -> Canonical:
        return lines(raw, LONG)

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return lines(raw, 65_536) or None


class Name(Form):
    """A person's. What a nameless lead is called there is no name for it here."""

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return canonical or person_name(lead)

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        nameless = "id" in lead and not one_line(lead.get("name"), SHORT)
        if nameless and self.theirs(raw) == person_name(lead):
            return None
        return super().for_ours(raw, lead)


class Company(Form):
    """The name of an organization, in lower case: two that differ only so are the same."""

    def theirs(self, raw: Any) -> Canonical:
        return one_line(one_line(raw, SHORT).casefold(), SHORT)


class Exact(Form):
    """Text that is of no use in part."""

    def theirs(self, raw: Any) -> Canonical:
        return one_line(raw, 4_000)

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        written = keepable(value).strip()
        if len(written) > SHORT:
            raise ValueError(_("It is longer than the 255 characters that Pipedrive takes."))
        return written


class Email(Exact):
    def theirs(self, raw: Any) -> Canonical:
        return one_line(raw, 4_000).lower()


class Website(Exact):
    """Without ``https://`` and a slash at the end; what stands before the path in lower case."""

    def theirs(self, raw: Any) -> Canonical:
        written = one_line(raw, 4_000)
        for scheme in ("https://", "http://"):
            if written.lower().startswith(scheme):
                written = written[len(scheme) :]
        host, slash, path = written.partition("/")
        return (host.lower() + slash + path).rstrip("/")


class Phone(Form):
    """E.164 where the number can be understood, else its digits, else the text. Without a country's code it is one of the lead's country."""

    def ours(self, value: Any, lead: Lead) -> Canonical:
        written = one_line(value, SHORT)
        return normalized_phone(written, _country(lead)) or written

    def theirs(self, raw: Any) -> Canonical:
        written = one_line(raw, SHORT)
        return normalized_phone(written) or written

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        written = one_line(value, SHORT)
        return written if self.theirs(written) == canonical else canonical

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        written, meant = one_line(raw, SHORT), self.theirs(raw)
        is_misread = self.ours(written, lead) != meant and self.ours(meant, lead) == meant
        return (meant if is_misread else written) or None


def _country(lead: Lead) -> str:
    return keepable(lead.get("country"))


class Address(Form):
    """In Pipedrive an object, of which the whole address is one text."""

    objects = True

    def ours(self, value: Any, lead: Lead) -> Canonical:
        return one_line(value, SHORT)

    def theirs(self, raw: Any) -> Canonical:
        return one_line(_inner(raw), SHORT)

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return {"value": canonical} if canonical else None

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return super().for_ours(_inner(raw), lead)


@dataclass(frozen=True)
class Number(Form):
    whole: bool = False

    def theirs(self, raw: Any) -> Canonical:
        return number(_inner(raw))

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        if isinstance(canonical, str):
            raise ValueError(_("Pipedrive wants a number here."))
        if self.whole and isinstance(canonical, float):
            raise ValueError(_("Pipedrive wants a whole number here."))
        return canonical

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return self.theirs(raw)


@dataclass(frozen=True)
class Money(Number):
    """An amount; its currency is the one that it has there, else the account's."""

    objects = True
    currency: str = ""

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        amount = super().for_theirs(canonical, value, lead, raw)
        if amount is None:
            return None
        there = raw.get("currency") if isinstance(raw, dict) else None
        return {"value": amount, "currency": there if isinstance(there, str) and there else self.currency}


def _inner(raw: Any) -> Any:
    return raw.get("value") if isinstance(raw, dict) else raw


class Day(Form):
    def theirs(self, raw: Any) -> Canonical:
        return day(raw)

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        if (canonical and day(canonical[:10]) != canonical) or (canonical and len(canonical) != 10):
            raise ValueError(_("Pipedrive wants a date here, as 2024-11-20."))
        return canonical

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return self.theirs(raw)


@dataclass(frozen=True)
class YesNo(Form):
    """``blank`` is what nothing means."""

    blank: bool | None = None

    def theirs(self, raw: Any) -> Canonical:
        known = {"true": True, "false": False, "1": True, "0": False, "": self.blank}
        return known.get(one_line(raw, 20).lower(), UNKNOWN)

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return canonical

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return self.theirs(raw)


@dataclass(frozen=True)
class Choice(Form):
    """One option, by its label."""

    options: dict[str, str] = field(default_factory=dict)

    def ours(self, value: Any, lead: Lead) -> Canonical:
        return self.label(value)

    def theirs(self, raw: Any) -> Canonical:
        return "" if raw is None else self.options.get(str(raw), UNKNOWN)

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return self.id_of(canonical) if canonical else None

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return self.theirs(raw) or None

    def label(self, value: Any) -> str:
        """The option's label, in any case; of what is none the text as it stands."""
        written = one_line(value, SHORT)
        labels = self.options.values()
        folded = (label for label in labels if label.casefold() == written.casefold())
        return written if written in labels else next(folded, written)

    def id_of(self, label: str) -> int:
        for option, known in self.options.items():
            if known == label:
                return int(option)
        shown = ", ".join(list(self.options.values())[:20])
        raise ValueError(
            _("Pipedrive has no option «{label}» here, only: {options}.").format(label=label, options=shown)
        )


class Choices(Choice):
    """Any number of options, by their labels in order."""

    lists = True

    def ours(self, value: Any, lead: Lead) -> Canonical:
        return _ordered(self.label(item) for item in (value if isinstance(value, list) else [value]))

    def theirs(self, raw: Any) -> Canonical:
        numbers = raw if isinstance(raw, list) else [] if raw is None else [raw]
        labels = [self.options.get(str(number)) for number in numbers]
        return UNKNOWN if None in labels else _ordered(filter(None, labels))

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return [self.id_of(label) for label in canonical] or None


def _ordered(labels: Iterable[str]) -> list[str]:
    return sorted(set(filter(None, labels)))


@dataclass(frozen=True)
class Users(Form):
    """Who a lead is assigned to, and the user there with the same e-mail address. Only who is both is known."""

    members: dict[int, str]
    users: dict[int, str]

    def ours(self, value: Any, lead: Lead) -> Canonical:
        address = self.members.get(value) if value else ""
        return address if address == "" or address in self.users.values() else UNKNOWN

    def theirs(self, raw: Any) -> Canonical:
        address = self.users.get(raw) if isinstance(raw, int) else ""
        return address if address == "" or address in self.members.values() else UNKNOWN

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return next((number for number, address in self.users.items() if address == canonical), None)

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        address = self.theirs(raw)
        return next((number for number, known in self.members.items() if known == address), None)


@dataclass(frozen=True)
class Status(Form):
    """A lead's status; there the whole deal tells it."""

    objects = True
    stages: Stages

    def ours(self, value: Any, lead: Lead) -> Canonical:
        return self.stages.canonical(keepable(value))

    def theirs(self, raw: Any) -> Canonical:
        return self.stages.status_of(raw) if raw else ""

    def for_theirs(self, canonical: Canonical, value: Any, lead: Lead, raw: Any) -> Any:
        return self.stages.body(canonical, raw)

    def for_ours(self, raw: Any, lead: Lead) -> Any:
        return self.theirs(raw) or None
