"""Acts upon many leads at once: fields set, tags added and removed, owners given, or all deleted.

The work is the database's, chunk by chunk in the order of the ids, so that two acts upon the same leads never wait for one another
in a circle. Each chunk is a transaction that also moves the cursor on: killed in its midst, an act goes on where it was. All of it
carries the act ``bulk:<id>``, by which it can be taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import connection, transaction
from django.db.models import Case, Count, F, JSONField, Max, Q, TextField, Value, When
from django.db.models.expressions import RawSQL
from django.utils import timezone

from accounts.models import Workspace
from leads import editing, history, status_changes, urgency
from leads.errors import NoSuchMembers
from leads.filters import Asker
from leads.history import Author
from leads.models import BulkChange, Lead
from leads.moments import moment
from leads.selections import Selection
from leads.values import MAX_ITEMS, normalized_phone, zip_code
from zevix import events
from zevix.errors import Refusal

CHUNK = 10_000  # leads in one transaction

# what names one lead, and is never the same for many
NAMING = ("external_id", "email", "phone", "npi")

_TIMES = ("next_action_at", "last_contact")

Kind, Status = BulkChange.Kind, BulkChange.Status


@dataclass(frozen=True)
class Change:
    """What is to be done. ``set`` are checked fields; ``users`` get the leads in turn, None among them being nobody."""

    set: dict[str, Any] | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    users: Sequence[int | None] | None = None
    delete: bool = False

    @property
    def kind(self) -> BulkChange.Kind:
        return Kind.DELETE if self.delete else Kind.ASSIGN if self.users is not None else Kind.SET

    @property
    def fields(self) -> list[str]:
        """The names of the lead's fields that it changes."""
        named = {*(self.set or {}), *(["tags"] if self.add_tags or self.remove_tags else [])}
        return sorted(named | ({"assigned_user_id"} if self.users is not None else set()))

    def as_json(self) -> dict[str, Any]:
        said = {
            "set": self.set,
            "add_tags": list(self.add_tags),
            "remove_tags": list(self.remove_tags),
            "assign": self.users,
        }
        told = {name: value for name, value in said.items() if value or (name == "assign" and value is not None)}
        return orjson.loads(orjson.dumps(told, option=orjson.OPT_UTC_Z))  # times as texts

    @classmethod
    def of(cls, change: BulkChange) -> "Change":
        told = change.changes
        fields = told.get("set")
        if fields is not None:
            fields = {name: moment(value) if name in _TIMES and value else value for name, value in fields.items()}
        return cls(
            fields, told.get("add_tags", ()), told.get("remove_tags", ()), told.get("assign"),
            delete=change.kind == Kind.DELETE,
        )  # fmt: skip


# Acts ---------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def start(selection: Selection, change: Change, *, workspace: Workspace, by: Author) -> BulkChange:
    """Change the leads that are there by now: at once, or, where there are more than ``BULK_INLINE_LEADS``, by a job.

    Raises ValidationFailed for filters that can't be; LeadSold and NoSuchMembers, and then nothing is changed.
    """
    from leads.jobs import change_in_bulk

    found = selection.leads(Asker(workspace, by.user_id)).aggregate(count=Count("*"), last=Max("pk"))
    bulk = BulkChange.objects.create(
        workspace=workspace,
        user_id=by.user_id,
        kind=change.kind,
        changes=change.as_json(),
        selection=selection.as_json() | {"last": found["last"] or 0, "seen": 0},
        matched_count=found["count"],
    )
    if bulk.matched_count > settings.BULK_INLINE_LEADS:
        change_in_bulk.defer(bulk_id=bulk.pk)
        return bulk
    while bulk.status != Status.COMPLETED:
        advance(bulk)
    return bulk


def finish(bulk: BulkChange) -> None:
    """Advance to the end. Where that is refused in its midst, what was done stays, and ``failure`` tells why."""
    try:
        while bulk.status not in (Status.COMPLETED, Status.FAILED):
            advance(bulk)
    except Refusal as refusal:
        bulk.status, bulk.failure, bulk.finished_at = Status.FAILED, str(refusal), timezone.now()
        with transaction.atomic():
            bulk.save(update_fields=["status", "failure", "finished_at"])
            _tell(bulk)


@transaction.atomic
def advance(bulk: BulkChange, limit: int = CHUNK) -> None:
    """Change the next ``limit`` leads, in the order of their ids. Raises LeadSold, NoSuchMembers."""
    current = BulkChange.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=bulk.pk)
    if current.status in (Status.QUEUED, Status.RUNNING):
        # before the leads: whoever takes a member out takes the member first, and then their leads
        change = _with_members(Change.of(current), current.workspace)
        ids = _lock_next(current, limit)
        current.changed_count += _change(current, change, ids) if ids else 0
        _move_on(current, ids, over=len(ids) < limit)
        current.save()
    bulk.__dict__.update(current.__dict__)


@transaction.atomic
def dry_run(selection: Selection, change: Change, *, workspace: Workspace, by: Author) -> BulkChange:
    """The same, unsaved and without writing anything: what it would count by now. Raises what `start` would."""
    leads = selection.leads(Asker(workspace, by.user_id)).order_by("workspace_id", "pk")
    change = _with_members(change, workspace)
    bulk = BulkChange(kind=change.kind, status=Status.COMPLETED, selection=selection.as_json() | {"seen": 0})
    if change.delete:
        editing.refuse_sold(leads)
        bulk.changed_count = bulk.matched_count = leads.count()
    else:
        ids = [0]
        while ids:
            ids = list(leads.filter(pk__gt=ids[-1]).values_list("pk", flat=True)[:CHUNK])
            parts = _steps(change, ids, bulk.matched_count)
            bulk.changed_count += sum(len(_differing(part, values)) for part, values in parts)
            bulk.matched_count += len(ids)
    bulk.selection["seen"] = bulk.matched_count
    return bulk


# Chunks -------------------------------------------------------------------------------------------------------------------


def _lock_next(bulk: BulkChange, limit: int) -> list[int]:
    meant = Selection(bulk.selection.get("ids"), bulk.selection.get("filter")).leads(
        Asker(bulk.workspace, bulk.user_id)
    )
    left = meant.filter(pk__gt=bulk.cursor, pk__lte=bulk.selection["last"]).order_by("workspace_id", "pk")
    return list(left.select_for_update().values_list("pk", flat=True)[:limit])


def _change(bulk: BulkChange, change: Change, ids: list[int]) -> int:
    """Change these leads; returns how many were otherwise before."""
    by = Author("human", bulk.user_id)
    with history.written_by(by, f"bulk:{bulk.pk}"):
        if change.delete:
            return _delete(ids)
        return sum(_write(part, values, by) for part, values in _steps(change, ids, bulk.selection["seen"]))


def _move_on(bulk: BulkChange, ids: list[int], *, over: bool) -> None:
    bulk.selection["seen"] += len(ids)
    bulk.cursor = ids[-1] if ids else bulk.cursor
    bulk.status = Status.COMPLETED if over else Status.RUNNING
    bulk.progress = 100 if over else min(99, 100 * bulk.selection["seen"] // max(1, bulk.matched_count))
    if over:
        bulk.matched_count, bulk.finished_at = bulk.selection["seen"], timezone.now()
        _tell(bulk)


def _tell(bulk: BulkChange) -> None:
    if not bulk.changed_count:
        return
    change = Change.of(bulk)
    told: dict[str, Any] = {"count": bulk.changed_count, "bulk_id": bulk.pk}
    if change.delete:
        happened = [("lead.deleted", told)]
    else:
        happened = [("lead.updated", told | {"fields": change.fields})]
        if "assigned_user_id" in change.fields:
            happened.append(("lead.assigned", told | {"assigned_user_ids": _given_to(change)}))
    events.record_all(bulk.workspace_id, happened)


def _given_to(change: Change) -> list[int | None]:
    return list(change.users) if change.users is not None else [(change.set or {})["assigned_user_id"]]


def _with_members(change: Change, workspace: Workspace) -> Change:
    """The change, for those alone who are members still; they are held until the transaction ends. Raises NoSuchMembers."""
    if "assigned_user_id" not in change.fields:
        return change
    given_to = _given_to(change)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id FROM accounts_membership WHERE workspace_id = %s AND user_id = ANY(%s) ORDER BY id FOR KEY SHARE",
            [workspace.pk, [user for user in given_to if user is not None]],
        )
        members = {user_id for (user_id,) in cursor.fetchall()}
    left = [user for user in given_to if user is None or user in members]
    if not left:
        raise NoSuchMembers
    return change if change.users is None else replace(change, users=left)


def _delete(ids: list[int]) -> int:
    editing.refuse_sold(Lead.objects.filter(pk__in=ids))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM leads_lead WHERE id = ANY(%s)", [ids])
        return cursor.rowcount


# Values -------------------------------------------------------------------------------------------------------------------

Values = dict[str, Any]


def _steps(change: Change, ids: list[int], offset: int) -> list[tuple[list[int], Values]]:
    """Leads, and what they get alike. ``offset`` leads came before these."""
    if change.users is None:
        return [(ids, _values(change))]
    turns = len(change.users)
    return [
        (ids[(place - offset) % turns :: turns], {"assigned_user_id": user}) for place, user in enumerate(change.users)
    ]


def _values(change: Change) -> Values:
    values = dict(change.set or {})
    if "extra" in values:
        values["extra"] = _merged(values["extra"])
    if change.add_tags or change.remove_tags:
        values["tags"] = _tagged(values.get("tags"), change)
    return values


def _merged(extra: dict[str, Any]) -> Any:
    """``extra`` with keys set, or, where they are None, removed."""
    kept = {key: value for key, value in extra.items() if value is not None}
    removed = [key for key, value in extra.items() if value is None]
    return RawSQL(
        '("leads_lead"."extra" || %s::jsonb) - %s::text[]', [orjson.dumps(kept).decode(), removed], JSONField()
    )


_TAGGED = """
    (SELECT CASE WHEN cardinality(r.tags) > {limit} THEN "leads_lead"."tags" ELSE r.tags END FROM (
        SELECT array(SELECT t FROM unnest({before}) WITH ORDINALITY AS b (t, n) WHERE t <> ALL(%s::text[]) ORDER BY n)
            || array(SELECT t FROM unnest(%s::text[]) WITH ORDINALITY AS a (t, n) WHERE t <> ALL({before}) ORDER BY n) AS tags
    ) AS r)
"""


def _tagged(tags: list[str] | None, change: Change) -> Any:
    """The lead's tags (or ``tags``) without those removed, and with those added at their end; as they are where they would be too many."""
    before, named = ('"leads_lead"."tags"', []) if tags is None else ("%s::text[]", [tags])
    parameters = [*named, list(change.remove_tags), list(change.add_tags), *named]
    return RawSQL(_TAGGED.format(limit=MAX_ITEMS, before=before), parameters, ArrayField(TextField()))


def _write(ids: list[int], values: Values, by: Author) -> int:
    differing = _differing(ids, values)
    status_changes.record(differing, values, by=by)
    Lead.objects.filter(pk__in=differing).update(**values | _consequences(differing, values))
    return len(differing)


def _differing(ids: list[int], values: Values) -> list[int]:
    return list(Lead.objects.filter(pk__in=ids).exclude(**values).order_by("pk").values_list("pk", flat=True))


# What follows -------------------------------------------------------------------------------------------------------------


def _consequences(ids: list[int], values: Values) -> Values:
    """What changes along, as `editing.update` has it: whether action is needed; the forms of ZIP code and phone."""
    follows: Values = {}
    causes = {name: values[name] for name in ("status", "last_contact") if name in values}
    if causes and "needs_action" not in values:
        after = {name: Value(value) for name, value in causes.items()}
        needed = urgency.needed(after.get("status", F("status")), after.get("last_contact", F("last_contact")))
        follows["needs_action"] = Case(When(Q(**causes), then=F("needs_action")), default=needed)
    place: Values = {name: values[name] for name in ("zip_code", "state", "country") if name in values}
    if place:
        follows |= _forms(ids, place)
    return follows


def _forms(ids: list[int], place: Values) -> Values:
    """The ZIP codes and the phones for matching that another place gives another form."""
    zips: dict[int, str] = {}
    phones: dict[int, str] = {}
    for lead in Lead.objects.filter(pk__in=ids).values("id", "phone", "zip_code", "state", "country"):
        after: Values = {**lead, **place}
        if any(after[name] != before for name, before in lead.items()):
            zips[lead["id"]] = zip_code(after["zip_code"], state=after["state"], country=after["country"])
        if lead["country"] != after["country"]:
            phones[lead["id"]] = normalized_phone(lead["phone"], after["country"])
    return {"zip_code": _each("zip_code", zips), "phone_normalized": _each("phone_normalized", phones)}


def _each(column: str, by_lead: dict[int, str]) -> RawSQL:
    """For each lead its own value; where it has none, the column's."""
    values = orjson.dumps(by_lead, option=orjson.OPT_NON_STR_KEYS).decode()
    return RawSQL(f'coalesce(%s::jsonb ->> "leads_lead"."id"::text, "leads_lead"."{column}")', [values], TextField())
