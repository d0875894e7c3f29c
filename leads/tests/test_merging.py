"""Making one lead of several, and taking that back."""

from datetime import UTC, datetime

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import editing, exports, history, quotas
from leads.errors import AllOwned, LeadSold
from leads.history import SYSTEM, Author
from leads.merging import carrying, merging, unmerging
from leads.merging.merging import Wish
from leads.models import (
    Activity,
    Assignment,
    DuplicatePair,
    ExportedLead,
    Lead,
    LeadVersion,
    Merge,
    MergedLead,
    Undo,
    WaitingLead,
)
from leads.tests.factories import give_plan, make_catalogue_lead, make_lead
from zevix.errors import NotFound, ValidationFailed
from zevix.models import Event

pytestmark = pytest.mark.django_db

JANUARY, JUNE = datetime(2026, 1, 31, 9, tzinfo=UTC), datetime(2026, 6, 30, 9, tzinfo=UTC)


def make(workspace, **fields):
    """A lead that says nothing but what is given."""
    return make_lead(workspace, **{"company": "", "email": "", "name": "Ann", **fields})


def merge(survivor, *losers, by=None, **choices):
    wish = Wish(survivor.pk, tuple(lead.pk for lead in losers), **choices)
    (merged,) = merging.merge([wish], workspace=survivor.workspace, by=by or SYSTEM)
    survivor.refresh_from_db()
    return merged


def undo(merged, workspace, by=SYSTEM):
    return unmerging.undo(merged.merge_id, workspace=workspace, by=by)


def row(lead):
    """A lead as it stands, without what counts and dates its changes."""
    columns = set(history.CONTENT) | {
        "id",
        "workspace_id",
        "created_at",
        "origin",
        "import_batch_id",
        "catalogue_lead_id",
    }
    return Lead.objects.values(*columns).get(pk=lead.pk)


# Which values stay


@pytest.mark.parametrize(
    ("field", "survivors", "first", "second", "result"),
    [
        ("name", "Ann", "Bob", "Cleo", "Ann"),
        ("website", "", "", "b.example", "b.example"),
        ("website", "", "a.example", "b.example", "a.example"),
        ("is_sole_proprietor", None, False, True, False),
        ("disg_type", "", "D", "I", "D"),
        ("score", 0, None, 40, 40),
        ("score", 50, 10, 40, 50),
        ("score", None, None, None, None),
        ("tags", ["a", "b"], ["b", "c"], [], ["a", "b", "c"]),
        ("specialties", [], ["x"], ["y"], ["x", "y"]),
        ("providers", ["Ada"], [], ["Bo"], ["Ada", "Bo"]),
        ("extra", {"beds": 1}, {"beds": 2, "room": 3}, {"room": 4, "fax": 5}, {"beds": 1, "room": 3, "fax": 5}),
        ("notes", "One", "Two", "One", "One\n\nTwo"),
        ("notes", "", "", "Two", "Two"),
        ("notes", "a" * 15_000, "b" * 15_000, "short", "a" * 15_000 + "\n\nshort"),
        ("tags", [f"a{n}" for n in range(60)], [f"b{n}" for n in range(60)], [], [f"a{n}" for n in range(60)] + [f"b{n}" for n in range(40)]),
        ("last_contact", JANUARY, JUNE, None, JUNE),
        ("next_action_at", JUNE, None, JANUARY, JANUARY),
        ("status", "NEW", "CONTACTED", "PROPOSAL", "PROPOSAL"),
        ("status", "LOST", "NEW", "LOST", "NEW"),
        ("status", "WON", "PROPOSAL", "LOST", "WON"),
        ("status", "LOST", "LOST", "LOST", "LOST"),
        ("source", "", "import", "api", ""),
        ("external_id", "", "A", "B", "A"),
        ("external_id", "S", "A", "", "S"),
    ],
)  # fmt: skip
def test_the_survivor_has_the_value_that_the_rules_say(field, survivors, first, second, result, member):
    leads = [make(member.workspace, **{field: value}) for value in (survivors, first, second)]

    merge(*leads)

    assert getattr(leads[0], field) == result


def test_custom_fields_that_would_be_too_many_stay_in_the_history(member):
    small, large, medium = {"a": 1}, {"b": "x" * 65_000}, {"c": "y" * 1_000}
    leads = [make(member.workspace, extra=extra) for extra in (small, large, medium)]

    merge(*leads)

    assert leads[0].extra == small | large


def test_what_is_to_be_done_goes_with_its_moment(member):
    survivor = make(member.workspace, next_action_at=JUNE, next_action_description="Call in June")
    loser = make(member.workspace, next_action_at=JANUARY, next_action_description="")
    another = make(member.workspace, next_action_description="Send the offer")

    merge(survivor, loser, another)

    assert (survivor.next_action_at, survivor.next_action_description) == (JANUARY, "Send the offer")


def test_what_is_known_of_an_address_goes_with_it(member):
    kept = [
        make(member.workspace, email="a@x.example"),
        make(member.workspace, email="A@x.example", email_status="risky"),
    ]
    taken = [make(member.workspace), make(member.workspace, email="b@x.example", email_status="deliverable")]
    other = [
        make(member.workspace, email="c@x.example"),
        make(member.workspace, email="d@x.example", email_status="risky"),
    ]

    for leads in (kept, taken, other):
        merge(*leads)

    assert [(leads[0].email, leads[0].email_status) for leads in (kept, taken, other)] == [
        ("a@x.example", "risky"),
        ("b@x.example", "deliverable"),
        ("c@x.example", "unknown"),
    ]


def test_a_phone_that_is_taken_over_is_matched_by_its_form(member):
    survivor = make(member.workspace, country="DE")
    loser = make(member.workspace, phone="030 901820", phone_normalized="030901820")

    merge(survivor, loser)

    assert survivor.phone_normalized == "+4930901820"


def test_whether_action_is_needed_follows_from_what_stays(member):
    survivor = make(member.workspace, last_contact=JANUARY, needs_action=True)
    loser = make(member.workspace, status="WON", needs_action=True)
    untouched = [make(member.workspace, needs_action=False), make(member.workspace, needs_action=True)]

    merge(survivor, loser)
    merge(*untouched)

    assert (survivor.status, survivor.needs_action) == ("WON", False)
    assert untouched[0].needs_action is False


def test_a_task_that_is_due_comes_along_with_the_need_for_action(member):
    pairs = [[make(member.workspace, needs_action=False) for _ in range(2)] for _ in range(2)]
    for (_survivor, loser), due_at in zip(pairs, [JANUARY, datetime(2100, 1, 1, tzinfo=UTC)], strict=True):
        Activity.objects.create(workspace=member.workspace, lead=loser, type="task", due_at=due_at)

    for leads in pairs:
        merge(*leads)

    assert [leads[0].needs_action for leads in pairs] == [True, False]


def test_an_owner_and_the_place_in_the_catalogue_are_taken_over(member):
    agent = make_member(Role.AGENT, member.workspace).user
    stock = make_catalogue_lead()
    survivor, loser = make(member.workspace), make(member.workspace, assigned_user=agent, catalogue_lead=stock)

    merge(survivor, loser)

    assert (survivor.assigned_user, survivor.catalogue_lead) == (agent, stock)


def test_values_may_be_chosen_or_given(member):
    survivor = make(member.workspace, name="Ann", city="Akron", tags=["a"], needs_action=True)
    loser = make(member.workspace, name="Bob", city="Bath", tags=["b"], status="WON")

    merge(
        survivor,
        loser,
        taken_from={"name": loser.pk, "tags": survivor.pk},
        given={"city": "Copley", "needs_action": True},
    )

    assert (survivor.name, survivor.city, survivor.tags, survivor.needs_action) == ("Bob", "Copley", ["a"], True)


def test_a_preview_tells_for_each_field_the_value_its_lead_and_the_alternatives(member):
    survivor = make(member.workspace, name="Ann", tags=["a"])
    loser = make(member.workspace, name="Bob", city="Bath", tags=["b"])
    before = [row(survivor), row(loser)]

    (fields,) = merging.preview([Wish(survivor.pk, (loser.pk,))], workspace=member.workspace)

    assert fields["name"] == {
        "value": "Ann", "lead_id": survivor.pk, "alternatives": [{"lead_id": loser.pk, "value": "Bob"}]
    }  # fmt: skip
    assert fields["city"] == {"value": "Bath", "lead_id": loser.pk, "alternatives": []}
    assert (fields["tags"]["value"], fields["tags"]["lead_id"]) == (["a", "b"], None)
    assert [row(survivor), row(loser)] == before
    assert not Merge.objects.exists()


# What happens to the leads


def test_the_survivor_keeps_its_id_and_age_and_the_others_go_with_their_history_kept(member):
    survivor, loser = make(member.workspace), make(member.workspace, city="Bath", external_id="B")
    created_at = survivor.created_at

    merged = merge(survivor, loser, by=Author.of(member))

    versions = LeadVersion.objects.filter(pgh_context__act=f"merge:{merged.merge_id}").order_by("pgh_obj")
    assert list(Lead.objects.for_workspace(member.workspace)) == [survivor]
    assert (survivor.city, survivor.external_id, survivor.created_at) == ("Bath", "B", created_at)
    assert [(version.pgh_obj_id, version.pgh_label, version.city) for version in versions] == [
        (survivor.pk, "update", ""),
        (loser.pk, "delete", "Bath"),
    ]
    assert {version.pgh_context["user"] for version in versions} == {member.user_id}
    assert not history.in_bin(member.workspace_id).exists()


def test_many_merges_at_once_are_each_an_act_of_their_own(member):
    pairs = [(make(member.workspace), make(member.workspace, city=f"City {number}")) for number in range(3)]
    wishes = [Wish(survivor.pk, (loser.pk,)) for survivor, loser in pairs]

    merged = merging.merge(wishes, workspace=member.workspace, by=SYSTEM)
    unmerging.undo(merged[1].merge_id, workspace=member.workspace, by=SYSTEM)

    assert [(one.survivor_id, one.merged_ids) for one in merged] == [(wish.survivor, wish.losers) for wish in wishes]
    assert [Lead.objects.get(pk=survivor.pk).city for survivor, _loser in pairs] == ["City 0", "", "City 2"]
    assert [Lead.objects.filter(pk=loser.pk).exists() for _survivor, loser in pairs] == [False, True, False]
    assert list(Event.objects.values_list("type", "data"))[:2] == [
        ("lead.updated", {"count": 3, "fields": ["city"]}),
        ("lead.deleted", {"count": 3}),
    ]


@pytest.mark.parametrize("count", [2, 4])
def test_many_merges_cost_as_many_queries_as_few(count, member, django_assert_num_queries):
    pairs = [(make(member.workspace), make(member.workspace)) for _ in range(count)]
    wishes = [Wish(survivor.pk, (loser.pk,)) for survivor, loser in pairs]
    quotas.lock_month(member.workspace)

    with django_assert_num_queries(19 + len(carrying.references())):
        merging.merge(wishes, workspace=member.workspace, by=SYSTEM)


def test_a_merge_tells_of_itself_once(member):
    survivor, loser = make(member.workspace), make(member.workspace, city="Bath")

    merge(survivor, loser)

    assert list(Event.objects.values_list("type", "data")) == [
        ("lead.updated", {"id": survivor.pk, "fields": ["city"]}),
        ("lead.deleted", {"id": loser.pk}),
    ]


@pytest.mark.parametrize("wrong", ["twice", "itself", "foreign", "unknown", "catalogue", "value of another"])
def test_one_contradiction_refuses_the_whole_request(wrong, member, stranger):
    leads = [make(member.workspace) for _ in range(4)]
    foreign, stock = make(stranger.workspace), make_catalogue_lead()
    second = {
        "twice": Wish(leads[2].pk, (leads[1].pk,)),
        "itself": Wish(leads[2].pk, (leads[2].pk,)),
        "foreign": Wish(leads[2].pk, (foreign.pk,)),
        "unknown": Wish(2**62, (leads[3].pk,)),
        "catalogue": Wish(leads[2].pk, (stock.pk,)),
        "value of another": Wish(leads[2].pk, (leads[3].pk,), {"name": leads[0].pk}),
    }[wrong]
    refusal = NotFound if wrong in {"foreign", "unknown", "catalogue"} else ValidationFailed

    with pytest.raises(refusal):
        merging.merge([Wish(leads[0].pk, (leads[1].pk,)), second], workspace=member.workspace, by=SYSTEM)

    assert Lead.objects.count() == 6
    assert not Merge.objects.exists()


def test_leads_of_the_catalogue_that_were_sold_do_not_go(member):
    kept, sold, unsold = make_catalogue_lead(), make_catalogue_lead(), make_catalogue_lead()
    exports.export([str(sold.pk)], by=member.user, workspace=member.workspace)

    with pytest.raises(LeadSold):
        merge(kept, sold)
    merge(sold, unsold)

    assert set(Lead.objects.in_catalogue()) == {kept, sold}


# What moves along


def test_every_table_that_names_a_lead_is_carried_or_stays_for_a_reason():
    named = {reference.key for reference in carrying.references()}

    assert {"leads_activity", "leads_assignment", "leads_waitinglead", "leads_exportedlead"} <= named
    for reference in carrying.references():
        meta = reference.model._meta
        promises = [one for one in meta.constraints if getattr(one, "expressions", ())]
        assert meta.pk.name == "id", "rows are remembered by their id"
        assert not meta.get_field(reference.column).db_constraint, "the lead that went is still named"
        assert not any(reference.column in str(one) for one in promises), "only columns are read"


def test_what_points_at_a_lead_moves_along_and_comes_back(member):
    survivor, loser = make(member.workspace), make(member.workspace)
    for lead in (survivor, loser):
        Activity.objects.create(workspace=member.workspace, lead=lead, type="note", text=str(lead.pk))
        Assignment.objects.create(workspace=member.workspace, lead=lead)

    merged = merge(survivor, loser)
    together = [list(model.objects.values_list("lead_id", flat=True)) for model in (Activity, Assignment)]
    undo(merged, member.workspace)

    assert together == [[survivor.pk] * 2] * 2
    assert list(Activity.objects.order_by("pk").values_list("lead_id", "text")) == [
        (survivor.pk, str(survivor.pk)),
        (loser.pk, str(loser.pk)),
    ]
    assert list(Assignment.objects.order_by("pk").values_list("lead_id", flat=True)) == [survivor.pk, loser.pk]


def test_where_a_lead_may_have_but_one_row_the_survivor_keeps_its_own(member):
    survivor, first, second = [make(member.workspace) for _ in range(3)]
    leads = [make(member.workspace) for _ in range(3)]
    for lead in (survivor, first, *leads[1:]):
        WaitingLead.objects.create(workspace=member.workspace, lead=lead, reason=str(lead.pk))

    with_its_own, without = merge(survivor, first, second), merge(*leads)
    waiting = dict(WaitingLead.objects.filter(lead__in=Lead.objects.all()).values_list("lead_id", "reason"))
    undo(with_its_own, member.workspace)
    undo(without, member.workspace)

    assert waiting == {survivor.pk: str(survivor.pk), leads[0].pk: str(leads[1].pk)}
    assert dict(WaitingLead.objects.values_list("lead_id", "reason")) == {
        lead.pk: str(lead.pk) for lead in (survivor, first, *leads[1:])
    }


def test_what_was_said_about_a_pair_holds_for_the_survivor(member):
    survivor, loser, third = [make(member.workspace) for _ in range(3)]
    pairs = [
        DuplicatePair.objects.create(workspace=member.workspace, first=loser, second=third, state="dismissed"),
        DuplicatePair.objects.create(workspace=member.workspace, first=survivor, second=loser, state="dismissed"),
    ]

    merged = merge(survivor, loser)
    carried = DuplicatePair.objects.values_list("first_id", "second_id").get(pk=pairs[0].pk)
    undo(merged, member.workspace)

    assert carried == (survivor.pk, third.pk)
    assert list(DuplicatePair.objects.order_by("pk").values_list("first_id", "second_id")) == [
        (loser.pk, third.pk),
        (survivor.pk, loser.pk),
    ]


# What was paid stays paid


@pytest.mark.parametrize("paid", ["survivor", "loser", "both", "neither"])
def test_a_lead_of_ones_own_that_was_paid_is_free_after_a_merge_and_after_its_undoing(paid, member):
    survivor, loser = make(member.workspace), make(member.workspace)
    give_plan(member.workspace, 100)
    bought = {"survivor": [survivor], "loser": [loser], "both": [survivor, loser], "neither": []}[paid]
    for lead in bought:
        exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)

    merged = merge(survivor, loser)
    while_merged = _is_free(survivor, member) if bought else False
    undo(merged, member.workspace)

    assert while_merged is bool(bought)
    assert ExportedLead.objects.count() == len(bought)
    assert [_is_free(lead, member) for lead in bought] == [True] * len(bought)


def test_copies_of_the_catalogue_stay_paid_whichever_survives(member):
    one, other, own = make_catalogue_lead(), make_catalogue_lead(), make(member.workspace)
    give_plan(member.workspace, 100)
    exports.export([str(one.pk), str(other.pk)], by=member.user, workspace=member.workspace)
    first, second = Lead.objects.for_workspace(member.workspace).exclude(catalogue_lead=None).order_by("pk")

    merges = [merge(own, first), merge(own, second)]
    while_merged = [_is_free(lead, member) for lead in (own, one, other)]
    copies = Lead.objects.for_workspace(member.workspace).count()
    for merged in reversed(merges):
        undo(merged, member.workspace)

    assert while_merged == [True, True, True]
    assert copies == 1
    assert [_is_free(lead, member) for lead in (one, other, first, second)] == [True] * 4
    assert (
        Lead.objects.for_workspace(member.workspace).values_list("catalogue_lead_id", flat=True).get(pk=own.pk) is None
    )
    assert exports.export([str(own.pk)], by=member.user, workspace=member.workspace).new_ids == [str(own.pk)]


def _is_free(lead, member):
    """Whether exporting it costs nothing; it costs something where it is charged now."""
    try:
        exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)
    except AllOwned:
        return True
    return False


# Taking it back


def test_leads_come_back_as_they_were(member):
    agent = make_member(Role.AGENT, member.workspace).user
    survivor = make(member.workspace, notes="Mine", tags=["a"])
    loser = make(
        member.workspace, name="Bob", email="b@x.example", email_status="risky", external_id="B", extra={"beds": 2},
        assigned_user=agent, phone="(330) 779-3389", phone_normalized="+13307793389", status="WON", notes="His", tags=["b"],
        source="import", needs_action=False, score=7, last_contact=JUNE, catalogue_lead=make_catalogue_lead(),
    )  # fmt: skip
    before = [row(survivor), row(loser)]

    merged = merge(survivor, loser)
    done = undo(merged, member.workspace, Author.of(member))

    assert [row(survivor), row(loser)] == before
    assert (done.restored_ids, done.kept) == ([loser.pk], [])
    assert Merge.objects.get().undone_at is not None
    assert Undo.objects.get().act == f"merge:{merged.merge_id}"


def test_what_somebody_changed_since_stays_and_is_listed(member):
    survivor, loser = make(member.workspace), make(member.workspace, city="Bath", website="b.example")
    merged = merge(survivor, loser)

    editing.update(survivor.pk, {"city": "Copley", "name": "Cleo"}, workspace=member.workspace, by=Author.of(member))
    done = undo(merged, member.workspace)

    survivor.refresh_from_db()
    assert (survivor.city, survivor.website, survivor.name) == ("Copley", "", "Cleo")
    assert [(kept.lead_id, kept.reason, kept.fields) for kept in done.kept] == [(survivor.pk, "changed", ("city",))]


def test_what_was_added_to_the_survivor_since_stays_with_it(member):
    survivor, loser = make(member.workspace), make(member.workspace)
    activity = Activity.objects.create(workspace=member.workspace, lead=loser, type="note")
    merged = merge(survivor, loser)

    later = Activity.objects.create(workspace=member.workspace, lead=survivor, type="note")
    undo(merged, member.workspace)

    assert dict(Activity.objects.values_list("pk", "lead_id")) == {activity.pk: loser.pk, later.pk: survivor.pk}


def test_a_row_that_was_moved_or_deleted_since_is_left_alone(member):
    survivor, loser, other = [make(member.workspace) for _ in range(3)]
    moved, deleted = [Activity.objects.create(workspace=member.workspace, lead=loser, type="note") for _ in range(2)]
    merged = merge(survivor, loser)

    Activity.objects.filter(pk=moved.pk).update(lead=other)
    deleted.delete()
    undo(merged, member.workspace)

    assert dict(Activity.objects.values_list("pk", "lead_id")) == {moved.pk: other.pk}


def test_merges_of_a_chain_are_undone_from_its_end(member):
    first, second, third = [make(member.workspace, name=name, notes=name) for name in ("Ann", "Bob", "Cleo")]
    note = Activity.objects.create(workspace=member.workspace, lead=first, type="note")
    before = [row(lead) for lead in (first, second, third)]

    inner, outer = merge(second, first), merge(third, second)
    undo(outer, member.workspace)
    undo(inner, member.workspace)

    assert [row(lead) for lead in (first, second, third)] == before
    assert Activity.objects.get(pk=note.pk).lead_id == first.pk


def test_of_two_merges_into_one_lead_either_may_be_undone_first(member):
    survivor, first, second = (
        make(member.workspace),
        make(member.workspace, city="Bath"),
        make(member.workspace, website="c.example"),
    )
    before = [row(lead) for lead in (survivor, first, second)]

    merges = [merge(survivor, first), merge(survivor, second)]
    for merged in merges:
        undo(merged, member.workspace)

    assert [row(lead) for lead in (survivor, first, second)] == before


def test_a_lead_may_be_merged_again_after_it_came_back(member):
    survivor, loser = make(member.workspace), make(member.workspace, city="Bath")
    before = [row(survivor), row(loser)]

    for _ in range(2):
        undo(merge(survivor, loser), member.workspace)

    assert [row(survivor), row(loser)] == before
    assert MergedLead.objects.count() == 2


def test_of_leads_that_are_forgotten_nothing_is_left_but_what_was_paid(member):
    gone, there = make(member.workspace), make(member.workspace)
    for lead in (gone, there):
        WaitingLead.objects.create(workspace=member.workspace, lead=lead)
        Assignment.objects.create(workspace=member.workspace, lead=lead)
    DuplicatePair.objects.create(workspace=member.workspace, first=gone, second=there)
    exports.export([str(gone.pk)], by=member.user, workspace=member.workspace)
    editing.delete(Lead.objects.filter(pk=gone.pk), by=SYSTEM)

    history.forget([gone.pk])

    assert [list(model.objects.values_list("lead_id", flat=True)) for model in (WaitingLead, Assignment, ExportedLead)] == [
        [there.pk], [there.pk], [gone.pk]
    ]  # fmt: skip
    assert not DuplicatePair.objects.exists()
