"""Writing single leads."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Value

from accounts.models import Workspace
from leads.errors import ExternalIdTaken
from leads.models import Lead, NeedsAction
from leads.values import normalized_phone, zip_code
from zevix import events


@transaction.atomic
def create(fields: dict[str, Any], *, workspace: Workspace) -> dict[str, Any]:
    """Add a lead of checked ``fields``; returns it flat. Raises ExternalIdTaken."""
    complete = _completed(fields)
    try:
        with transaction.atomic():
            lead = Lead.objects.create(workspace=workspace, **complete)
    except IntegrityError as error:
        if "leads_external_id_names_one_lead" in str(error):
            raise ExternalIdTaken(fields={"external_id": [str(ExternalIdTaken.message)]})
        raise
    events.record(workspace.pk, "lead.created", {"id": lead.pk, "source": complete["source"]})
    return Lead.objects.for_workspace(workspace).filter(pk=lead.pk).flat().get()


def _completed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with what follows from them: the phone for matching, the ZIP code's form, whether action is needed."""
    country, state = fields.get("country", ""), fields.get("state", "")
    return {
        "source": "api",
        "needs_action": NeedsAction(Value(fields.get("status")), Value(fields.get("last_contact"))),
        **fields,
        "phone_normalized": normalized_phone(fields.get("phone", ""), country),
        "zip_code": zip_code(fields.get("zip_code", ""), state=state, country=country),
    }
