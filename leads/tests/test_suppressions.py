"""Whom a workspace does not want to buy or write to."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.models import Suppression

pytestmark = pytest.mark.django_db

PATH = "/api/v1/suppressions"


def test_an_address_is_suppressed_in_small_letters(api, member):
    answer = api.post(PATH, {"value": "  Anna@Practice.Example ", "reason": "asked us to"})

    row = Suppression.objects.get()
    body = answer.json()
    assert answer.status_code == 201
    assert body.pop("created_at")
    assert body == {
        "id": row.pk,
        "kind": "email",
        "value": "anna@practice.example",
        "reason": "asked us to",
        "user_id": member.user_id,
    }


@pytest.mark.parametrize("written", ["practice.example", "@Practice.Example", " PRACTICE.example"])
def test_a_domain_is_suppressed(api, written):
    answer = api.post(PATH, {"value": written})

    assert (answer.json()["kind"], answer.json()["value"]) == ("domain", "practice.example")


def test_what_is_suppressed_already_stays_as_it_is(api):
    first = api.post(PATH, {"value": "a@practice.example", "reason": "first"})

    again = api.post(PATH, {"value": "A@practice.example", "reason": "second"})

    assert (again.status_code, again.json()) == (200, first.json())
    assert Suppression.objects.count() == 1


def test_many_are_suppressed_at_once(api):
    api.post(PATH, {"value": "b.example"})

    answer = api.post(PATH, {"values": ["a@x.example", "b.example", "A@x.example", "c.example"], "reason": "list"})

    assert (answer.status_code, answer.json()) == (201, {"added_count": 2, "known_count": 2})
    assert sorted(Suppression.objects.values_list("value", "kind", "reason")) == [
        ("a@x.example", "email", "list"),
        ("b.example", "domain", ""),
        ("c.example", "domain", "list"),
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"non_field_errors"}),
        ({"value": "a@x.example", "values": ["b.example"]}, {"non_field_errors"}),
        ({"value": ""}, {"value"}),
        ({"value": "@"}, {"value"}),
        ({"value": "no address"}, {"value"}),
        ({"value": "a@@x.example"}, {"value"}),
        ({"value": "a@x.example\x00"}, {"value"}),
        ({"value": "x" * 400 + ".example"}, {"value"}),
        ({"value": 7}, {"value"}),
        ({"value": ["a@x.example"]}, {"value"}),
        ({"value": None}, {"value"}),
        ({"values": []}, {"values"}),
        ({"values": "a@x.example"}, {"values"}),
        ({"values": ["a@x.example", "nothing at all"]}, {"values.1"}),
        ({"values": [f"d{number}.example" for number in range(1_001)]}, {"values"}),
        ({"value": "x.example", "reason": "\x00"}, {"reason"}),
        ({"value": "x.example", "reason": ["a"]}, {"reason"}),
        ({"value": "x.example", "kind": "email"}, {"kind"}),
        (["x.example"], {"non_field_errors"}),
    ],
)
def test_what_is_neither_an_address_nor_a_domain_is_a_validation_error(api, body, fields):
    answer = api.post(PATH, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert set(answer.json()["fields"]) == fields
    assert Suppression.objects.count() == 0


def test_they_are_listed_by_the_alphabet_and_searched(api, stranger, client_of, django_assert_num_queries):
    client_of(stranger).post(PATH, {"value": "theirs.example"})
    api.post(PATH, {"value": "b.example"})

    with django_assert_num_queries(2):
        one = api.get(PATH).json()["results"]
    api.post(PATH, {"values": ["c@b.example", "a@z.example"]})
    with django_assert_num_queries(2):
        three = api.get(PATH + "?limit=2").json()

    assert [row["value"] for row in one] == ["b.example"]
    assert [row["value"] for row in three["results"]] == ["a@z.example", "b.example"]
    assert [row["value"] for row in api.get(three["next"]).json()["results"]] == ["c@b.example"]
    assert [row["value"] for row in api.get(PATH + "?search=B.EX").json()["results"]] == ["b.example", "c@b.example"]
    assert [row["value"] for row in api.get(PATH + "?kind=domain").json()["results"]] == ["b.example"]


@pytest.mark.parametrize("query", ["?kind=person", f"?search={'x' * 400}", "?other=1", "?cursor=x"])
def test_a_filter_that_there_is_not_is_a_validation_error(api, query):
    answer = api.get(PATH + query)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


def test_one_is_suppressed_no_longer(api):
    number = api.post(PATH, {"value": "b.example"}).json()["id"]

    answers = [api.delete(f"{PATH}/{number}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]
    assert Suppression.objects.count() == 0


def test_another_workspaces_is_not_found(api, stranger, client_of):
    number = client_of(stranger).post(PATH, {"value": "b.example"}).json()["id"]

    answer = api.delete(f"{PATH}/{number}")

    assert answer.status_code == 404
    assert Suppression.objects.count() == 1


def test_agents_read_and_managers_change(member, client_of):
    agent, manager = (client_of(make_member(role, member.workspace)) for role in (Role.AGENT, Role.MANAGER))
    number = manager.post(PATH, {"value": "b.example"}).json()["id"]

    refused = [agent.post(PATH, {"value": "c.example"}), agent.delete(f"{PATH}/{number}")]

    assert [answer.status_code for answer in refused] == [403, 403]
    assert [row["value"] for row in agent.get(PATH).json()["results"]] == ["b.example"]
    assert manager.delete(f"{PATH}/{number}").status_code == 204
