"""What can be proposed: what it needs, and the act that it comes to."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Workspace
from ai import new_leads
from ai.models import Proposal
from leads import deals
from leads.deals import deal_currency, deal_title, deal_value
from leads.history import Author
from zevix.errors import NotFound, ValidationFailed

_DEAL = {"title": deal_title, "value": deal_value, "currency": deal_currency}
Payload = Mapping[str, Any]


def checked(kind: str, payload: Payload) -> dict[str, Any]:
    """What is kept of a payload, as JSON has it: amounts are texts. Raises ValidationFailed."""
    return new_leads.checked(payload) if kind == Proposal.Kind.CREATE_LEAD else _checked_deal(payload)


def perform(
    kind: str, payload: Payload, *, lead_id: int | None, workspace: Workspace, by: Author
) -> tuple[int, dict[str, Any]]:
    """Do what a checked payload says; returns the lead that it is about, and what was done.

    Raises LeadKnown; for a deal NotFound and NotYourLead.
    """
    if kind == Proposal.Kind.CREATE_LEAD:
        made = new_leads.add(payload, workspace=workspace, by=by)
        return made, {"lead_id": made}
    if lead_id is None:
        raise NotFound
    value = Decimal(payload["value"])
    done = deals.want(lead_id, payload["title"], value, payload["currency"], workspace=workspace, by=by)
    return lead_id, done


def _checked_deal(payload: Payload) -> dict[str, str]:
    kept: dict[str, str] = {}
    problems = {str(name): [_("There is no such field.")] for name in payload if name not in _DEAL}
    for name, clean in _DEAL.items():
        try:
            kept[name] = str(clean(payload.get(name)))
        except ValueError as error:
            problems[name] = [str(error)]
    if problems:
        raise ValidationFailed(fields=problems)
    return kept
