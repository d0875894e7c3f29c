"""Why a lead has this owner, this score and this price, in sentences of the caller's language."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User, Workspace
from leads import history
from leads.distribution.deciding import NO_MEMBERS, NO_RULE, NOBODY_FREE, Strategy
from leads.history import Origin
from leads.models import Assignment, ExportedLead, Lead, WaitingLead
from zevix.errors import NotFound

People = dict[int, str]


def explain(lead_id: int, *, workspace: Workspace) -> dict[str, Any]:
    """``{"lead_id", "owner", "waiting", "score", "price"}``. Raises NotFound."""
    found = Lead.objects.for_workspace(workspace).filter(pk=lead_id)
    lead = found.defer("search_vector").first()
    origins = history.provenance(found).get(lead_id)
    if lead is None or origins is None:  # no such lead, or deleted at this very moment
        raise NotFound
    given = (
        Assignment.objects.for_workspace(workspace).select_related("rule").filter(lead=lead_id).order_by("-pk").first()
    )
    people = _people([lead.assigned_user_id, *(origin.user_id for origin in origins.values())])
    return {
        "lead_id": lead.pk,
        "owner": _owner(lead, origins["assigned_user_id"], given, people),
        "waiting": _waiting(lead),
        "score": _score(lead, origins["score"], people),
        "price": _price(lead),
    }


def _people(user_ids: Iterable[int | None]) -> People:
    return dict(User.objects.filter(pk__in={pk for pk in user_ids if pk}).values_list("pk", "email"))


# The owner ------------------------------------------------------------------------------------------------------------------


def _owner(lead: Lead, origin: Origin, given: Assignment | None, people: People) -> dict[str, Any] | None:
    if lead.assigned_user_id is None:
        return None
    owner = {"user_id": lead.assigned_user_id, "email": people.get(lead.assigned_user_id, "")}
    if given and given.user_id == lead.assigned_user_id and origin.act.startswith("distribution:"):
        return owner | {
            "by": "rule",
            "rule": _rule(given),
            "at": given.created_at,
            "reason": by_rule(given.facts),
            "facts": given.facts,
        }
    facts: dict[str, Any] = {"source": origin.source, "act": origin.act, "user_id": origin.user_id}
    if given:
        facts["given_before"] = {"user_id": given.user_id, "rule": _rule(given), "at": given.created_at}
    return owner | {
        "by": "user" if origin.source == "human" else origin.source,
        "rule": None,
        "at": origin.at,
        "reason": _told(origin, people),
        "facts": facts,
    }


def _rule(given: Assignment) -> dict[str, Any] | None:
    """The rule as it is called now; None when it is gone."""
    rule = given.rule
    return {"id": rule.pk, "name": rule.name, "strategy": rule.strategy} if rule else None


def by_rule(facts: dict[str, Any]) -> str:
    return " ".join(filter(None, [_choice(facts), _match(facts["matched"]), _capacity(facts)]))


def _choice(facts: dict[str, Any]) -> str:
    sentence = {
        Strategy.ROUND_ROBIN: _("The rule “{rule}” gave it to the next in turn, out of {free} who were free."),
        Strategy.WEIGHTED: _(
            "The rule “{rule}” gave it to the next in turn, out of {free} who were free, by a weight of {weight} in {weights}."
        ),
        Strategy.LEAST_BUSY: _(
            "The rule “{rule}” gave it to whoever had the fewest open leads, {open_leads}, out of {free} who were free."
        ),
        Strategy.TERRITORY: _(
            "The rule “{rule}” gave it to the next in turn, out of {free} who were free and have it in their territory."
        ),
    }[Strategy(facts["strategy"])]
    return sentence.format(**facts)


def _match(matched: dict[str, list[str]]) -> str:
    if not matched:
        return ""
    named = (
        f"{Lead._meta.get_field(field).verbose_name}: {', '.join(values)}"  # type: ignore[union-attr]  # no relation among them
        for field, values in matched.items()
    )
    return _("It matched by {fields}.").format(fields="; ".join(named))


def _capacity(facts: dict[str, Any]) -> str:
    if "daily_capacity" not in facts:
        return ""
    return _("It was number {given_today} of at most {daily_capacity} on that day.").format(**facts)


def _waiting(lead: Lead) -> dict[str, Any] | None:
    """Since when and why no rule has found anybody; None for a lead that has an owner, or was never up for distribution."""
    waiting = WaitingLead.objects.for_workspace(lead.workspace_id).filter(lead=lead.pk).first()
    if waiting is None or lead.assigned_user_id:
        return None
    return {"reason": waiting.reason, "message": why_it_waits(waiting.reason), "since": waiting.created_at}


def why_it_waits(reason: str) -> str:
    return {
        NO_RULE: _("No active rule takes this lead."),
        NO_MEMBERS: _("A rule takes this lead, but none of its members does."),
        NOBODY_FREE: _("Everybody who would get this lead is away, or has as many leads as they take a day."),
    }[reason]


# Score and price ------------------------------------------------------------------------------------------------------------


def _score(lead: Lead, origin: Origin, people: People) -> dict[str, Any]:
    if lead.score is None:
        return {"value": None, "source": None, "at": None, "user_id": None, "reason": _("It has no score.")}
    return {
        "value": lead.score,
        "source": origin.source,
        "at": origin.at,
        "user_id": origin.user_id,
        "reason": _told(origin, people),
    }


def _price(lead: Lead) -> dict[str, Any]:
    """What an export of it would cost: a copy and the catalogue's lead are one."""
    root = lead.catalogue_lead_id or lead.pk
    charge = ExportedLead.objects.for_workspace(lead.workspace_id).filter(lead=root).first()
    if charge is None:
        reason = _("It was not exported yet: an export costs one lead of the month's quota.")
        return {"exported": False, "export_id": None, "cost": 1, "reason": reason}
    reason = _("It was paid for with export {number}; another export of it is free.").format(number=charge.export_id)
    return {"exported": True, "export_id": charge.export_id, "cost": 0, "reason": reason}


# Where a value came from ----------------------------------------------------------------------------------------------------


def _told(origin: Origin, people: People) -> str:
    kind, _colon, number = origin.act.partition(":")
    by_act = {
        "import": _("It came with import {number} on {at}."),
        "bulk": _("{person} set it on {at}, for many leads at once (bulk change {number})."),
        "merge": _("It came with merge {number} on {at}."),
        "export": _("It came from the catalogue with export {number} on {at}."),
    }
    by_source = {
        "human": _("{person} set it on {at}."),
        "api": _("It came by the API on {at}."),
        "import": _("It came with an import on {at}."),
        "crm": _("It came from the CRM on {at}."),
        "ai": _("It was worked out by AI on {at}."),
        "scrape": _("It was found on the web on {at}."),
        "catalogue": _("It came from the catalogue on {at}."),
    }
    sentence = by_act.get(kind) or by_source.get(origin.source) or _("Zevix set it on {at}.")
    person = people.get(origin.user_id or 0) or _("Somebody who is gone")
    return sentence.format(person=person, number=number, at=_moment(origin.at))


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
