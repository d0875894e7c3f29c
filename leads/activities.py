"""What people do with leads, and what a lead takes over from it: when it was last contacted, and what is to be done next."""

from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.db.models.fields.json import KT
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads import editing, history, urgency
from leads.errors import NotYourActivity
from leads.history import Author
from leads.models import Activity, Lead
from zevix.errors import NotFound, ValidationFailed

# clocks differ, and somebody may write down a day alone
_AHEAD = timedelta(days=1)
_LONGEST = 2_000  # characters of a lead's next action
_NEED_TEXT = (Activity.Type.NOTE, Activity.Type.STATUS_CHANGE)


@transaction.atomic
def add(lead_id: int, fields: dict[str, Any], *, workspace: Workspace | int, by: Author) -> int:
    """Write down something done with a lead, or a task; returns its id. A contact without ``done_at`` is one of now.

    Raises NotFound, NotYourLead, ValidationFailed.
    """
    lead = editing.lock(lead_id, workspace, by)
    activity = Activity(workspace_id=lead.workspace_id, lead_id=lead.pk, user_id=by.user_id, **fields)
    _complete(activity)
    activity.save()
    _carry_over(lead, None, activity, by=by, act=f"activity:{activity.pk}")
    return activity.pk


@transaction.atomic
def change(activity_id: int, changes: dict[str, Any], *, workspace: Workspace | int, by: Author) -> None:
    """Change an activity. Agents change their own, of leads that are still theirs.

    Raises NotFound, NotYourLead, NotYourActivity, ValidationFailed.
    """
    lead, before = _lock_with_lead(activity_id, workspace, by)
    after = copy(before)
    for name, value in changes.items():
        setattr(after, name, value)
    _complete(after)
    if any(getattr(after, name) != getattr(before, name) for name in ("type", "text", "due_at", "done_at")):
        after.save()
        _carry_over(lead, before, after, by=by, act=f"activity:{activity_id}")


@transaction.atomic
def delete(activity_id: int, *, workspace: Workspace | int, by: Author) -> None:
    """Delete an activity, for good. Agents delete their own. Raises NotFound, NotYourLead, NotYourActivity."""
    lead, activity = _lock_with_lead(activity_id, workspace, by)
    Activity.objects.filter(pk=activity_id).delete()
    _carry_over(lead, activity, None, by=by, act=f"activity:{activity_id}")


def _lock_with_lead(activity_id: int, workspace: Workspace | int, by: Author) -> tuple[Lead, Activity]:
    found = Activity.objects.for_workspace(workspace).filter(pk=activity_id)
    lead_id = found.values_list("lead_id", flat=True).first()
    if lead_id is None:
        raise NotFound
    lead = editing.lock(lead_id, workspace, by)
    activity = found.filter(lead=lead.pk).first()  # as it is now that nobody else can change it
    if activity is None:
        raise NotFound
    if not by.may_change(activity.user_id):
        raise NotYourActivity
    return lead, activity


def problems(activity: Activity) -> dict[str, list[Any]]:
    """What makes no sense about an activity: field → sentences."""
    found: dict[str, list[Any]] = {}
    if not activity.text and activity.type in _NEED_TEXT:
        found["text"] = [_("Write something.")]
    if activity.due_at and activity.type != Activity.Type.TASK:
        found["due_at"] = [_("Only tasks are due.")]
    if activity.done_at and activity.done_at > timezone.now() + _AHEAD:
        found["done_at"] = [_("This is yet to come.")]
    return found


def _complete(activity: Activity) -> None:
    """Give a contact its time. Raises ValidationFailed."""
    if activity.type in Activity.CONTACTS and activity.done_at is None:
        activity.done_at = activity.created_at or timezone.now()
    if found := problems(activity):
        raise ValidationFailed(fields=found)


# What the lead takes over -------------------------------------------------------------------------------------------------


def _carry_over(lead: Lead, before: Activity | None, after: Activity | None, *, by: Author, act: str) -> None:
    """Bring a locked lead into line with an activity that was ``before`` and is ``after`` (None: is not)."""
    changes = _last_contact(lead, before, after) | _next_action(lead, before, after)
    if _is_due(after):
        changes["needs_action"] = True
    elif (
        _is_due(before)
        and "last_contact" not in changes
        and not _is_past(changes.get("next_action_at", lead.next_action_at))
    ):
        changes["needs_action"] = lead.needs_action and urgency.is_needed(lead)
    if changes:
        editing.update(lead.pk, changes, workspace=lead.workspace_id, by=by, act=act)


def _is_due(activity: Activity | None) -> bool:
    return activity is not None and activity.is_open and _is_past(activity.due_at)


def _is_past(moment: datetime | None) -> bool:
    return moment is not None and moment <= timezone.now()


def _last_contact(lead: Lead, before: Activity | None, after: Activity | None) -> dict[str, Any]:
    was, now, known = before and before.contacted_at, after and after.contacted_at, lead.last_contact
    if now == was:
        return {}
    if now and (known is None or now > known):
        return {"last_contact": now}
    return {"last_contact": _latest_contact(lead)} if was and was == known else {}


def _latest_contact(lead: Lead) -> datetime | None:
    """The latest of the contacts, and of what the lead's last contact was before any of them moved it.

    Where somebody else has written it since, that stands, and only later contacts count.
    """
    said, since = _last_contact_without_activities(lead)
    contacts = Activity.objects.filter(lead=lead.pk, type__in=Activity.CONTACTS, updated_at__gt=since)
    latest = contacts.aggregate(latest=Max("done_at"))["latest"]
    return max((moment for moment in (said, latest) if moment), default=None)


def _last_contact_without_activities(lead: Lead) -> tuple[datetime | None, datetime]:
    """What something other than an activity wrote last, and when."""
    value = lead.last_contact
    versions = history.states(lead.pk, lead.workspace_id).order_by("-pgh_id")
    told = versions.values_list("last_contact", "pgh_created_at", KT("pgh_context__act"))
    for before, at, act in told.iterator():
        if before != value:
            if not (act or "").startswith("activity:"):
                return value, at
            value = before
    return value, lead.created_at


def _next_action(lead: Lead, before: Activity | None, after: Activity | None) -> dict[str, Any]:
    """A task is the lead's next action where none comes sooner; the next open one takes its place."""
    was, now = _plan(before), _plan(after)
    if was["next_action_at"] and all(getattr(lead, name) == value for name, value in was.items()):
        return _plan(_soonest(lead))
    due_at = now["next_action_at"]
    if due_at in (None, was["next_action_at"]):
        return {}
    return now if lead.next_action_at is None or due_at < lead.next_action_at else {}


def _plan(task: Activity | None) -> dict[str, Any]:
    """The next action that an open task with a date stands for; an empty one where it is none."""
    if task is None or not task.is_open or task.due_at is None:
        return {"next_action_at": None, "next_action_description": ""}
    return {"next_action_at": task.due_at, "next_action_description": task.headline[:_LONGEST]}


def _soonest(lead: Lead) -> Activity | None:
    return Activity.objects.open().filter(lead=lead.pk, due_at__isnull=False).order_by("due_at", "id").first()
