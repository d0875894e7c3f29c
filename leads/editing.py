"""Writing leads: one by one, or many alike. Each act says who does it."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Value
from orjson import Fragment

from accounts.models import Workspace
from leads import history, status_changes, urgency
from leads.distribution import distributing
from leads.errors import ExternalIdTaken, LeadChanged, LeadSold, NotYourLead
from leads.history import Author
from leads.models import LEAD_ROW, ExportedLead, Lead, LeadQuerySet, NeedsAction
from leads.values import normalized_phone, zip_code
from zevix import events
from zevix.errors import NotFound


@transaction.atomic
def create(fields: dict[str, Any], *, workspace: Workspace, by: Author) -> int:
    """Add a lead of checked ``fields``; returns its id. What an agent adds is theirs. Raises ExternalIdTaken."""
    complete = _completed(fields)
    if by.is_agent:
        complete.setdefault("assigned_user_id", by.user_id)
    with history.written_by(by), _external_id_free():
        lead = Lead.objects.create(workspace=workspace, **complete)
    events.record(workspace.pk, "lead.created", {"id": lead.pk, "source": complete["source"]})
    if lead.assigned_user_id is None:
        distributing.arrived(lead.pk, workspace=workspace, by=by)
    return lead.pk


@transaction.atomic
def update(
    lead_id: int,
    changes: dict[str, Any],
    *,
    workspace: Workspace | int,
    by: Author,
    versions: Container[int] | None = None,
    act: str = "",
) -> None:
    """Change checked fields of a lead, and what follows from them.

    Whether action is needed follows from status and last contact, unless ``changes`` says it. Of ``extra`` the keys given are
    changed; None removes one. ``versions`` are those of the lead that was read; without them any will do.
    Raises NotFound, NotYourLead, LeadChanged, ExternalIdTaken.
    """
    lead = lock(lead_id, workspace, by)
    _refuse_stale(lead, versions)
    _write([(lead, changes)], by=by, act=act)


@transaction.atomic
def update_each(wanted: Mapping[int, dict[str, Any]], *, workspace: Workspace | int, by: Author, act: str = "") -> None:
    """The same for many leads, each with changes of its own; those that are gone are left out. Raises NotYourLead, ExternalIdTaken."""
    leads = Lead.objects.for_workspace(workspace).filter(pk__in=list(wanted)).order_by("pk").select_for_update()
    if not all(by.may_change(lead.assigned_user_id) for lead in leads):
        raise NotYourLead
    _write([(lead, wanted[lead.pk]) for lead in leads], by=by, act=act)


@transaction.atomic
def update_all(leads: LeadQuerySet, changes: dict[str, Any], *, by: Author, act: str = "") -> int:
    """Change ``status``, ``needs_action`` or ``assigned_user_id`` of many leads alike; returns how many were otherwise before."""
    differing = Lead.objects.filter(pk__in=leads.order_by().values("pk")).exclude(**changes)
    places = dict(differing.order_by("pk").select_for_update().values_list("pk", "workspace"))
    follows: dict[str, Any] = {}
    if "status" in changes and "needs_action" not in changes:
        follows["needs_action"] = urgency.needed(Value(changes["status"]), F("last_contact"))
    status_changes.record(places, changes, by=by)
    with history.written_by(by, act):
        Lead.objects.filter(pk__in=places).update(**changes, **follows)
    for workspace_id, count in Counter(places.values()).items():
        events.record(workspace_id, "lead.updated", {"count": count, "fields": sorted(changes)})
    return len(places)


@transaction.atomic
def delete(leads: LeadQuerySet, *, by: Author, act: str = "") -> int:
    """Put leads into the bin, from where they come back within 30 days; returns how many.

    Raises LeadSold for leads of the catalogue that were exported: their copies would be charged anew.
    """
    chosen = Lead.objects.filter(pk__in=leads.order_by().values("pk"))
    places = dict(chosen.order_by("pk").select_for_update().values_list("pk", "workspace"))
    refuse_sold(Lead.objects.filter(pk__in=places))
    with history.written_by(by, act):
        Lead.objects.filter(pk__in=places).delete()
    for workspace_id, count in Counter(places.values()).items():
        events.record(workspace_id, "lead.deleted", {"id": min(places)} if len(places) == 1 else {"count": count})
    return len(places)


def refuse_sold(leads: LeadQuerySet) -> None:
    """Raises LeadSold where some of the leads are the catalogue's, and were exported."""
    sold = ExportedLead.objects.filter(lead__in=leads.in_catalogue().order_by().values("pk"))
    if count := sold.values("lead").distinct().count():
        raise LeadSold(count=count)


@transaction.atomic
def delete_one(lead_id: int, *, workspace: Workspace | int, by: Author, versions: Container[int] | None = None) -> None:
    """The same for one lead. Raises NotFound, NotYourLead, LeadChanged, LeadSold."""
    _refuse_stale(lock(lead_id, workspace, by), versions)
    delete(Lead.objects.filter(pk=lead_id), by=by)


@transaction.atomic
def restore(lead_id: int, number: int, *, workspace: Workspace | int, by: Author) -> None:
    """Give a lead back what it held as version ``number``. Raises NotFound for a lead or version that there is not, NotYourLead,
    ExternalIdTaken."""
    lead = lock(lead_id, workspace, by)
    before = history.state(lead, number)
    if before is None:
        raise NotFound
    new = {column: value for column, value in before.items() if getattr(lead, column) != value}
    if "assigned_user_id" in new and not lead.workspace.memberships.filter(user=new["assigned_user_id"]).exists():
        new["assigned_user_id"] = None  # whoever left gets nothing back
    if new:
        status_changes.record([lead.pk], new, by=by)
        with history.written_by(by, f"restore:{number}"), _external_id_free():
            Lead.objects.filter(pk=lead.pk).update(**new)
        events.record_all(lead.workspace_id, _told_of(lead, new))


@transaction.atomic
def restore_deleted(lead_ids: list[int], *, workspace: Workspace, by: Author) -> list[int]:
    """Take leads out of the bin; returns the ids of those that are back.

    Not among them are leads that are not in this workspace's bin, and those whose external id another lead has by now.
    """
    binned = history.in_bin(workspace.pk).filter(pgh_obj__in=lead_ids)
    with history.written_by(by, "restore:bin"):
        back = history.bring_back(list(binned.values_list("pgh_id", flat=True)))
    if back:
        events.record(workspace.pk, "lead.created", {"id": back[0]} if len(back) == 1 else {"count": len(back)})
    return back


def lock(lead_id: int, workspace: Workspace | int, by: Author) -> Lead:
    """The lead, held until the transaction ends, so that what two do with it at once is done one after the other.

    Raises NotFound, NotYourLead.
    """
    lead: Lead | None = Lead.objects.for_workspace(workspace).select_for_update().filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    if not by.may_change(lead.assigned_user_id):
        raise NotYourLead
    return lead


def _write(wanted: Iterable[tuple[Lead, dict[str, Any]]], *, by: Author, act: str) -> None:
    """Change leads that are held."""
    differing = [(lead, changes, new) for lead, changes in wanted if (new := _differing(lead, changes))]
    if not differing:
        return
    for lead, _changes, new in differing:
        status_changes.record([lead.pk], new, by=by)
    with history.written_by(by, act):
        for lead, changes, new in differing:
            with _external_id_free() if "external_id" in new else nullcontext():
                Lead.objects.filter(pk=lead.pk).update(**new | _consequences(lead, new, changes))
    happened = [event for lead, _changes, new in differing for event in _told_of(lead, new)]
    events.record_all(differing[0][0].workspace_id, happened)


def _differing(lead: Lead, changes: dict[str, Any]) -> dict[str, Any]:
    wanted = _with_whole_extra(lead, changes)
    return {name: value for name, value in wanted.items() if getattr(lead, name) != value}


def _refuse_stale(lead: Lead, versions: Container[int] | None) -> None:
    if versions is not None and lead.version not in versions:
        raise LeadChanged(lead=_as_answered(lead.pk))


@contextmanager
def _external_id_free() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "leads_external_id_names_one_lead" in str(error):
            raise ExternalIdTaken(fields={"external_id": [str(ExternalIdTaken.message)]})
        raise


def _as_answered(lead_id: int) -> Fragment:
    return Fragment(Lead.objects.filter(pk=lead_id).values_list(LEAD_ROW, flat=True)[0])


def _with_whole_extra(lead: Lead, changes: dict[str, Any]) -> dict[str, Any]:
    if "extra" not in changes:
        return changes
    merged = {**lead.extra, **changes["extra"]}
    return {**changes, "extra": {key: value for key, value in merged.items() if value is not None}}


def _consequences(lead: Lead, new: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What changes along: the phone's form for matching, the ZIP code's, the address's state, and whether action is needed."""
    after = {name: new.get(name, getattr(lead, name)) for name in _CAUSES}
    follows: dict[str, Any] = {}
    if {"phone", "country"} & new.keys():
        follows["phone_normalized"] = normalized_phone(after["phone"], after["country"])
    if {"zip_code", "state", "country"} & new.keys():
        follows["zip_code"] = zip_code(after["zip_code"], state=after["state"], country=after["country"])
    if "email" in new and new["email"].lower() != lead.email.lower():
        follows["email_status"] = "unknown"
    if {"status", "last_contact"} & new.keys() and "needs_action" not in changes:
        follows["needs_action"] = urgency.needed(Value(after["status"]), Value(after["last_contact"]))
    return follows


_CAUSES = ("phone", "zip_code", "state", "country", "status", "last_contact")


def _told_of(lead: Lead, new: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    happened = [("lead.updated", {"id": lead.pk, "fields": sorted(new)})]
    if "assigned_user_id" in new:
        happened.append(("lead.assigned", {"id": lead.pk, "assigned_user_id": new["assigned_user_id"]}))
    return happened


def _completed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with what follows from them: the phone for matching, the ZIP code's form, whether action is needed."""
    country, state = fields.get("country", ""), fields.get("state", "")
    return {
        "source": "api",
        "needs_action": NeedsAction(Value(fields.get("status")), Value(fields.get("last_contact"))),
        **fields,
        "extra": {key: value for key, value in fields.get("extra", {}).items() if value is not None},
        "phone_normalized": normalized_phone(fields.get("phone", ""), country),
        "zip_code": zip_code(fields.get("zip_code", ""), state=state, country=country),
    }
