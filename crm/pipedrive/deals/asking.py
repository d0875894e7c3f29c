"""What Pipedrive is asked for when a deal is made."""

from contextlib import suppress
from typing import Any

from crm.models import Deal, Link
from crm.pipedrive import mapping
from crm.pipedrive.accounts import Account
from crm.pipedrive.mapping import MappedField
from leads.models import Lead

STATUS = "status"
_WHOSE = "assigned_user_id"

Row = dict[str, Any]


def body(deal: Deal, person_id: int, *, account: Account) -> Row:
    """A new deal: in the stage of the lead's status, open, with what the mapping has for deals.

    What the lead has for it at this moment is kept with the deal: whatever differs from that later was changed later.
    """
    told: Row = {"title": deal.title, "person_id": person_id}
    if organization_id := organization_of(person_id, account):
        told["org_id"] = organization_id
    if deal.value is not None:
        told["value"] = float(deal.value)
    if deal.currency:
        told["currency"] = deal.currency
    lead: Row | None = Lead.objects.filter(pk=deal.lead_id).values(*mapping.LEAD_COLUMNS).first()
    if lead is None:
        return told
    sent = {field.name: field.ours(lead) for field in fields_of_deals(account)}
    Deal.objects.filter(pk=deal.pk).update(sent=sent)
    return mapping.merged([*_mapped(lead, account), _place(lead, account), told])


def fields_of_deals(account: Account) -> list[MappedField]:
    return [field for field in account.mapping.fields if field.entity == "deal"]


def organization_of(person_id: int, account: Account) -> int | None:
    link = Link.objects.filter(connection=account.connection, person_id=person_id).first()
    return link.organization_id if link else None


def _mapped(lead: Row, account: Account) -> list[Row]:
    """What the lead has for fields of deals, and whose it is; what Pipedrive can't hold is told when the lead is compared."""
    parts = []
    for field in account.mapping.fields:
        value = field.ours(lead)
        if (field.entity == "deal" or field.name == _WHOSE) and field.name != STATUS and not field.is_empty(value):
            with suppress(ValueError):
                parts.append(field.for_theirs(lead, mapping.Remote(), value))
    return parts


def _place(lead: Row, account: Account) -> Row:
    """A stage, which tells the pipeline, too. Of a lead that was won or lost the new deal begins where deals begin."""
    stage = account.mapping.stage_for(lead["status"])
    if stage is not None:
        return {"stage_id": stage}
    return {"pipeline_id": account.mapping.pipeline_id} if account.mapping.pipeline_id else {}
