"""Writing leads: one by one, or many alike."""

from collections import Counter
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Now

from accounts.models import Workspace
from leads.errors import ExternalIdTaken, LeadChanged, LeadSold
from leads.models import ExportedLead, Lead, LeadQuerySet, NeedsAction
from leads.values import normalized_phone, zip_code
from zevix import events
from zevix.errors import NotFound


@transaction.atomic
def create(fields: dict[str, Any], *, workspace: Workspace) -> int:
    """Add a lead of checked ``fields``; returns its id. Raises ExternalIdTaken."""
    complete = _completed(fields)
    try:
        with transaction.atomic():
            lead = Lead.objects.create(workspace=workspace, **complete)
    except IntegrityError as error:
        if "leads_external_id_names_one_lead" in str(error):
            raise ExternalIdTaken(fields={"external_id": [str(ExternalIdTaken.message)]})
        raise
    events.record(workspace.pk, "lead.created", {"id": lead.pk, "source": complete["source"]})
    return lead.pk


@transaction.atomic
def update(lead_id: int, changes: dict[str, Any], *, workspace: Workspace | int, version: int | None = None) -> None:
    """Change checked fields of a lead, and what follows from them.

    Whether action is needed follows from status and last contact, unless ``changes`` says it. ``version`` is the lead that was
    read; without one any will do. Raises NotFound, LeadChanged, ExternalIdTaken.
    """
    lead = Lead.objects.for_workspace(workspace).select_for_update().filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    if version not in (None, lead.version):
        raise LeadChanged
    new = {name: value for name, value in changes.items() if getattr(lead, name) != value}
    if new:
        _write(lead, new | _consequences(lead, new, changes))
        _tell_of_change(lead, new)


@transaction.atomic
def update_all(leads: LeadQuerySet, changes: dict[str, Any]) -> int:
    """Change ``status``, ``needs_action`` or ``assigned_user_id`` of many leads alike; returns how many were otherwise before."""
    differing = Lead.objects.filter(pk__in=leads.order_by().values("pk")).exclude(**changes)
    places = dict(differing.order_by("pk").select_for_update().values_list("pk", "workspace"))
    follows: dict[str, Any] = {}
    if "status" in changes and "needs_action" not in changes:
        follows["needs_action"] = NeedsAction(Value(changes["status"]), F("last_contact"))
    Lead.objects.filter(pk__in=places).update(**changes, **follows, version=F("version") + 1, updated_at=Now())
    for workspace_id, count in Counter(places.values()).items():
        events.record(workspace_id, "lead.updated", {"count": count, "fields": sorted(changes)})
    return len(places)


@transaction.atomic
def delete(leads: LeadQuerySet) -> int:
    """Delete leads; returns how many. Raises LeadSold for leads of the catalogue that were exported: their copies would be charged anew."""
    chosen = Lead.objects.filter(pk__in=leads.order_by().values("pk"))
    places = dict(chosen.order_by("pk").select_for_update().values_list("pk", "workspace"))
    sold = ExportedLead.objects.filter(lead__in=Lead.objects.in_catalogue().filter(pk__in=places))
    if count := sold.values("lead").distinct().count():
        raise LeadSold(count=count)
    Lead.objects.filter(pk__in=places).delete()
    for workspace_id, count in Counter(places.values()).items():
        events.record(workspace_id, "lead.deleted", {"id": min(places)} if len(places) == 1 else {"count": count})
    return len(places)


def _write(lead: Lead, new: dict[str, Any]) -> None:
    try:
        with transaction.atomic():
            Lead.objects.filter(pk=lead.pk).update(**new, version=F("version") + 1, updated_at=Now())
    except IntegrityError as error:
        if "leads_external_id_names_one_lead" in str(error):
            raise ExternalIdTaken(fields={"external_id": [str(ExternalIdTaken.message)]})
        raise


def _consequences(lead: Lead, new: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What changes along: the phone's form for matching, the ZIP code's, and whether action is needed."""
    after = {name: new.get(name, getattr(lead, name)) for name in _CAUSES}
    follows: dict[str, Any] = {}
    if {"phone", "country"} & new.keys():
        follows["phone_normalized"] = normalized_phone(after["phone"], after["country"])
    if {"zip_code", "state", "country"} & new.keys():
        follows["zip_code"] = zip_code(after["zip_code"], state=after["state"], country=after["country"])
    if {"status", "last_contact"} & new.keys() and "needs_action" not in changes:
        follows["needs_action"] = NeedsAction(Value(after["status"]), Value(after["last_contact"]))
    return follows


_CAUSES = ("phone", "zip_code", "state", "country", "status", "last_contact")


def _tell_of_change(lead: Lead, new: dict[str, Any]) -> None:
    events.record(lead.workspace_id, "lead.updated", {"id": lead.pk, "fields": sorted(new)})
    if "assigned_user_id" in new:
        assigned = {"id": lead.pk, "assigned_user_id": new["assigned_user_id"]}
        events.record(lead.workspace_id, "lead.assigned", assigned)


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
