"""Cursor pages: a walk sees every row once, in either direction, whatever is tied or missing."""

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.tests.factories import make_workspace
from leads.models import LEAD_ROW, Lead
from leads.tests.factories import make_lead
from zevix.api.pages import page

pytestmark = pytest.mark.django_db

START = datetime(2026, 2, 1, 12, 0, 0, 123456, tzinfo=UTC)
ORDERINGS = ["id", "company", "status", "score", "last_contact", "created_at"]


def leads_with_ties_and_gaps(workspace):
    """A dozen leads: equal names, equal and missing scores and times, times apart by a microsecond."""
    moments = [None, START, START + timedelta(microseconds=1), None, START - timedelta(days=3)]
    leads = [
        make_lead(
            workspace,
            company=["", "b", "B", "ä", "a, b & c"][number % 5],
            status=["NEW", "WON"][number % 2],
            score=[None, 0, 100, 0][number % 4],
            last_contact=moments[number % 5],
        )
        for number in range(12)
    ]
    Lead.objects.filter(pk__in=[lead.pk for lead in leads[:6]]).update(created_at=START)
    return leads


def follow(client, url, way="next"):
    """The pages from ``url`` on, as lists of ids."""
    pages = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.content
        pages.append([lead["id"] for lead in answer.json()["results"]])
        assert len(pages) < 100
        last, url = url, answer.json()[way]
    return pages, last


def flat(pages):
    return [lead for page in pages for lead in page]


def cursor(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("limit", [1, 2, 5, 11, 12, 13])
@pytest.mark.parametrize("ordering", ORDERINGS + [f"-{name}" for name in ORDERINGS])
def test_a_walk_forth_and_back_sees_every_lead_once_in_order(api, member, stranger, ordering, limit):
    leads = leads_with_ties_and_gaps(member.workspace)
    make_lead(stranger.workspace)
    whole = [lead["id"] for lead in api.get(f"/api/v1/leads?ordering={ordering}").json()["results"]]

    forth, last = follow(api, f"/api/v1/leads?ordering={ordering}&limit={limit}")
    back, _first = follow(api, last, "previous")

    assert sorted(whole) == sorted(lead.pk for lead in leads)
    assert flat(forth) == whole
    assert {len(found) for found in forth[:-1]} <= {limit}
    assert flat(reversed(back)) == whole


@pytest.mark.parametrize("ordering", ["score", "-score", "last_contact", "-last_contact"])
def test_what_is_missing_comes_last_in_either_direction(api, member, ordering):
    leads_with_ties_and_gaps(member.workspace)

    found = [lead[ordering.lstrip("-")] for lead in api.get(f"/api/v1/leads?ordering={ordering}").json()["results"]]

    known = [value for value in found if value is not None]
    assert found == sorted(known, reverse=ordering.startswith("-")) + [None] * (12 - len(known))


scores = st.one_of(st.none(), st.integers(0, 3))
moments = st.one_of(st.none(), st.integers(0, 3).map(lambda number: START + timedelta(microseconds=number)))


@given(
    rows=st.lists(st.tuples(scores, moments, st.sampled_from(["", "a", "b"])), max_size=12),
    ordering=st.lists(st.sampled_from(["score", "last_contact", "company"]), unique=True, max_size=3),
    signs=st.lists(st.sampled_from(["", "-"]), min_size=4, max_size=4),
    limit=st.integers(1, 4),
)
@hypothesis_settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_walk_over_any_rows_in_any_order_sees_each_once(db, rows, ordering, signs, limit):
    workspace = make_workspace()
    Lead.objects.bulk_create(
        Lead(workspace=workspace, score=score, last_contact=moment, company=company) for score, moment, company in rows
    )
    terms = [sign + name for sign, name in zip(signs, [*ordering, "id"], strict=False)]
    found = Lead.objects.for_workspace(workspace)
    shown = {"row": LEAD_ROW, "ordering": terms, "show": lambda texts: [json.loads(text) for text in texts]}

    def walk(query, way):
        pages = []
        while True:
            answer = page(found, Request(APIRequestFactory().get("/leads", query)), **shown)
            pages.append([row["id"] for row in answer["results"]])
            if not answer[way]:
                return pages, query
            query = {name: values[0] for name, values in parse_qs(urlsplit(answer[way]).query).items()}

    whole = [row["id"] for row in page(found, Request(APIRequestFactory().get("/leads")), **shown)["results"]]
    forth, last = walk({"limit": limit}, "next")
    back, _first = walk(last, "previous")

    assert sorted(whole) == sorted(found.values_list("id", flat=True))
    assert flat(forth) == whole
    assert flat(reversed(back)) == whole


def test_the_first_and_the_last_page_say_so(api, member):
    for _ in range(3):
        make_lead(member.workspace)

    first = api.get("/api/v1/leads?limit=2").json()
    second = api.get(first["next"]).json()
    back = api.get(second["previous"]).json()

    assert first["previous"] is None
    assert second["next"] is None
    assert back["results"] == first["results"]
    assert (back["previous"], back["next"] is None) == (None, False)


def test_an_empty_list_has_neither_pages(api, stranger):
    make_lead(stranger.workspace)

    assert api.get("/api/v1/leads?count=true").json() == {"results": [], "next": None, "previous": None, "count": 0}


def test_the_links_keep_what_was_asked(api, member):
    for _ in range(3):
        make_lead(member.workspace, city="Köln & Bonn")
    make_lead(member.workspace, city="Ulm")

    first = api.get("/api/v1/leads", {"city": "Köln & Bonn", "limit": 2, "count": "true", "ordering": "company"}).json()
    second = api.get(first["next"]).json()

    assert urlsplit(first["next"])[:3] == ("http", "testserver", "/api/v1/leads")
    assert (len(first["results"]), len(second["results"])) == (2, 1)
    assert (first["count"], second["count"]) == (3, 3)


def test_rows_that_come_and_go_shift_nothing(api, member):
    leads = [make_lead(member.workspace) for _ in range(6)]
    first = api.get("/api/v1/leads?limit=2&ordering=id").json()
    leads[1].delete()
    leads[3].delete()
    added = make_lead(member.workspace)

    rest, _last = follow(api, first["next"])

    assert flat(rest) == [leads[2].pk, leads[4].pk, leads[5].pk, added.pk]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_page_takes_as_many_queries_however_many_rows(api, member, django_assert_num_queries, rows):
    for _ in range(rows):
        make_lead(member.workspace)

    with django_assert_num_queries(3):  # who asks, the page, the count
        answer = api.get("/api/v1/leads?count=true&limit=2")

    assert answer.json()["count"] == rows


@pytest.mark.parametrize(
    ("count", "told"), [("true", True), ("TRUE", True), ("false", False), ("", False), ("yes", False)]
)
def test_the_count_comes_when_asked_for(api, count, told):
    assert ("count" in api.get(f"/api/v1/leads?count={count}").json()) is told


# Limits ---------------------------------------------------------------------------------------------------------------------


def test_a_page_has_50_rows_unless_told_otherwise_and_500_at_most(api, member):
    Lead.objects.bulk_create(Lead(workspace=member.workspace) for _ in range(501))

    sizes = [
        len(api.get(f"/api/v1/leads{query}").json()["results"]) for query in ("", "?limit=", "?limit=500", "?limit=007")
    ]

    assert sizes == [50, 50, 500, 7]


@pytest.mark.parametrize(
    "limit", ["0", "501", "-1", "1.5", "ten", " 5", "5 ", "+5", "1e2", "٥", "9" * 5000, "000000001501", "0x10"]
)
def test_a_limit_out_of_bounds_is_refused(api, limit):
    answer = api.get("/api/v1/leads", {"limit": limit})

    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert answer.json()["fields"] == {"limit": ["A whole number from 1 to 500."]}


# Cursors of somebody's own making -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ordering", "text"),
    [
        ("id", "x"),
        ("id", "="),
        ("id", "!!!!"),
        ("id", "é"),
        ("id", "a" * 10_000),
        ("id", cursor(None)),
        ("id", cursor(5)),
        ("id", cursor([])),
        ("id", cursor([False])),
        ("id", cursor([False, []])),
        ("id", cursor([False, 5])),
        ("id", cursor([False, [1, 2]])),
        ("id", cursor([0, [1]])),
        ("id", cursor(["false", [1]])),
        ("id", cursor([False, [None]])),
        ("id", cursor([False, ["one"]])),
        ("id", cursor([False, [True]])),
        ("id", cursor([False, [[1]]])),
        ("id", cursor([False, [{}]])),
        ("id", cursor([False, ["9" * 5000]])),
        ("company", cursor([False, [None, 1]])),
        ("company", cursor([False, ["a\x00", 1]])),
        ("company", cursor([False, ["a"]])),
        ("score", cursor([False, ["high", 1]])),
        ("score", cursor([False, [1, None]])),
        ("created_at", cursor([False, [None, 1]])),
        ("created_at", cursor([False, ["", 1]])),
        ("created_at", cursor([False, ["yesterday", 1]])),
        ("created_at", cursor([False, [5, 1]])),
        ("created_at", cursor([False, ["2026-02-01", 1]])),
        ("created_at", cursor([False, ["2026-02-01T00:00:00", 1]])),
        ("created_at", cursor([False, ["2026-02-01T00:00:00+23:59", 1]])),
        ("created_at", cursor([False, ["2026-02-30T00:00:00Z", 1]])),
        ("last_contact", cursor([False, ["0001-01-01T00:00:00+14:00", 1]])),
    ],
)
def test_what_is_no_cursor_is_refused(api, member, ordering, text):
    make_lead(member.workspace)

    answer = api.get("/api/v1/leads", {"ordering": ordering, "cursor": text})

    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert answer.json()["fields"] == {"cursor": ["This is no cursor of this list."]}


@pytest.mark.parametrize(
    ("ordering", "position"),
    [
        ("id", [2**63]),
        ("id", [-(2**63) - 1]),
        ("id", [10**30]),
        ("score", [10**30, 1]),
        ("score", [-1, 1]),
        ("created_at", ["0001-01-01T00:00:00Z", 1]),
        ("created_at", ["9999-12-31T23:59:59.999999Z", 1]),
        ("company", ["x" * 10_000, 1]),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_cursor_beyond_everything_is_a_place_in_the_list_too(api, member, ordering, position, backwards):
    make_lead(member.workspace)

    answer = api.get("/api/v1/leads", {"ordering": ordering, "cursor": cursor([backwards, position])})

    assert answer.status_code == 200
    assert len(answer.json()["results"]) in {0, 1}


def test_a_cursor_opens_no_other_workspace(api, member, stranger, client_of):
    for _ in range(3):
        make_lead(member.workspace)
        make_lead(stranger.workspace)
    link = api.get("/api/v1/leads?limit=1").json()["next"]

    seen, _last = follow(client_of(stranger), link)

    assert set(flat(seen)) <= set(Lead.objects.for_workspace(stranger.workspace).values_list("pk", flat=True))


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
@hypothesis_settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_as_a_cursor_causes_a_failure(api, text):
    answer = api.get("/api/v1/leads", {"ordering": "score", "cursor": text})

    assert answer.status_code in {200, 400}
