"""Duplicates and merges in the admin."""

from urllib.parse import urlencode

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from leads import duplicates
from leads.history import SYSTEM
from leads.merging import merging
from leads.merging.merging import Wish
from leads.models import DuplicatePair, Lead, Merge
from leads.tests.test_merging import make

pytestmark = pytest.mark.django_db

PAIRS = reverse("admin:leads_duplicatepair_changelist")
MERGES = reverse("admin:leads_merge_changelist")


def twins(workspace, email="a@x.example", **fields):
    first, second = make(workspace, email=email), make(workspace, email=email, **fields)
    duplicates.compare(workspace.pk)
    return DuplicatePair.objects.get(first=first, second=second)


def merge(workspace, *leads):
    survivor, *losers = leads
    (merged,) = merging.merge([Wish(survivor.pk, tuple(lead.pk for lead in losers))], workspace=workspace, by=SYSTEM)
    return Merge.objects.get(pk=merged.merge_id)


def choose(browser, page, action, *rows, **query):
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return browser.post(f"{page}?{urlencode(query)}", chosen, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def listed(browser, page, **query):
    return [row.pk for row in browser.get(page, query).context["cl"].result_list]


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


def test_pairs_are_listed_with_what_they_share_and_who_is_to_survive(browser, manager, stranger):
    pair = twins(manager.workspace, city="Bath", company="<b>River")
    twins(stranger.workspace)

    page = browser.get(PAIRS)

    text = page.content.decode()
    assert [row.pk for row in page.context["cl"].result_list] == [pair.pk]
    assert reverse("admin:leads_lead_change", args=[pair.second_id]) in text
    assert "e-mail address" in text
    assert f">#{pair.second_id}</td>" in text
    assert "<b>River" not in text
    assert browser.get(reverse("admin:leads_duplicatepair_change", args=[pair.pk])).status_code == 200


def test_the_operator_sees_the_pairs_of_all(operator, in_admin, manager, stranger):
    pairs = [twins(manager.workspace), twins(stranger.workspace)]

    assert listed(in_admin(operator), PAIRS) == [pair.pk for pair in reversed(pairs)]


def test_pairs_are_merged_into_the_more_complete_lead(browser, manager):
    pair = twins(manager.workspace, city="Bath")

    answer = choose(browser, PAIRS, "merge", pair)

    assert said(answer) == ["1 pair merged."]
    assert list(Lead.objects.values_list("pk", flat=True)) == [pair.second_id]
    assert Merge.objects.get().user == manager.user
    assert listed(browser, PAIRS) == []


def test_a_pair_of_which_one_went_in_another_merge_is_left_and_told(browser, manager):
    first, second, third = [make(manager.workspace, email="a@x.example") for _ in range(3)]
    duplicates.compare(manager.workspace_id)
    Lead.objects.filter(pk=third.pk).update(city="Bath")
    pairs = list(DuplicatePair.objects.order_by("pk"))

    answer = choose(browser, PAIRS, "merge", *pairs)

    assert said(answer) == [f"{first.pk} = {second.pk}?: There is no such object.", "1 pair merged."]
    assert set(Lead.objects.values_list("pk", flat=True)) == {second.pk, third.pk}


def test_pairs_are_dismissed_and_offered_again(browser, manager):
    pairs = [twins(manager.workspace, f"{number}@x.example") for number in range(2)]

    dismissed = choose(browser, PAIRS, "dismiss", *pairs)
    lists = [listed(browser, PAIRS), listed(browser, PAIRS, state="dismissed", reason="email")]
    reopened = choose(browser, PAIRS, "reopen", pairs[0], state="dismissed")

    assert said(dismissed) == ["2 pairs dismissed."]
    assert lists == [[], [pairs[1].pk, pairs[0].pk]]
    assert said(reopened) == ["1 pair is open again."]
    assert listed(browser, PAIRS, reason="phone") == []
    assert listed(browser, PAIRS) == [pairs[0].pk]


def test_more_than_one_handles_by_hand_is_left_alone(browser, manager, monkeypatch):
    monkeypatch.setattr("leads.admin.merging._AT_ONCE", 1)
    pairs = [twins(manager.workspace, f"{number}@x.example") for number in range(2)]

    answer = choose(browser, PAIRS, "merge", *pairs)

    assert said(answer) == ["At most 1 rows at a time: narrow the list.", "0 pairs merged."]
    assert Lead.objects.count() == 4


def test_merges_are_listed_and_found_by_a_leads_id(browser, manager, stranger):
    leads = [make(manager.workspace) for _ in range(3)]
    merged = merge(manager.workspace, *leads)
    merge(stranger.workspace, make(stranger.workspace), make(stranger.workspace))

    found = {term: listed(browser, MERGES, q=term) for term in ("", str(leads[0].pk), str(leads[2].pk), "999999", "x")}

    assert found == {
        "": [merged.pk],
        str(leads[0].pk): [merged.pk],
        str(leads[2].pk): [merged.pk],
        "999999": [],
        "x": [],
    }
    text = browser.get(reverse("admin:leads_merge_change", args=[merged.pk])).content.decode()
    assert f"#{leads[1].pk}, #{leads[2].pk}" in text


def test_a_chain_of_merges_is_undone_at_once(browser, manager):
    first, second, third = [make(manager.workspace) for _ in range(3)]
    merges = [merge(manager.workspace, second, first), merge(manager.workspace, third, second)]

    answer = choose(browser, MERGES, "undo", *merges)
    again = choose(browser, MERGES, "undo", merges[0])

    assert said(answer) == ["2 merges undone."]
    assert Lead.objects.count() == 3
    assert said(again) == [f"#{merges[0].pk}: This was undone already.", "0 merges undone."]


@pytest.mark.parametrize("page", [PAIRS, MERGES])
def test_neither_is_written_by_hand(page, browser, manager):
    pair = twins(manager.workspace)
    merge(manager.workspace, make(manager.workspace), make(manager.workspace))

    assert browser.get(f"{page}add/").status_code == 403
    assert browser.post(f"{page}{pair.pk}/delete/", {"post": "yes"}).status_code in {302, 403}
    assert (DuplicatePair.objects.count(), Merge.objects.count()) == (1, 1)


def test_a_manager_does_not_act_on_anothers_rows(browser, stranger):
    pair = twins(stranger.workspace)
    merged = merge(stranger.workspace, make(stranger.workspace), make(stranger.workspace))

    for page, action, row in [(PAIRS, "merge", pair), (PAIRS, "dismiss", pair), (MERGES, "undo", merged)]:
        choose(browser, page, action, row)

    assert DuplicatePair.objects.get().state == "open"
    assert (Merge.objects.count(), Merge.objects.get().undone_at, Lead.objects.count()) == (1, None, 3)


@pytest.mark.parametrize(
    ("page", "who", "cost"),
    [(PAIRS, "operator", 4), (PAIRS, "manager", 6), (MERGES, "operator", 5), (MERGES, "manager", 7)],
)
def test_a_list_costs_the_same_with_one_row_and_with_three(
    page, who, cost, operator, manager, in_admin, django_assert_num_queries
):
    browser = in_admin(operator if who == "operator" else manager.user)

    for rows in (1, 2):
        for number in range(rows):
            twins(manager.workspace, f"{rows}{number}@x.example")
            merge(manager.workspace, make(manager.workspace), make(manager.workspace))
        with django_assert_num_queries(cost):
            browser.get(page)
