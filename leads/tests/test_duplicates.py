"""Which leads may be one: found among those that changed, in whatever order they come."""

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tests.factories import make_workspace
from leads import duplicates, editing
from leads.history import SYSTEM
from leads.models import DuplicatePair, Lead, UncomparedLead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db


def compare(workspace):
    while duplicates.compare_all(workspace.pk):
        pass


def found(workspace, **filters):
    """(first, second) → reasons."""
    pairs = DuplicatePair.objects.for_workspace(workspace).filter(**filters)
    return {(pair.first_id, pair.second_id): pair.reasons for pair in pairs}


def make(workspace, **fields):
    return make_lead(workspace, **{"company": "", "email": "", "name": "Ann", **fields})


@pytest.fixture
def workspace(db):
    return make_workspace()


@pytest.mark.parametrize(
    ("reason", "one", "other"),
    [
        ("email", {"email": "office@river.example"}, {"email": "Office@River.example"}),
        ("phone", {"phone_normalized": "+13307793389"}, {"phone_normalized": "+13307793389"}),
        ("npi", {"npi": "1000000001", "address": "606 Black River RD"}, {"npi": "1000000001", "address": "606 BLACK RIVER RD."}),
        ("company", {"company": "River", "zip_code": "29440"}, {"company": "RIVER", "zip_code": "29440-1234"}),
    ],
)  # fmt: skip
def test_leads_that_share_a_key_are_a_pair_however_it_is_written(reason, one, other, workspace):
    first, second = make(workspace, **one), make(workspace, **other)
    make(make_workspace(), **one)
    make(workspace, name="Bob")

    compare(workspace)

    assert found(workspace) == {(first.pk, second.pk): [reason]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"email": ""}, {"email": ""}),
        ({"npi": "1000000001", "address": "1 Main St"}, {"npi": "1000000001", "address": "2 Oak Ave"}),
        ({"company": "River", "zip_code": ""}, {"company": "River", "zip_code": ""}),
        ({"company": "River", "zip_code": "29440"}, {"company": "River", "zip_code": "29441"}),
        ({"company": "", "zip_code": "29440"}, {"company": "", "zip_code": "29440"}),
    ],
)
def test_what_names_nobody_makes_no_pair(one, other, workspace):
    make(workspace, **one)
    make(workspace, **other)

    compare(workspace)

    assert found(workspace) == {}


def test_all_that_two_leads_share_is_told_at_once(workspace):
    first, second = [make(workspace, email="a@x.example", phone_normalized="+13307793389") for _ in range(2)]

    compare(workspace)

    assert found(workspace) == {(first.pk, second.pk): ["email", "phone"]}


def test_of_many_that_share_a_key_each_is_paired_with_the_oldest(workspace):
    leads = [make(workspace, email="a@x.example") for _ in range(60)]

    compare(workspace)

    assert found(workspace) == {(leads[0].pk, lead.pk): ["email"] for lead in leads[1:]}


@pytest.mark.parametrize("fields", [{"phone_normalized": "+13307793389"}, {"company": "River", "zip_code": "29440"}])
def test_a_phone_or_a_name_at_a_place_that_more_than_fifty_share_is_no_evidence(fields, workspace):
    for _ in range(50):
        make(workspace, **fields)
    compare(workspace)
    among_fifty = len(found(workspace))

    make(workspace, **fields)
    compare(workspace)

    assert among_fifty == 49
    assert found(workspace) == {}


def test_a_lead_that_changed_loses_the_pairs_that_hold_no_more(workspace):
    first, second = [make(workspace, email="a@x.example", phone_normalized="+13307793389") for _ in range(2)]
    compare(workspace)

    Lead.objects.filter(pk=second.pk).update(email="b@x.example")
    compare(workspace)
    once = found(workspace)
    Lead.objects.filter(pk=second.pk).update(phone_normalized="+13307790000")
    compare(workspace)

    assert once == {(first.pk, second.pk): ["phone"]}
    assert found(workspace) == {}


@pytest.mark.parametrize("how", ["deleted", "changed"])
def test_those_whose_oldest_went_are_paired_with_each_other(how, workspace):
    oldest, middle, youngest = [make(workspace, email="a@x.example") for _ in range(3)]
    compare(workspace)

    if how == "deleted":
        editing.delete(Lead.objects.filter(pk=oldest.pk), by=SYSTEM)
    else:
        Lead.objects.filter(pk=oldest.pk).update(email="")
    compare(workspace)

    live = {(pair.first_id, pair.second_id) for pair in duplicates.pairs(workspace.pk)}
    assert live == {(middle.pk, youngest.pk)}


def test_an_older_lead_that_comes_to_share_a_key_becomes_the_middle(workspace):
    older = make(workspace)
    middle, youngest = [make(workspace, email="a@x.example") for _ in range(2)]
    compare(workspace)

    Lead.objects.filter(pk=older.pk).update(email="a@x.example")
    compare(workspace)

    assert found(workspace) == {(older.pk, middle.pk): ["email"], (older.pk, youngest.pk): ["email"]}


def test_a_pair_that_was_dismissed_is_not_offered_again(workspace, member):
    leads = [make(workspace, email="a@x.example") for _ in range(2)]
    compare(workspace)
    duplicates.dismiss(DuplicatePair.objects.all(), by=member.user)

    for email in ("b@x.example", "a@x.example"):
        Lead.objects.filter(pk=leads[0].pk).update(email=email)
        compare(workspace)

    assert DuplicatePair.objects.get().state == "dismissed"


def test_a_pair_that_is_offered_again_must_still_hold(workspace, member):
    gone, held = make(workspace, email="a@x.example"), make(workspace, phone_normalized="+13307793389")
    make(workspace, email="a@x.example")
    make(workspace, phone_normalized="+13307793389")
    compare(workspace)
    duplicates.dismiss(DuplicatePair.objects.all(), by=member.user)
    Lead.objects.filter(pk=gone.pk).update(email="b@x.example")
    compare(workspace)

    count = duplicates.reopen(DuplicatePair.objects.all())
    compare(workspace)

    assert count == 2
    assert [(pair.first_id, pair.state, pair.user) for pair in DuplicatePair.objects.all()] == [(held.pk, "open", None)]


def test_only_what_is_new_is_compared(workspace):
    for _ in range(3):
        make(workspace)
    compare(workspace)
    lead = make(workspace)

    counts = [duplicates.compare(workspace.pk), duplicates.compare(workspace.pk)]
    Lead.objects.filter(pk=lead.pk).update(notes="Nothing that names anybody", email="A@x.example")

    assert counts == [1, 0]
    assert duplicates.uncompared(workspace.pk) == 1


def test_a_chunk_is_as_large_as_wanted_and_the_rest_waits(workspace):
    for _ in range(5):
        make(workspace, email="a@x.example")

    counts = [duplicates.compare(workspace.pk, limit=2) for _ in range(4)]

    assert counts == [2, 2, 1, 0]
    assert len(found(workspace)) == 4


@pytest.mark.parametrize("leads", [1, 3])
def test_comparing_costs_the_same_for_one_lead_and_for_three(leads, workspace, django_assert_num_queries):
    for _ in range(leads):
        make(workspace, email="a@x.example")

    with django_assert_num_queries(9):
        assert duplicates.compare(workspace.pk) == leads


def test_the_job_compares_what_waits_in_every_workspace(workspace):
    from leads import jobs

    for place in (workspace, make_workspace()):
        make(place, email="a@x.example")
        make(place, email="a@x.example")

    jobs.compare_leads(0)

    assert DuplicatePair.objects.count() == 2
    assert not UncomparedLead.objects.exists()


# Random work ----------------------------------------------------------------------------------------------------------------

VALUES = {
    "email": ["", "a@x.example", "A@x.example", "b@x.example"],
    "phone_normalized": ["", "+13307793389", "+13307793380"],
    "npi": ["", "1000000001"],
    "address": ["", "1 Main St", "1 MAIN ST."],
    "company": ["", "River", "RIVER"],
    "zip_code": ["", "29440", "29440-1234"],
}
some_fields = st.fixed_dictionaries({field: st.sampled_from(values) for field, values in VALUES.items()})
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), some_fields),
        st.tuples(st.just("change"), st.integers(0, 5), some_fields),
        st.tuples(st.just("delete"), st.integers(0, 5)),
        st.tuples(st.just("compare"), st.integers(1, 3)),
    ),
    max_size=14,
)


def keys_of(lead):
    place = "".join(character for character in lead.address.lower() if character not in ".").strip()
    return {
        "email": lead.email.lower(),
        "phone": lead.phone_normalized,
        "npi": lead.npi and (lead.npi, place),
        "company": lead.company and lead.zip_code and (lead.company.lower(), lead.zip_code[:5]),
    }


def stars(leads):
    """The pairs that there should be: of each key, everybody with the oldest."""
    pairs = {}
    for reason in ("company", "email", "npi", "phone"):
        oldest = {}
        for lead in sorted(leads, key=lambda lead: lead.pk):
            key = keys_of(lead)[reason]
            if key:
                first = oldest.setdefault(key, lead.pk)
                if first != lead.pk:
                    pairs.setdefault((first, lead.pk), []).append(reason)
    return pairs


@given(work=steps)
@settings(deadline=None, max_examples=150, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_done_in_between_the_pairs_are_those_of_the_leads_as_they_are(work):
    with transaction.atomic():
        workspace = make_workspace()
        leads = []
        for act, *given_ in work:
            if act == "create":
                leads.append(make(workspace, **given_[0]).pk)
            elif act == "compare":
                duplicates.compare(workspace.pk, limit=given_[0])
            elif leads and act == "change":
                Lead.objects.filter(pk=leads[given_[0] % len(leads)]).update(**given_[1])
            elif leads and act == "delete":
                Lead.objects.filter(pk=leads[given_[0] % len(leads)]).delete()

        compare(workspace)

        live = duplicates.pairs(workspace.pk)
        assert {(pair.first_id, pair.second_id): pair.reasons for pair in live} == stars(
            Lead.objects.for_workspace(workspace)
        )
        transaction.set_rollback(True)
