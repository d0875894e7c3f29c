from itertools import count
from typing import Any

import pgtrigger

from accounts.models import Workspace
from billing.models import Plan, Subscription
from leads.models import Lead, Usage, UsageEntry
from leads.quotas import current_month

_numbers = count(1)


def make_lead(workspace: Workspace, **fields: Any) -> Lead:
    number = next(_numbers)
    return Lead.objects.create(
        workspace=workspace,
        **{"company": f"Practice {number}", "email": f"office{number}@practice.example", **fields},
    )


def make_catalogue_lead(**fields: Any) -> Lead:
    return make_lead(Workspace.objects.catalogue(), **fields)


def make_catalogue(size: int, **fields: Any) -> list[Lead]:
    catalogue = Workspace.objects.catalogue()
    return Lead.objects.bulk_create(
        Lead(workspace=catalogue, external_id=f"id{number}", company=f"Practice {number}", **fields)
        for number in range(1, size + 1)
    )


def give_plan(workspace: Workspace, monthly_leads: int) -> Plan:
    """Put a workspace on a plan of its own."""
    plan = Plan.objects.create(code=f"plan-{next(_numbers)}", name="Tailored", monthly_leads=monthly_leads)
    Subscription.objects.update_or_create(workspace=workspace, defaults={"plan": plan})
    return plan


def use(workspace: Workspace, leads: int) -> None:
    """Have a workspace used so many leads of this month, on top of what it used before."""
    UsageEntry.objects.create(
        workspace=workspace, month=current_month(), kind=UsageEntry.Kind.ADJUSTMENT, leads=leads, reason="for a test"
    )


def a_month_passes(month: str = "2020-01") -> None:
    """All that was used by now was used in another month."""
    with pgtrigger.ignore("leads.Usage:is_the_sum_of_its_entries", "leads.UsageEntry:stays_as_it_is"):
        Usage.objects.update(month=month)
        UsageEntry.objects.update(month=month)
