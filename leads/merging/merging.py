"""The act of merging: many merges at once, by a few statements, all of them or none."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Workspace
from leads import duplicates, history, quotas
from leads.errors import ExternalIdTaken, LeadSold
from leads.history import Author
from leads.merging import carrying, survivorship
from leads.merging.survivorship import FIELDS, Row, Settled
from leads.models import Activity, ExportedLead, Lead, Merge, MergedLead
from leads.values import normalized_phone, zip_code
from zevix import events
from zevix.errors import NotFound, ValidationFailed


@dataclass(frozen=True)
class Wish:
    """Leads to be made one. ``taken_from`` (field → lead) and ``given`` (field → checked value) come before the rules."""

    survivor: int
    losers: tuple[int, ...]
    taken_from: dict[str, int] = field(default_factory=dict)
    given: Row = field(default_factory=dict)

    @property
    def lead_ids(self) -> tuple[int, ...]:
        return (self.survivor, *self.losers)


@dataclass(frozen=True)
class Merged:
    """A merge that was done."""

    merge_id: int
    survivor_id: int
    merged_ids: tuple[int, ...]


@transaction.atomic
def merge(wishes: Sequence[Wish], *, workspace: Workspace, by: Author) -> list[Merged]:
    """Give each survivor the values by `survivorship`, and what points at the others; these go, and come back when it is undone.

    What was paid for stays paid. Raises ValidationFailed for a lead that is named twice or a value of a lead that is not merged,
    NotFound for a lead that is not in this workspace, ExternalIdTaken for a value given that another lead has, LeadSold for leads of
    the catalogue that were exported.
    """
    _refuse_contradictions(wishes)
    # exports of the workspace wait: what they charge a lead by may change
    if not workspace.is_catalogue:
        quotas.lock_month(workspace)
    duplicates.lock(workspace.pk)
    rows = _read(wishes, workspace, held=True)
    if workspace.is_catalogue:
        _refuse_sold([loser for wish in wishes for loser in wish.losers])
    settled = [_values(found, rows[wish.survivor]) for wish, found in zip(wishes, _settle(wishes, rows), strict=True)]
    merges = Merge.objects.bulk_create(
        Merge(workspace=workspace, user_id=by.user_id, survivor_id=wish.survivor) for wish in wishes
    )
    with history.written_by(by, _act(merges[0])):
        carried = _carry(wishes, settled)
        _run("DELETE FROM leads_lead WHERE id = ANY(%(ids)s)", ids=list(_losers(wishes)))
        _update(wishes, settled)
    _name_acts(wishes, merges)
    MergedLead.objects.bulk_create(
        MergedLead(merge=merge, lead_id=loser, carried=carried.get(loser, {}))
        for wish, merge in zip(wishes, merges, strict=True)
        for loser in wish.losers
    )
    _tell(wishes, rows, settled, workspace)
    return [Merged(merge.pk, wish.survivor, wish.losers) for wish, merge in zip(wishes, merges, strict=True)]


def preview(wishes: Sequence[Wish], *, workspace: Workspace) -> list[dict[str, dict[str, Any]]]:
    """For each merge field → ``{"value", "lead_id", "alternatives": [{"lead_id", "value"}]}``; nothing is written.

    ``lead_id`` is None for a value of several leads, or of none. Raises as `merge` does.
    """
    _refuse_contradictions(wishes)
    rows = _read(wishes, workspace)
    return [
        {name: _shown(name, one, [rows[lead_id] for lead_id in wish.lead_ids]) for name, one in settled.items()}
        for wish, settled in zip(wishes, _settle(wishes, rows), strict=True)
    ]


def _shown(name: str, settled: Settled, rows: Sequence[Row]) -> dict[str, Any]:
    others = [
        {"lead_id": row["id"], "value": row[name]}
        for row in rows
        if survivorship.says(row[name]) and row[name] != settled.value
    ]
    return {"value": settled.value, "lead_id": settled.lead_id, "alternatives": others}


# What is asked ------------------------------------------------------------------------------------------------------------


def _losers(wishes: Sequence[Wish]) -> Iterator[int]:
    return (loser for wish in wishes for loser in wish.losers)


def _refuse_contradictions(wishes: Sequence[Wish]) -> None:
    ids = [lead_id for wish in wishes for lead_id in wish.lead_ids]
    twice = [lead_id for lead_id, count in Counter(ids).items() if count > 1]
    if twice:
        sentence = _("Lead {lead} is named more than once.")
        raise ValidationFailed(fields={"losers": [sentence.format(lead=lead_id) for lead_id in twice]})
    for wish in wishes:
        for name, lead_id in wish.taken_from.items():
            if lead_id not in wish.lead_ids:
                sentence = _("{field}: lead {lead} is none of those that are merged.")
                raise ValidationFailed(fields={"values": [sentence.format(field=name, lead=lead_id)]})


def _read(wishes: Sequence[Wish], workspace: Workspace, *, held: bool = False) -> dict[int, Row]:
    """The leads by their ids; ``held``, until the transaction ends. Raises NotFound unless all are there."""
    ids = [lead_id for wish in wishes for lead_id in wish.lead_ids]
    leads = Lead.objects.for_workspace(workspace).filter(pk__in=ids).order_by("pk")
    if held:
        leads = leads.select_for_update()
    rows = {row["id"]: row for row in leads.values("id", "phone_normalized", *FIELDS)}
    if len(rows) < len(ids):
        raise NotFound
    return rows


def _refuse_sold(lead_ids: list[int]) -> None:
    if count := ExportedLead.objects.filter(lead__in=lead_ids).values("lead").distinct().count():
        raise LeadSold(count=count)


# What comes of it ---------------------------------------------------------------------------------------------------------


def _settle(wishes: Sequence[Wish], rows: dict[int, Row]) -> list[dict[str, Settled]]:
    found = []
    for wish in wishes:
        leads = [rows[lead_id] for lead_id in wish.lead_ids]
        found.append(survivorship.settle(leads, wish.taken_from, wish.given))
    due = set(Activity.objects.open().filter(lead__in=rows, due_at__lte=Now()).values_list("lead_id", flat=True))
    for wish, settled, by_rule in zip(wishes, found, _needs_action(found), strict=True):
        if "needs_action" in wish.given or "needs_action" in wish.taken_from:
            continue
        survivor = rows[wish.survivor]
        if any(settled[name].value != survivor[name] for name in ("status", "last_contact")):
            settled["needs_action"] = Settled(by_rule or not due.isdisjoint(wish.lead_ids), None)
        elif not due.isdisjoint(wish.losers):
            settled["needs_action"] = Settled(True, None)
    return found


def _needs_action(found: Sequence[dict[str, Settled]]) -> list[bool]:
    """Whether action is needed by status and last contact: the database's rule."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT leads_needs_action(status, last_contact)"
            " FROM unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS s (status, last_contact, place) ORDER BY place",
            [[one["status"].value for one in found], [one["last_contact"].value for one in found]],
        )
        return [needed for (needed,) in cursor.fetchall()]


def _values(settled: dict[str, Settled], survivor: Row) -> Row:
    """The columns of the survivor, with what follows from them."""
    values = {name: one.value for name, one in settled.items()}
    values["phone_normalized"] = survivor["phone_normalized"]
    if any(values[name] != survivor[name] for name in ("phone", "country")):
        values["phone_normalized"] = normalized_phone(values["phone"], values["country"])
    if any(values[name] != survivor[name] for name in ("zip_code", "state", "country")):
        values["zip_code"] = zip_code(values["zip_code"], state=values["state"], country=values["country"])
    return values


def _carry(wishes: Sequence[Wish], settled: Sequence[Row]) -> carrying.Carried:
    survivors = {loser: wish.survivor for wish in wishes for loser in wish.losers}
    roots = {
        wish.survivor: values["catalogue_lead_id"] or wish.survivor
        for wish, values in zip(wishes, settled, strict=True)
    }
    return carrying.carry(survivors, roots)


_COLUMNS = [*FIELDS, "phone_normalized"]
_UPDATE = f"""
    UPDATE leads_lead AS l SET {", ".join(f"{column} = n.{column}" for column in _COLUMNS)}
    FROM jsonb_populate_recordset(NULL::leads_lead, %(rows)s::jsonb) AS n
    WHERE l.id = n.id AND ({", ".join(f"l.{column}" for column in _COLUMNS)})
        IS DISTINCT FROM ({", ".join(f"n.{column}" for column in _COLUMNS)})
"""


def _update(wishes: Sequence[Wish], settled: Sequence[Row]) -> None:
    rows = [{"id": wish.survivor, **values} for wish, values in zip(wishes, settled, strict=True)]
    try:
        with transaction.atomic():
            _run(_UPDATE, rows=orjson.dumps(rows).decode())
    except IntegrityError as error:
        if "leads_external_id_names_one_lead" not in str(error):
            raise
        raise ExternalIdTaken


def _act(merge: Merge) -> str:
    return f"merge:{merge.pk}"


def _name_acts(wishes: Sequence[Wish], merges: Sequence[Merge]) -> None:
    """The statements above wrote all versions as the first merge's; each is to be undone by itself."""
    if len(merges) == 1:
        return
    leads = [(lead_id, merge.pk) for wish, merge in zip(wishes, merges, strict=True) for lead_id in wish.lead_ids]
    _run(
        """
        UPDATE leads_leadversion AS v SET pgh_context = v.pgh_context || jsonb_build_object('act', 'merge:' || m.merge_id)
        FROM unnest(%(leads)s::bigint[], %(merges)s::bigint[]) AS m (lead_id, merge_id)
        WHERE v.pgh_context ->> 'act' = %(act)s AND v.pgh_obj_id = m.lead_id
        """,
        act=_act(merges[0]),
        leads=[lead_id for lead_id, _merge_id in leads],
        merges=[merge_id for _lead_id, merge_id in leads],
    )


def _run(statement: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def _tell(wishes: Sequence[Wish], rows: dict[int, Row], settled: Sequence[Row], workspace: Workspace) -> None:
    changed = {
        name
        for wish, values in zip(wishes, settled, strict=True)
        for name in history.FIELDS
        if values[name] != rows[wish.survivor][name]
    }
    losers = list(_losers(wishes))
    updated = {"id": wishes[0].survivor} if len(wishes) == 1 else {"count": len(wishes)}
    deleted = {"id": losers[0]} if len(losers) == 1 else {"count": len(losers)}
    events.record_all(
        workspace.pk,
        [("lead.updated", {**updated, "fields": sorted(changed)}), ("lead.deleted", deleted)],
    )
