"""What becomes of a field: every combination of what both sides have, had and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.pipedrive.syncing.comparing import MARGIN, Decision, Move, Sides, compare

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
values = st.sampled_from(["", "Anna", "Bert", "Cleo"])
moments = st.one_of(st.none(), st.integers(-300, 300).map(lambda seconds: NOON + timedelta(seconds=seconds)))
owners = st.sampled_from(["zevix", "pipedrive", "latest"])


@st.composite
def sides(draw, **fixed):
    ours, theirs = draw(values), draw(values)
    drawn = {
        "ours": ours,
        "theirs": theirs,
        "agreed": draw(st.one_of(st.none(), st.tuples(values, values))),
        "owner": draw(owners),
        "by_person": draw(st.booleans()),
        "ours_at": draw(moments),
        "theirs_after": draw(moments),
        "theirs_before": draw(moments),
        **fixed,
    }
    return Sides(**drawn, is_ours_empty=drawn["ours"] == "", is_theirs_empty=drawn["theirs"] == "")


@given(sides())
def test_what_neither_side_changed_stays(both):
    stays = both.agreed == (both.ours, both.theirs)

    assert (compare(both).move == Move.NOTHING) == stays


@given(sides())
def test_what_is_alike_is_agreed_on_and_moves_nowhere(both):
    decision = compare(both)

    if both.ours == both.theirs:
        assert decision.move in (Move.NOTHING, Move.AGREED)
    else:
        assert decision.move != Move.AGREED


@given(sides(owner="latest"))
def test_a_change_of_one_side_alone_goes_to_the_other(both):
    decision = compare(both)

    if both.agreed is not None and both.ours != both.theirs:
        if both.theirs == both.agreed[1] and both.ours != both.agreed[0]:
            assert decision == Decision(Move.PUSH)
        if both.ours == both.agreed[0] and both.theirs != both.agreed[1]:
            assert decision == Decision(Move.PULL)


@given(sides(owner="zevix"))
def test_what_zevix_owns_is_never_changed_here_unless_it_is_empty_when_they_first_meet(both):
    decision = compare(both)

    assert decision.move != Move.CONFLICT
    if decision.move == Move.PULL:
        assert both.agreed is None
        assert both.ours == ""


@given(sides(owner="pipedrive"))
def test_what_pipedrive_owns_is_never_changed_there_unless_it_is_empty_when_they_first_meet(both):
    decision = compare(both)

    assert decision.move != Move.CONFLICT
    if decision.move == Move.PUSH:
        assert both.agreed is None
        assert both.theirs == ""


@given(sides(agreed=None))
def test_when_they_first_meet_nothing_that_is_full_gives_way_to_what_is_empty(both):
    decision = compare(both)

    assert not (decision.move == Move.PUSH and both.ours == "")
    assert not (decision.move == Move.PULL and both.theirs == "")


@given(sides(owner="latest"))
def test_a_persons_value_is_lost_only_where_it_is_certain_that_it_is_the_older_one_and_then_it_is_listed(both):
    decision = compare(both)

    both_changed = both.ours_changed and both.theirs_changed and both.ours and both.theirs
    if both_changed and both.by_person and decision.move == Move.PUSH:
        assert decision.overrules
        assert both.ours_at - both.theirs_before > MARGIN
    if both_changed and both.by_person and decision.move == Move.PULL:
        assert decision.overrules
        assert both.theirs_after - both.ours_at > MARGIN


@given(sides(owner="latest", by_person=False))
def test_a_programs_value_gives_way_and_never_makes_a_conflict(both):
    decision = compare(both)

    assert decision.move != Move.CONFLICT
    if both.ours_changed and both.theirs_changed and both.ours != both.theirs and both.theirs:
        assert decision.move == Move.PULL


LATER, EARLIER = NOON + timedelta(minutes=3), NOON - timedelta(minutes=3)
CHANGED = {"ours": "Anna", "theirs": "Bert", "agreed": ("Cleo", "Cleo"), "owner": "latest"}


@pytest.mark.parametrize(
    ("known", "decision"),
    [
        ({"ours_at": LATER, "theirs_before": NOON}, Decision(Move.PUSH, overrules=True)),
        ({"ours_at": EARLIER, "theirs_after": NOON, "theirs_before": LATER}, Decision(Move.PULL, overrules=True)),
        ({"ours_at": NOON, "theirs_after": EARLIER, "theirs_before": LATER}, Decision(Move.CONFLICT)),
        ({"ours_at": NOON + MARGIN, "theirs_before": NOON}, Decision(Move.CONFLICT)),
        ({"ours_at": NOON, "theirs_after": NOON + MARGIN}, Decision(Move.CONFLICT)),
        ({}, Decision(Move.CONFLICT)),
        ({"by_person": False}, Decision(Move.PULL, overrules=True)),
        ({"owner": "zevix"}, Decision(Move.PUSH, overrules=True)),
        ({"owner": "pipedrive"}, Decision(Move.PULL, overrules=True)),
        ({"agreed": None, "by_person": False}, Decision(Move.PULL)),
        ({"agreed": None}, Decision(Move.CONFLICT)),
        ({"agreed": None, "ours_at": LATER, "theirs_before": NOON}, Decision(Move.PUSH, overrules=True)),
        ({"agreed": ("Cleo", "Bert"), "owner": "pipedrive"}, Decision(Move.PULL, overrules=True)),
        ({"agreed": ("Anna", "Cleo"), "owner": "zevix"}, Decision(Move.PUSH, overrules=True)),
    ],
)
def test_what_both_changed_goes_by_the_rule(known, decision):
    assert compare(Sides(**{**CHANGED, **known})) == decision
