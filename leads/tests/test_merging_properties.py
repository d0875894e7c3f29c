"""Random leads with whatever points at them: after a merge and its undoing everything is as it was before."""

from datetime import UTC, datetime

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_member
from leads.history import SYSTEM
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import Activity, Assignment, DuplicatePair, Export, ExportedLead, Lead, WaitingLead
from leads.tests.factories import make_catalogue_lead

pytestmark = pytest.mark.django_db

COUNTS = {
    "version",
    "updated_at",
    "search_vector",
}  # what counts and dates a change, and what PostgreSQL makes of the rest
RELATED = (Activity, Assignment, WaitingLead, DuplicatePair, ExportedLead)

moments = st.sampled_from([None, datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 6, 30, tzinfo=UTC)])
texts = st.sampled_from(["", "a", "b", "ä '\"\\ {}"])
lists = st.lists(st.sampled_from(["x", "y", 'z, "w" {}']), unique=True, max_size=3)
FIELDS = {
    "name": texts,
    "email": st.sampled_from(["", "a@x.example", "A@x.example", "b@x.example"]),
    "phone": st.sampled_from(["", "(330) 779-3389", "030 901820"]),
    "country": st.sampled_from(["", "US", "DE"]),
    "zip_code": st.sampled_from(["", "01803", "29440-1234"]),
    "state": st.sampled_from(["", "OH"]),
    "npi": st.sampled_from(["", "1000000001"]),
    "company": texts,
    "tags": lists,
    "specialties": lists,
    "extra": st.dictionaries(st.sampled_from(["a", "b", "ö"]), st.sampled_from([1, 1.5, "x", True, [1, {"y": None}]]), max_size=3),
    "notes": texts,
    "is_sole_proprietor": st.sampled_from([None, True, False]),
    "score": st.sampled_from([None, 0, 50, 100]),
    "status": st.sampled_from(["NEW", "CONTACTED", "WON", "LOST"]),
    "needs_action": st.booleans(),
    "next_action_at": moments,
    "next_action_description": texts,
    "last_contact": moments,
    "email_status": st.sampled_from(["unknown", "risky", "deliverable"]),
    "source": texts,
}  # fmt: skip
leads = st.fixed_dictionaries(FIELDS)
flags = st.fixed_dictionaries(
    {
        "external_id": st.booleans(), "copy": st.booleans(), "charged": st.booleans(), "waiting": st.booleans(),
        "assigned": st.booleans(), "activities": st.integers(0, 2),
    }
)  # fmt: skip
crowds = st.lists(st.tuples(leads, flags), min_size=2, max_size=5)
chosen = st.lists(st.tuples(st.sampled_from(sorted({*FIELDS, "external_id"})), st.integers(0, 4)), max_size=3)
pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from(["open", "dismissed"])), max_size=5)


def make(member, fields, flags, export, number):
    stock = make_catalogue_lead() if flags["copy"] else None
    lead = Lead.objects.create(
        workspace=member.workspace,
        external_id=f"E{number}" if flags["external_id"] else "",
        assigned_user=member.user if flags["assigned"] else None,
        catalogue_lead=stock,
        **fields,
    )
    for _ in range(flags["activities"]):
        Activity.objects.create(workspace=member.workspace, lead=lead, type="note", text=lead.name)
    if flags["assigned"]:
        Assignment.objects.create(workspace=member.workspace, lead=lead, user=member.user)
    if flags["waiting"]:
        WaitingLead.objects.create(workspace=member.workspace, lead=lead, reason="nobody_free")
    if flags["charged"] or stock:
        ExportedLead.objects.create(workspace=member.workspace, lead=stock or lead, export=export)
    return lead


def everything():
    rows = {model: list(model.objects.order_by("pk").values()) for model in RELATED}
    columns = [field.attname for field in Lead._meta.concrete_fields if field.name not in COUNTS]
    return rows | {Lead: list(Lead.objects.order_by("pk").values(*columns))}


def free():
    """The charges by what they hold for."""
    return set(ExportedLead.objects.values_list("lead_id", flat=True))


@given(crowd=crowds, others=crowds, chosen=chosen, pairs=pairs)
@settings(deadline=None, max_examples=80, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_merge_and_its_undoing_leave_everything_as_it_was(crowd, others, chosen, pairs):
    with transaction.atomic():
        member = make_member()
        figures = dict.fromkeys(
            ("new_count", "duplicate_count", "not_exported_count", "unknown_count", "used", "limit"), 0
        )
        export = Export.objects.create(workspace=member.workspace, month="2026-01", **figures)
        groups = [
            [make(member, fields, flags, export, f"{group}-{number}") for number, (fields, flags) in enumerate(crowd)]
            for group, crowd in enumerate((crowd, others))
        ]
        there = [lead for group in groups for lead in group]
        for one, other, state in {(min(pair[:2]), max(pair[:2])): pair for pair in pairs}.values():
            if one < other < len(there):
                first, second = there[min(one, other)], there[max(one, other)]
                DuplicatePair.objects.create(workspace=member.workspace, first=first, second=second, state=state)
        taken = {field: groups[0][index % len(groups[0])].pk for field, index in chosen}
        wishes = [
            Wish(group[0].pk, tuple(lead.pk for lead in group[1:]), taken if group is groups[0] else {})
            for group in groups
        ]
        before, paid = everything(), free()

        merged = merging.merge(wishes, workspace=member.workspace, by=SYSTEM)
        paid_while_merged = free()
        survivors = {
            lead.pk: lead.catalogue_lead_id or lead.pk for lead in Lead.objects.for_workspace(member.workspace)
        }
        kept = [unmerging.undo(one.merge_id, workspace=member.workspace, by=SYSTEM).kept for one in reversed(merged)]

        assert set(survivors) == {group[0].pk for group in groups}
        for group in groups:
            was_paid = any((lead.catalogue_lead_id or lead.pk) in paid for lead in group)
            assert (survivors[group[0].pk] in paid_while_merged) == was_paid
        assert kept == [[], []]
        assert everything() == before
        transaction.set_rollback(True)
