"""Parallel exports, on real transactions: never beyond the limit, never twice, none lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle
from random import Random
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.tests.factories import make_member
from leads import exports, quotas
from leads.errors import AllOwned, QuotaExhausted
from leads.models import Export, ExportedLead, Lead, Usage
from leads.tests.factories import give_plan, make_catalogue, make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 32


def at_once(acts):
    """Run the acts in a thread and a connection each, all released at the same moment; returns what each returned or refused."""
    start = Barrier(len(acts))

    def run(act):
        try:
            connection.ensure_connection()
            start.wait()
            return act()
        except (QuotaExhausted, AllOwned, IntegrityError) as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def receipts(outcomes):
    return [outcome for outcome in outcomes if isinstance(outcome, exports.Receipt)]


def test_overlapping_batches_never_pass_the_limit_never_charge_twice_and_lose_none():
    member = make_member()
    make_catalogue(200)
    give_plan(member.workspace, 100)
    random = Random(7)
    batches = [[f"id{number}" for number in random.sample(range(1, 201), 20)] for _ in range(THREADS)]

    outcomes = at_once(
        [lambda ids=ids: exports.export(ids, by=member.user, workspace=member.workspace) for ids in batches]
    )

    answered = Counter(given for receipt in receipts(outcomes) for given in receipt.new_ids)
    charged = set(ExportedLead.objects.values_list("lead__external_id", flat=True))
    assert sum(answered.values()) == 100
    assert set(answered) == charged
    assert max(answered.values()) == 1
    assert Usage.objects.get().used == 100
    assert set(Lead.objects.for_workspace(member.workspace).values_list("external_id", flat=True)) == charged
    assert sum(outcome.new_count for outcome in member.workspace.exports.all()) == 100


def test_the_same_batch_at_once_is_charged_once():
    member = make_member()
    make_catalogue(20)
    ids = [f"id{number}" for number in range(1, 21)]

    outcomes = at_once([lambda: exports.export(ids, by=member.user, workspace=member.workspace)] * THREADS)

    assert [receipt.new_ids for receipt in receipts(outcomes)] == [ids]
    assert sum(isinstance(outcome, AllOwned) for outcome in outcomes) == THREADS - 1
    assert Usage.objects.get().used == 20


def test_the_first_exports_of_a_month_agree_on_one_row_of_usage():
    member = make_member()
    make_catalogue(THREADS)

    at_once(
        [
            lambda number=number: exports.export([f"id{number}"], by=member.user, workspace=member.workspace)
            for number in range(1, THREADS + 1)
        ]
    )

    assert [usage.used for usage in Usage.objects.all()] == [THREADS]


def test_workspaces_do_not_wait_for_each_other():
    one, other = make_member(), make_member()
    make_catalogue(2)

    with transaction.atomic():
        quotas.lock_month(one.workspace)
        (outcome,) = at_once([lambda: exports.export(["id1"], by=other.user, workspace=other.workspace)])

    assert outcome.new_ids == ["id1"]


def test_at_the_turn_of_the_month_a_lead_is_still_charged_once(monkeypatch):
    """Two months have two locks; here the constraint alone keeps the promise."""
    member = make_member()
    catalogue = make_catalogue(20)
    ids = [f"id{number}" for number in range(1, 21)]
    moments = cycle([datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)])
    clock = type("Clock", (), {"now": lambda zone: next(moments)})
    monkeypatch.setattr(quotas, "datetime", clock)

    outcomes = at_once([lambda: exports.export(ids, by=member.user, workspace=member.workspace)] * 8)

    answered = Counter(given for receipt in receipts(outcomes) for given in receipt.new_ids)
    assert sorted(answered) == sorted(ids)
    assert max(answered.values()) == 1
    assert sum(usage.used for usage in Usage.objects.all()) == 20
    for receipt in Export.objects.all():
        assert receipt.leads == [lead.pk for lead in catalogue]
        assert receipt.duplicate_count == len(receipt.lists["duplicate_ids"]) == 20 - receipt.new_count


def test_a_lead_given_the_copys_external_id_at_the_same_moment_costs_nobody_anything():
    member = make_member()
    ids = [str(lead.pk) for lead in make_catalogue(8)]

    acts = [lambda: exports.export(ids, by=member.user, workspace=member.workspace)]
    acts += [lambda number=number: make_lead(member.workspace, external_id=f"id{number}") for number in range(1, 9)]
    outcomes = at_once(acts)

    (receipt,) = receipts(outcomes)
    assert len(receipt.new_ids) == 8
    assert Lead.objects.for_workspace(member.workspace).exclude(catalogue_lead=None).count() == 8


def test_the_events_of_parallel_exports_are_numbered_without_gaps():
    member = make_member()
    make_catalogue(THREADS)

    at_once(
        [
            lambda number=number: exports.export([f"id{number}"], by=member.user, workspace=member.workspace)
            for number in range(1, THREADS + 1)
        ]
    )

    events = list(Event.objects.filter(type="usage.changed").order_by("seq"))
    assert sorted(Event.objects.values_list("seq", flat=True)) == list(range(1, 2 * THREADS + 1))
    assert [event.data["used"] for event in events] == list(range(1, THREADS + 1))
