"""Comparing while others write, on real transactions: no pair is lost, and nobody who writes is made to fail."""

import io
from random import Random

import pytest
from django.db import transaction

from accounts.tests.factories import make_workspace
from accounts.tests.threads import at_once
from leads import duplicates
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource
from leads.models import Lead
from leads.tests.factories import make_lead
from leads.tests.test_duplicates import VALUES, compare, found, make, stars

pytestmark = pytest.mark.django_db(transaction=True)


def test_imports_of_the_same_leads_at_once_end_with_every_pair_found():
    workspace = make_workspace()
    table = b"name,email\n" + b"".join(b"Ann,office%d@river.example\n" % number for number in range(300))

    def import_them():
        return importing.run(
            CsvSource(io.BytesIO(table)), Options(mode="create", match_on=["external_id"]), workspace=workspace
        )

    batches = at_once([import_them, import_them, *[lambda: duplicates.compare(workspace.pk, limit=50)] * 6])[:2]
    compare(workspace)

    assert [batch.created_count for batch in batches] == [300, 300]
    assert found(workspace) == stars(Lead.objects.for_workspace(workspace))
    assert len(found(workspace)) == 300


def test_two_leads_of_which_neither_transaction_sees_the_other_are_paired():
    workspace = make_workspace()

    with transaction.atomic():
        older = make(workspace, email="a@x.example")

        def add_and_compare():
            younger = make(workspace, email="a@x.example")
            return younger.pk, duplicates.compare(workspace.pk)

        ((younger, compared),) = at_once([add_and_compare])
    alone = found(workspace)
    compare(workspace)

    assert compared == 1
    assert alone == {}
    assert found(workspace) == {(older.pk, younger): ["email"]}


def test_a_lead_that_is_being_changed_is_compared_when_that_is_done():
    workspace = make_workspace()
    lead, other = make(workspace), make(workspace, email="a@x.example")

    with transaction.atomic():
        Lead.objects.filter(pk=lead.pk).update(email="a@x.example")
        (meanwhile,) = at_once([lambda: duplicates.compare(workspace.pk)])
    compare(workspace)

    assert meanwhile == 1
    assert found(workspace) == {(lead.pk, other.pk): ["email"]}


def test_of_two_comparisons_at_once_neither_fails_and_both_together_do_the_work():
    workspace = make_workspace()
    for _ in range(40):
        make(workspace, email="a@x.example")

    at_once([lambda: duplicates.compare_all(workspace.pk)] * 4)
    compare(workspace)

    assert len(found(workspace)) == 39


def test_a_comparison_that_others_keep_waiting_gives_way_and_comes_again():
    workspace = make_workspace()
    make(workspace, email="a@x.example")

    with transaction.atomic():
        duplicates.lock(workspace.pk)
        (compared,) = at_once([lambda: duplicates.compare(workspace.pk)])

    assert compared == 0
    assert duplicates.uncompared(workspace.pk) == 1


@pytest.mark.parametrize("seed", range(4))
def test_after_any_mixture_of_work_the_pairs_are_those_of_the_leads_as_they_are(seed):
    workspace = make_workspace()
    leads = [make_lead(workspace, **fields(Random(seed))).pk for _ in range(12)]

    def work(number):
        random = Random(f"{seed} {number}")
        for _ in range(12):
            act = random.choice(["create", "change", "change all", "delete", "compare", "compare"])
            if act == "create":
                make_lead(workspace, **fields(random))
            elif act == "change":
                Lead.objects.filter(pk=random.choice(leads)).update(**fields(random))
            elif act == "change all":
                with transaction.atomic():
                    chosen = random.sample(leads, 6)
                    list(Lead.objects.filter(pk__in=chosen).order_by("pk").select_for_update())
                    Lead.objects.filter(pk__in=chosen[:3]).update(**fields(random))
                    Lead.objects.filter(pk__in=chosen[3:]).update(**fields(random))
            elif act == "delete":
                Lead.objects.filter(pk=random.choice(leads)).delete()
            else:
                duplicates.compare(workspace.pk, limit=random.randint(1, 10))

    at_once([lambda number=number: work(number) for number in range(6)])
    compare(workspace)

    live = {(pair.first_id, pair.second_id): pair.reasons for pair in duplicates.pairs(workspace.pk)}
    assert live == stars(Lead.objects.for_workspace(workspace))


def fields(random):
    return {field: random.choice(values) for field, values in VALUES.items()}
