"""Imports at the same moment, on real transactions: no twins, no bug, and nothing of another workspace."""

import json
import time
from threading import Barrier

import pytest
from django.db import connection, transaction

from accounts.tests.factories import make_member, make_workspace
from accounts.tests.threads import at_once
from leads.errors import ExternalIdTaken
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import ObjectSource
from leads.models import ImportBatch, Lead
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

P = "1000000001"
ROWS = [
    {"external_id": str(number), "email": f"a{number}@x.example", "name": "Ann"} if number % 3 == 0
    else {"email": f"a{number}@x.example", "name": "Bob"} if number % 3 == 1
    else {"npi": P, "address": f"{number} Main St", "name": "Cid"}
    for number in range(300)
]  # fmt: skip


def test_the_same_file_at_once_makes_no_twins():
    workspace = make_workspace()

    batches = at_once([lambda: importing.run(ObjectSource(ROWS), Options(), workspace=workspace) for _ in range(4)])

    assert Lead.objects.for_workspace(workspace).count() == len(ROWS)
    assert sorted(batch.created_count for batch in batches) == [0, 0, 0, len(ROWS)]
    assert sorted(batch.unchanged_count for batch in batches) == [0, len(ROWS), len(ROWS), len(ROWS)]
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4]


def test_the_same_file_at_once_in_two_workspaces_is_two_imports():
    workspaces = [make_workspace(), make_workspace()]

    batches = at_once(
        [lambda w=workspace: importing.run(ObjectSource(ROWS), Options(), workspace=w) for workspace in workspaces]
    )

    assert [batch.created_count for batch in batches] == [len(ROWS)] * 2


def test_an_import_and_leads_added_over_the_api_at_once_make_no_twins_and_no_bug(client_of):
    member = make_member()
    ids = [str(number) for number in range(40)]
    rows = json.dumps([{"external_id": number, "name": "imported"} for number in ids])

    def add(number):
        return client_of(member).post("/api/v1/leads", {"external_id": number, "name": "added"}).status_code

    def bring(headers):
        return client_of(member).generic("POST", "/import/leads", rows, "application/json", headers=headers).status_code

    statuses = at_once(
        [
            lambda: [add(number) for number in ids[:20]],
            lambda: [add(number) for number in ids[:19:-1]],
            lambda: [bring({})],
            lambda: [bring({"Idempotency-Key": "once"})],
        ]
    )

    assert {status for several in statuses[:2] for status in several} <= {201, 409}
    # an import that is overtaken again and again gives up as a whole, and says so
    assert {status for (status,) in statuses[2:]} <= {200, 409}
    assert sorted(Lead.objects.values_list("external_id", flat=True)) == sorted(ids)


def collide(workspace, ids):
    """Import leads of these ids while others add each of them, and commit it when the import waits for them; what came of it."""
    ready = Barrier(len(ids) + 1)

    def add(external_id):
        with transaction.atomic():
            Lead.objects.create(workspace=workspace, external_id=external_id, name="added")
            ready.wait(10)
            until_somebody_waits_for_us()

    def bring():
        ready.wait(10)
        try:
            source = ObjectSource([{"external_id": external_id, "name": "imported"} for external_id in ids])
            return importing.run(source, Options(), workspace=workspace)
        except ExternalIdTaken as refusal:
            return refusal

    return at_once([*(lambda external_id=external_id: add(external_id) for external_id in ids), bring])[-1]


def until_somebody_waits_for_us():
    end = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")
            if cursor.rowcount:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_a_lead_added_while_an_import_runs_is_found_by_its_next_try():
    workspace = make_workspace()

    batch = collide(workspace, ["A"])

    assert (batch.created_count, batch.updated_count, batch.total_rows) == (0, 1, 1)
    assert list(Lead.objects.values_list("external_id", "name")) == [("A", "imported")]
    assert ImportBatch.objects.count() == 1


def test_an_import_that_others_keep_on_overtaking_is_a_conflict_and_writes_nothing():
    workspace = make_workspace()

    refusal = collide(workspace, ["A", "B", "C"])

    assert (refusal.code, refusal.status) == ("conflict", 409)
    assert list(Lead.objects.order_by("external_id").values_list("external_id", "name")) == [
        ("A", "added"),
        ("B", "added"),
        ("C", "added"),
    ]
    assert ImportBatch.objects.count() == 0


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_an_import_and_a_bulk_edit_of_the_same_leads_wait_for_each_other_in_one_order(order):
    workspace = make_workspace()
    first, last = (make_lead(workspace, external_id=name) for name in ("A", "B"))
    locked = Barrier(2)

    def edit():
        with transaction.atomic():
            Lead.objects.select_for_update().get(pk=first.pk)
            locked.wait(10)
            until_somebody_waits_for_us()
            Lead.objects.select_for_update().get(pk=last.pk)

    def bring():
        locked.wait(10)
        source = ObjectSource([{"external_id": name, "notes": "seen"} for name in order])
        return importing.run(source, Options(), workspace=workspace)

    _edited, batch = at_once([edit, bring])

    assert (batch.updated_count, batch.unchanged_count) == (2, 0)
