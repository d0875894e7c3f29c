"""Taking back what an act did to many leads: an import, a bulk change, the fields that a merge changed.

The history tells what the act did, since each version names the act that ended it. Created leads go to the bin, deleted ones come
back, changed fields return to what they were. Whatever somebody has worked on since stays as it is, and is listed as kept.

Long ones go in chunks, each a transaction that also moves the cursor on: killed in their midst, they go on where they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Workspace
from leads import history
from leads.errors import AlreadyUndone, StillRunning
from leads.history import Author
from leads.models import BulkChange, ImportBatch, KeptLead, Lead, LeadVersion, Undo
from leads.signals import taking_back
from leads.values import normalized_phone
from zevix import events
from zevix.errors import NotFound

CHUNK = 10_000  # leads in one transaction

# the rows of each kind of act; apps above add theirs, which have a ``status`` and a ``changed_count``
KINDS: dict[str, Any] = {"import": ImportBatch, "bulk": BulkChange}


@dataclass(frozen=True)
class Kept:
    """A lead that stays as it is, wholly or in ``fields``: ``changed``, ``activity``, ``exported``, ``merged``, ``taken`` (somebody else
    has its external id) or ``deleted`` (it is in the bin, or went in a merge)."""

    lead_id: int
    reason: str
    fields: tuple[str, ...] = ()


def undo(act: str, *, workspace: Workspace, by: Author) -> Undo:
    """Take an import or a bulk change back: at once, or, if it concerned more than ``UNDO_INLINE_LEADS``, by a job.

    Raises StillRunning while the act itself is not over, AlreadyUndone.
    """
    from leads.jobs import go_on_undoing

    done = _act(act, workspace.pk)
    if done.status in ("queued", "running"):
        raise StillRunning
    begun = begin(act, workspace=workspace, by=by)
    if _affected(done) > settings.UNDO_INLINE_LEADS:
        go_on_undoing.defer(undo_id=begun.pk)
    else:
        finish(begun)
    return begun


def begin(act: str, *, workspace: Workspace, by: Author) -> Undo:
    """The undo of an act, to be advanced until it is completed. One that was begun before goes on. Raises AlreadyUndone."""
    undo, _new = Undo.objects.get_or_create(workspace=workspace, act=act, defaults={"user_id": by.user_id})
    if undo.status == Undo.Status.COMPLETED:
        raise AlreadyUndone
    return undo


def finish(undo: Undo) -> None:
    """Advance to the end."""
    while undo.status != Undo.Status.COMPLETED:
        advance(undo)


@transaction.atomic
def advance(undo: Undo, limit: int = CHUNK) -> None:
    """Take back what the act did to the next ``limit`` leads, in the order of their ids."""
    current = Undo.objects.select_for_update().get(pk=undo.pk)
    if current.status != Undo.Status.COMPLETED:
        ids = _next_leads(current, limit)
        if ids:
            _take_back(current, ids)
        if len(ids) < limit:
            _complete(current)
        current.save()
    undo.__dict__.update(current.__dict__)


def _act(act: str, workspace_id: int) -> Any:
    """The act's row. Raises NotFound."""
    kind, _colon, number = act.partition(":")
    found = KINDS[kind].objects.for_workspace(workspace_id).filter(pk=number).first()
    if found is None:
        raise NotFound
    return found


def _affected(done: Any) -> int:
    """How many leads an act concerned, as it counted them itself."""
    if isinstance(done, ImportBatch):
        return done.created_count + done.updated_count - done.unchanged_count
    return int(done.changed_count)


def _next_leads(undo: Undo, limit: int) -> list[int]:
    touched = """
        (SELECT DISTINCT pgh_obj_id FROM leads_leadversion
         WHERE pgh_context ->> 'act' = %(act)s AND workspace_id = %(workspace)s AND pgh_obj_id > %(cursor)s
         ORDER BY pgh_obj_id LIMIT %(limit)s)
    """
    created = """
        UNION (SELECT id FROM leads_lead WHERE import_batch_id = %(batch)s AND id > %(cursor)s ORDER BY id LIMIT %(limit)s)
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM ({touched} {created if _batch(undo) else ''}) AS l (id) ORDER BY id LIMIT %(limit)s",
            {
                "act": undo.act,
                "workspace": undo.workspace_id,
                "cursor": undo.cursor,
                "batch": _batch(undo),
                "limit": limit,
            },
        )
        return [lead_id for (lead_id,) in cursor.fetchall()]


def _batch(undo: Undo) -> int | None:
    """The import that is undone, if it is one."""
    kind, _colon, number = undo.act.partition(":")
    return int(number) if kind == "import" else None


def _take_back(undo: Undo, ids: list[int]) -> None:
    followed = [act for _receiver, act in taking_back.send(Undo, act=undo.act, workspace_id=undo.workspace_id) if act]
    list(Lead.objects.filter(pk__in=ids).order_by("pk").select_for_update().values_list("pk"))
    with history.written_by(Author("human", undo.user_id), f"undo:{undo.act}"):
        for act in followed:
            revert_fields(act, _not_created(undo, ids))
        reverted, kept = revert_fields(undo.act, ids)
        back, taken = _bring_back(undo.act, ids)
        removed, worked_on = _remove_created(undo, ids) if _batch(undo) else (0, [])
    all_kept = [*kept, *taken, *worked_on]
    KeptLead.objects.bulk_create(
        KeptLead(undo=undo, lead_id=one.lead_id, reason=one.reason, fields=list(one.fields)) for one in all_kept
    )
    undo.reverted_count += reverted
    undo.restored_count += back
    undo.removed_count += removed
    undo.kept_count += len({one.lead_id for one in all_kept})
    undo.cursor = ids[-1]
    done = undo.reverted_count + undo.restored_count + undo.removed_count + undo.kept_count
    undo.progress = min(99, 100 * done // max(1, _affected(_act(undo.act, undo.workspace_id))))


def _not_created(undo: Undo, ids: list[int]) -> list[int]:
    """Leads that were there before the act; those that it brought go as they are."""
    created = Lead.objects.filter(pk__in=ids, import_batch=_batch(undo)) if _batch(undo) else Lead.objects.none()
    return sorted(set(ids) - set(created.values_list("pk", flat=True)))


def _complete(undo: Undo) -> None:
    undo.status, undo.progress, undo.finished_at = Undo.Status.COMPLETED, 100, timezone.now()
    happened = [
        ("lead.deleted", {"count": undo.removed_count, "act": f"undo:{undo.act}"}),
        ("lead.updated", {"count": undo.reverted_count, "act": f"undo:{undo.act}"}),
        ("lead.created", {"count": undo.restored_count, "act": f"undo:{undo.act}"}),
    ]
    events.record_all(undo.workspace_id, [(type, data) for type, data in happened if data["count"]])
    if batch := _batch(undo):
        figures = {"removed": undo.removed_count, "reverted": undo.reverted_count, "kept": undo.kept_count}
        event = {"import_batch_id": batch, "status": "undone", "progress": 100, **figures}
        events.record(undo.workspace_id, "import.progress", event)


# Changed fields -----------------------------------------------------------------------------------------------------------

# `b` is a lead before the act, `a` after it, `l` now. Some acts change a lead more than once.
_ACTED = f"""
    SELECT DISTINCT ON (pgh_obj_id) pgh_obj_id AS lead_id, max(pgh_id) OVER (PARTITION BY pgh_obj_id) AS last,
        {", ".join(history.CONTENT)}
    FROM leads_leadversion
    WHERE pgh_context ->> 'act' = %(act)s AND pgh_label = 'update' AND pgh_obj_id = ANY(%(ids)s)
    ORDER BY pgh_obj_id, pgh_id
"""
_SINCE = f"""
    acted AS b JOIN leads_lead AS l ON l.id = b.lead_id CROSS JOIN LATERAL (
        (SELECT 0 AS place, {", ".join(history.CONTENT)} FROM leads_leadversion AS v
         WHERE v.pgh_obj_id = b.lead_id AND v.pgh_id > b.last ORDER BY v.pgh_id LIMIT 1)
        UNION ALL SELECT 1, {", ".join(f"l.{column}" for column in history.CONTENT)}
        ORDER BY place LIMIT 1
    ) AS a
"""
_MEMBER = """
    (SELECT m.user_id FROM accounts_membership AS m WHERE m.user_id = b.assigned_user_id AND m.workspace_id = l.workspace_id)
"""
_FREE = """
    (b.external_id = '' OR NOT EXISTS (
        SELECT FROM leads_lead AS o WHERE o.workspace_id = l.workspace_id AND o.external_id = b.external_id AND o.external_id <> ''
    ))
"""


def _value_taken_back(column: str) -> str:
    if column == "extra":
        return "leads_jsonb_revert(l.extra, b.extra, a.extra)"
    unchanged = f"b.{column} IS DISTINCT FROM a.{column} AND l.{column} IS NOT DISTINCT FROM a.{column}"
    if column == "external_id":
        unchanged += f" AND {_FREE}"
    before = _MEMBER if column == "assigned_user_id" else f"b.{column}"
    follows = _WITH_ITS_ADDRESS if column == "email_status" else ""
    return f"CASE {follows} WHEN {unchanged} THEN {before} ELSE l.{column} END"


# what is known of an address goes where that goes: a status alone would make another address dead, and be refunded
_WITH_ITS_ADDRESS = f"""
    WHEN lower({_value_taken_back("email")}) <> lower(b.email) THEN l.email_status
    WHEN lower(l.email) <> lower(b.email) THEN b.email_status
"""


def _kept_as_it_is(column: str) -> str:
    """Whether the act changed a column, and somebody else since."""
    changed = f"b.{column} IS DISTINCT FROM a.{column}"
    since = f"l.{column} IS DISTINCT FROM a.{column} AND l.{column} IS DISTINCT FROM b.{column}"
    if column == "external_id":
        since = f"({since} OR l.external_id = a.external_id AND NOT {_FREE})"
    if column == "extra":
        since += """ AND EXISTS (
            SELECT FROM (SELECT jsonb_object_keys(b.extra) UNION SELECT jsonb_object_keys(a.extra)) AS k (key)
            WHERE b.extra -> key IS DISTINCT FROM a.extra -> key AND l.extra -> key IS DISTINCT FROM a.extra -> key
              AND l.extra -> key IS DISTINCT FROM b.extra -> key
        )"""
    return f"{changed} AND {since}"


_KEPT = f"""
    WITH acted AS ({_ACTED}), found AS (
        SELECT l.id, array_remove(ARRAY[{", ".join(
            f"CASE WHEN {_kept_as_it_is(column)} THEN '{column}' END" for column in history.FIELDS
        )}], NULL) AS fields FROM {_SINCE}
    ) SELECT id, fields FROM found WHERE fields <> '{{}}' ORDER BY id
"""  # fmt: skip

_REVERT = f"""
    WITH acted AS ({_ACTED}), back AS (
        SELECT l.id, {", ".join(f"{_value_taken_back(column)} AS {column}" for column in history.CONTENT)} FROM {_SINCE}
    )
    UPDATE leads_lead AS l SET {", ".join(f"{column} = back.{column}" for column in history.CONTENT)}
    FROM back WHERE back.id = l.id
      AND ({", ".join(f"l.{column}" for column in history.CONTENT)})
          IS DISTINCT FROM ({", ".join(f"back.{column}" for column in history.CONTENT)})
"""


_GONE = f"""
    WITH acted AS ({_ACTED}) SELECT lead_id FROM acted
    WHERE NOT EXISTS (SELECT FROM leads_lead AS l WHERE l.id = acted.lead_id) ORDER BY lead_id
"""


def revert_fields(act: str, lead_ids: Sequence[int]) -> tuple[int, list[Kept]]:
    """Give the fields that ``act`` changed back what they held before, except where somebody has changed them since.

    Call it inside `history.written_by`. Returns how many leads were changed, and what was kept.
    """
    parameters: dict[str, Any] = {"act": act, "ids": list(lead_ids)}
    with connection.cursor() as cursor:
        cursor.execute(_KEPT, parameters)
        kept = [Kept(lead_id, "changed", tuple(sorted(fields))) for lead_id, fields in cursor.fetchall()]
        cursor.execute(_REVERT, parameters)
        reverted = cursor.rowcount
        cursor.execute(_GONE, parameters)
        kept += [Kept(lead_id, "deleted") for (lead_id,) in cursor.fetchall()]
    _normalize_phones([one.lead_id for one in kept if {"phone", "country"} & set(one.fields)])
    return reverted, kept


def _normalize_phones(lead_ids: list[int]) -> None:
    """Where of phone and country one went back and the other stayed, the form for matching is neither's."""
    for lead in Lead.objects.filter(pk__in=lead_ids).only("phone", "country", "phone_normalized"):
        normalized = normalized_phone(lead.phone, lead.country)
        if normalized != lead.phone_normalized:
            Lead.objects.filter(pk=lead.pk).update(phone_normalized=normalized)


# Deleted and created leads ------------------------------------------------------------------------------------------------


def _bring_back(act: str, ids: list[int]) -> tuple[int, list[Kept]]:
    """Leads that the act deleted; returns how many came back, and those whose external id somebody else has by now."""
    deleted = LeadVersion.objects.filter(pgh_label="delete", pgh_context__act=act, pgh_obj__in=ids)
    gone = dict(deleted.order_by("pgh_id").values_list("pgh_obj_id", "pgh_id"))
    there = set(Lead.objects.filter(pk__in=gone).values_list("pk", flat=True))
    versions = [version for lead_id, version in gone.items() if lead_id not in there]
    back = set(history.bring_back(versions))
    return len(back), [Kept(lead_id, "taken") for lead_id in sorted(gone.keys() - there - back)]


_BY_SOMEBODY = "coalesce(v.pgh_context ->> 'source', '') NOT IN ('system', 'ai', 'scrape')"

_WORKED_ON = f"""
    CASE
        WHEN EXISTS (SELECT FROM leads_merge AS m WHERE m.workspace_id = l.workspace_id AND m.survivor_id = l.id AND m.undone_at IS NULL)
            THEN 'merged'
        WHEN EXISTS (
            SELECT FROM leads_exportedlead AS e
            WHERE e.workspace_id = l.workspace_id AND e.lead_id = coalesce(l.catalogue_lead_id, l.id)
        ) THEN 'exported'
        WHEN EXISTS (SELECT FROM leads_activity AS a WHERE a.lead_id = l.id AND a.type <> 'status_change') THEN 'activity'
        WHEN l.version > 1 AND EXISTS (SELECT FROM leads_leadversion AS v WHERE v.pgh_obj_id = l.id AND {_BY_SOMEBODY})
             AND EXISTS (
                SELECT FROM (SELECT * FROM leads_leadversion AS v WHERE v.pgh_obj_id = l.id ORDER BY v.pgh_id LIMIT 1) AS first
                WHERE ({", ".join(f"first.{column}" for column in history.FIELDS)})
                      IS DISTINCT FROM ({", ".join(f"l.{column}" for column in history.FIELDS)})
             ) THEN 'changed'
    END
"""


def _remove_created(undo: Undo, ids: list[int]) -> tuple[int, list[Kept]]:
    """Put the leads that the import brought into the bin, except those that somebody has worked on."""
    parameters = {"batch": _batch(undo), "ids": ids}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, reason FROM (
                SELECT l.id, {_WORKED_ON} AS reason FROM leads_lead AS l
                WHERE l.import_batch_id = %(batch)s AND l.id = ANY(%(ids)s)
            ) AS found WHERE reason IS NOT NULL ORDER BY id
            """,
            parameters,
        )
        kept = [Kept(lead_id, reason) for lead_id, reason in cursor.fetchall()]
        cursor.execute(
            "DELETE FROM leads_lead WHERE import_batch_id = %(batch)s AND id = ANY(%(ids)s) AND NOT id = ANY(%(kept)s)",
            {**parameters, "kept": [one.lead_id for one in kept]},
        )
        return cursor.rowcount, kept
