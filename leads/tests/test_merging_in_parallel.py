"""Merging while others merge, export, compare and write, on real transactions."""

from random import Random

import pytest
from django.db import connection, transaction

from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from leads import duplicates, editing, exports
from leads.errors import AllOwned, AlreadyUndone, LeadsNotFound
from leads.history import SYSTEM
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import Activity, ExportedLead, Lead, Merge, Usage
from leads.tests.factories import give_plan
from leads.tests.test_duplicates import compare, stars
from leads.tests.test_merging import make
from zevix.errors import Conflict, NotFound, Refusal

pytestmark = pytest.mark.django_db(transaction=True)


def attempt(act):
    """What came of an act: its result, or the refusal."""
    try:
        return act()
    except Refusal as refusal:
        return refusal


def merge(workspace, survivor, *losers):
    (merged,) = merging.merge([Wish(survivor, losers)], workspace=workspace, by=SYSTEM)
    return merged


@pytest.mark.parametrize("round_", range(3))
def test_of_merges_that_share_a_lead_one_wins_and_the_others_find_it_gone(round_):
    member = make_member()
    leads = [make(member.workspace) for _ in range(5)]
    loser, survivors = leads[0].pk, [lead.pk for lead in leads[1:]]

    outcomes = at_once(
        [lambda survivor=survivor: attempt(lambda: merge(member.workspace, survivor, loser)) for survivor in survivors]
    )

    won = [outcome for outcome in outcomes if not isinstance(outcome, Refusal)]
    assert len(won) == 1
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Refusal)] == [NotFound] * 3
    assert Merge.objects.count() == 1
    assert set(Lead.objects.values_list("pk", flat=True)) == set(survivors)


def test_two_leads_that_are_merged_into_each_other_at_once_leave_one():
    member = make_member()
    one, other = make(member.workspace).pk, make(member.workspace).pk

    outcomes = at_once(
        [
            lambda: attempt(lambda: merge(member.workspace, one, other)),
            lambda: attempt(lambda: merge(member.workspace, other, one)),
        ]
    )

    assert sorted(isinstance(outcome, NotFound) for outcome in outcomes) == [False, True]
    assert Lead.objects.count() == 1


def test_a_merge_is_undone_once_however_often_that_is_asked_at_once():
    member = make_member()
    survivor, loser = make(member.workspace), make(member.workspace)
    merged = merge(member.workspace, survivor.pk, loser.pk)

    outcomes = at_once(
        [lambda: attempt(lambda: unmerging.undo(merged.merge_id, workspace=member.workspace, by=SYSTEM))] * 4
    )

    assert sorted(isinstance(outcome, AlreadyUndone) for outcome in outcomes) == [False, True, True, True]
    assert Lead.objects.count() == 2


@pytest.mark.parametrize("seed", range(3))
def test_a_lead_is_paid_once_however_exports_and_merges_meet(seed):
    member = make_member()
    give_plan(member.workspace, 1_000)
    pairs = [(make(member.workspace).pk, make(member.workspace).pk) for _ in range(12)]
    random = Random(seed)

    def buy(lead_id):
        try:
            return exports.export([str(lead_id)], by=member.user, workspace=member.workspace).new_ids
        except (AllOwned, LeadsNotFound):
            return []

    acts = [lambda one=one, other=other: merge(member.workspace, one, other) for one, other in pairs]
    acts += [lambda lead_id=lead_id: buy(lead_id) for pair in pairs for lead_id in pair]
    random.shuffle(acts)
    outcomes = at_once(acts)
    bought = sum(len(outcome) for outcome in outcomes if isinstance(outcome, list))
    again = [buy(one) for one, _other in pairs]

    charged = set(ExportedLead.objects.values_list("lead_id", flat=True))
    assert Usage.objects.get().used == ExportedLead.objects.count() == bought + sum(map(len, again))
    assert {one for one, _other in pairs} <= charged


@pytest.mark.parametrize("seed", range(4))
def test_merges_amid_other_work_lose_nothing_and_make_nobody_fail(seed):
    member = make_member()
    workspace = member.workspace
    leads = [make(workspace, email=f"{number % 4}@x.example").pk for number in range(16)]
    for lead_id in leads:
        Activity.objects.create(workspace=workspace, lead_id=lead_id, type="note")

    def work(number):
        random = Random(f"{seed} {number}")
        for _ in range(8):
            some = random.sample(leads, 4)
            act = random.choice(
                [
                    lambda some=some: merge(workspace, *some[:2]),
                    lambda some=some: merging.merge(
                        [Wish(some[0], (some[1],)), Wish(some[2], (some[3],))], workspace=workspace, by=SYSTEM
                    ),
                    lambda: _undo_some(random),
                    lambda: duplicates.compare(workspace.pk, limit=5),
                    lambda some=some: editing.update(
                        some[0], {"email": f"{random.randint(0, 4)}@x.example"}, workspace=workspace, by=SYSTEM
                    ),
                    lambda some=some: _touch(some),
                ]
            )
            outcome = attempt(act)
            assert not isinstance(outcome, Refusal) or isinstance(outcome, NotFound | Conflict)

    def _undo_some(random):
        done = list(Merge.objects.filter(undone_at=None).values_list("pk", flat=True))
        if done:
            unmerging.undo(random.choice(done), workspace=workspace, by=SYSTEM)

    def _touch(some):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT FROM leads_lead WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [some])
            cursor.execute("UPDATE leads_lead SET notes = notes || '.' WHERE id = ANY(%s)", [some])

    at_once([lambda number=number: work(number) for number in range(6)])
    compare(workspace)

    there = set(Lead.objects.values_list("pk", flat=True))
    merged_away = list(Merge.objects.filter(undone_at=None).values_list("merged__lead_id", flat=True))
    live = {(pair.first_id, pair.second_id): pair.reasons for pair in duplicates.pairs(workspace.pk)}
    assert sorted([*there, *merged_away]) == sorted(leads)
    assert Activity.objects.filter(lead__in=there).count() == len(leads)
    assert live == stars(Lead.objects.all())
