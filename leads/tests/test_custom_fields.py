"""Custom fields: defining them, what they allow, and what becomes of values that are there already."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.custom_fields import Definition, Definitions, InvalidValues
from leads.models import CustomField, Lead, LeadVersion
from leads.tests.factories import make_lead
from zevix.models import Event
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

FIELDS = "/api/v1/fields"


def define(api, key, kind, **more):
    answer = api.post(FIELDS, {"key": key, "kind": kind, **more})
    assert answer.status_code == 201, answer.content
    return answer.json()


def extra_of(lead):
    lead.refresh_from_db()
    return lead.extra


@pytest.fixture
def agent(member, client_of):
    return client_of(make_member(Role.AGENT, member.workspace))


# Definitions


def test_a_field_is_defined_read_changed_and_deleted(api):
    made = api.post(
        FIELDS, {"key": "level", "label": "Level", "kind": "choice", "choices": ["Gold", "Silver"], "position": 2}
    )

    level = made.json()
    assert made.status_code == 201
    assert {name: level[name] for name in ("key", "label", "kind", "choices", "position")} == {
        "key": "level", "label": "Level", "kind": "choice", "choices": ["Gold", "Silver"], "position": 2,
    }  # fmt: skip
    assert api.get(f"{FIELDS}/{level['id']}").json() == level
    changed = api.patch(f"{FIELDS}/{level['id']}", {"label": "Stufe", "choices": ["Gold", " gold ", "Bronze"]}).json()
    assert (changed["label"], changed["choices"], changed["kind"]) == ("Stufe", ["Gold", "Bronze"], "choice")
    assert api.delete(f"{FIELDS}/{level['id']}").status_code == 204
    assert api.get(FIELDS).json()["results"] == []


def test_the_label_is_the_key_where_none_is_given(api):
    assert define(api, "size", "number")["label"] == "size"


def test_fields_come_in_their_order(api):
    for key, position in (("c", 1), ("a", 2), ("b", 1)):
        define(api, key, "text", position=position)

    assert [field["key"] for field in api.get(FIELDS).json()["results"]] == ["c", "b", "a"]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_is_one_query_besides_the_member(api, member, django_assert_num_queries, rows):
    for number in range(rows):
        define(api, f"f{number}", "text")

    with django_assert_num_queries(2):
        answer = api.get(FIELDS)

    assert len(answer.json()["results"]) == rows


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"kind": "text"}, ["key"]),
        ({"key": "size"}, ["kind"]),
        ({"key": "size", "kind": "money"}, ["kind"]),
        ({"key": "Size", "kind": "text"}, ["key"]),
        ({"key": "1a", "kind": "text"}, ["key"]),
        ({"key": "a-b", "kind": "text"}, ["key"]),
        ({"key": "a" * 61, "kind": "text"}, ["key"]),
        ({"key": 5, "kind": "text"}, ["key"]),
        ({"key": "a\x00", "kind": "text"}, ["key"]),
        ({"key": "a", "kind": "choice"}, ["choices"]),
        ({"key": "a", "kind": "choice", "choices": []}, ["choices"]),
        ({"key": "a", "kind": "text", "choices": ["b"]}, ["choices"]),
        ({"key": "a", "kind": "choice", "choices": "b"}, ["choices"]),
        ({"key": "a", "kind": "choice", "choices": [1]}, ["choices.0"]),
        ({"key": "a", "kind": "text", "label": ""}, ["label"]),
        ({"key": "a", "kind": "text", "label": "x" * 101}, ["label"]),
        ({"key": "a", "kind": "text", "position": -1}, ["position"]),
        ({"key": "a", "kind": "text", "position": 10**30}, ["position"]),
        ({"key": "a", "kind": "text", "nonsense": 1}, ["nonsense"]),
        ([], ["non_field_errors"]),
        ("field", ["non_field_errors"]),
    ],
)
def test_a_definition_that_can_not_be_is_named(api, body, named):
    answer = api.post(FIELDS, body)

    assert (answer.status_code, list(answer.json()["fields"])) == (400, named)
    assert not CustomField.objects.exists()


def test_a_key_is_defined_once_in_a_workspace(api, stranger, client_of):
    define(client_of(stranger), "size", "number")
    define(api, "size", "number")

    answer = api.post(FIELDS, {"key": "size", "kind": "text"})

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert CustomField.objects.count() == 2


def test_a_key_does_not_change(api):
    size = define(api, "size", "number")

    answer = api.patch(f"{FIELDS}/{size['id']}", {"key": "other"})

    assert list(answer.json()["fields"]) == ["key"]


def test_everybody_reads_definitions_and_managers_write_them(api, agent):
    size = define(api, "size", "number")

    assert agent.get(FIELDS).json()["results"] == [size]
    assert agent.get(f"{FIELDS}/{size['id']}").status_code == 200
    for answer in (
        agent.post(FIELDS, {"key": "a", "kind": "text"}),
        agent.patch(f"{FIELDS}/{size['id']}", {"label": "b"}),
        agent.delete(f"{FIELDS}/{size['id']}"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (403, "permission_denied")
    assert CustomField.objects.get().label == "size"


def test_another_workspaces_definitions_are_not_found(api, stranger, client_of):
    theirs = define(client_of(stranger), "size", "number")

    for ask in (api.get, api.patch, api.delete):
        assert ask(f"{FIELDS}/{theirs['id']}").status_code == 404
    assert api.get(FIELDS).json()["results"] == []


def test_a_repeated_request_defines_once(api):
    body, key = {"key": "size", "kind": "number"}, {"Idempotency-Key": "k"}

    first, second = (api.post(FIELDS, body, headers=key) for _ in range(2))

    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")


# What a kind allows


@pytest.mark.parametrize(
    ("kind", "written", "kept"),
    [
        ("text", " Arzt ", "Arzt"),
        ("text", 12, "12"),
        ("number", 12, 12),
        ("number", 12.5, 12.5),
        ("number", "1.234,5", 1234.5),
        ("number", "1,234.5", 1234.5),
        ("number", "-7", -7),
        ("number", "0", 0),
        ("date", "2024-11-20", "2024-11-20"),
        ("date", "20.11.2024", "2024-11-20"),
        ("date", "11/20/2024", "2024-11-20"),
        ("date", "2024-11-20T12:30:00Z", "2024-11-20"),
        ("choice", "gold", "Gold"),
        ("choice", " Silver ", "Silver"),
        ("boolean", True, True),
        ("boolean", "ja", True),
        ("boolean", "nein", False),
        ("boolean", 0, False),
    ],
)
def test_a_value_is_kept_as_its_kind_has_it(api, kind, written, kept):
    define(api, "field", kind, **({"choices": ["Gold", "Silver"]} if kind == "choice" else {}))

    added = api.post("/api/v1/leads", {"name": "Anna", "extra": {"field": written, "free": written}}).json()

    assert added["extra"] == {"field": kept, "free": written}
    assert type(added["extra"]["field"]) is type(kept)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("text", ["a"]),
        ("text", {"a": 1}),
        ("text", True),
        ("text", "x" * 20_001),
        ("number", "many"),
        ("number", "1,234"),
        ("number", True),
        ("number", [1]),
        ("number", "9" * 30),
        ("number", "9" * 5000),
        ("date", "soon"),
        ("date", "03/04/2024"),
        ("date", 20241120),
        ("date", "9999-99-99"),
        ("choice", "Bronze"),
        ("choice", 1),
        ("choice", ["Gold"]),
        ("choice", True),
        ("boolean", "perhaps"),
        ("boolean", 2),
        ("boolean", 1.0),
        ("boolean", []),
    ],
)
def test_a_value_that_its_kind_does_not_allow_is_named_by_its_key(api, kind, written):
    define(api, "field", kind, **({"choices": ["Gold", "Silver"]} if kind == "choice" else {}))

    answer = api.post("/api/v1/leads", {"name": "Anna", "extra": {"field": written}})

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["extra.field"])
    assert not Lead.objects.exists()


def test_every_wrong_key_is_named(api):
    define(api, "size", "number")
    define(api, "since", "date")

    answer = api.post("/api/v1/leads", {"name": "Anna", "extra": {"size": "x", "since": "x", "free": "x"}})

    assert sorted(answer.json()["fields"]) == ["extra.since", "extra.size"]


@pytest.mark.parametrize("change", ["put", "patch"])
def test_a_changed_lead_is_checked_as_well_and_null_and_blank_remove_a_key(api, member, change):
    define(api, "size", "number")
    define(api, "since", "date")
    lead = make_lead(member.workspace, extra={"size": 5, "since": "2024-01-01", "free": "x"})

    refused = getattr(api, change)(f"/api/v1/leads/{lead.pk}", {"extra": {"size": "many"}})
    changed = getattr(api, change)(f"/api/v1/leads/{lead.pk}", {"extra": {"size": "", "since": None}})

    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["extra.size"])
    assert changed.json()["extra"] == {"free": "x"}


def test_the_admins_form_is_checked_as_well(api, member, in_admin):
    define(api, "size", "number")
    lead = make_lead(member.workspace, extra={"size": 5})
    browser, page = in_admin(member.user), f"/admin/leads/lead/{lead.pk}/change/"

    refused = browser.post(page, filled(browser.get(page), extra='{"size": "many"}'))
    assert "size: This is no number." in str(refused.context["adminform"].form.errors["extra"])
    browser.post(page, filled(browser.get(page), extra='{"size": "1.234,5"}'))

    assert extra_of(lead) == {"size": 1234.5}


def test_a_key_that_is_taken_out_of_the_admins_form_is_removed(member, in_admin):
    lead = make_lead(member.workspace, extra={"a": 1, "b": 2, "c": 3})
    browser, page = in_admin(member.user), f"/admin/leads/lead/{lead.pk}/change/"

    browser.post(page, filled(browser.get(page), extra='{"b": 4, "c": 3}'))
    assert extra_of(lead) == {"b": 4, "c": 3}
    browser.post(page, filled(browser.get(page), extra=""))

    assert extra_of(lead) == {}


def test_definitions_clean_and_name_for_whoever_reads_files():
    definitions = Definitions([Definition("size", "Größe", "number"), Definition("since", "Seit", "date")])

    assert definitions.key_for(" größe ") == "size"
    assert definitions.key_for("SIZE") == "size"
    assert definitions.key_for("Branche") == "Branche"
    assert definitions.clean({"size": "1.234", "since": "03/04/2024", "x": "y"}, "de") == {
        "size": 1234, "since": "2024-04-03", "x": "y",
    }  # fmt: skip
    with pytest.raises(InvalidValues) as refused:
        definitions.clean({"size": "1.234", "since": "x"})
    assert list(refused.value.problems) == ["since", "size"]


# Values that are there already


def test_defining_a_field_rewrites_what_leads_hold_as_its_kind_has_it(api, member, stranger):
    leads = [make_lead(member.workspace, extra={"size": value, "free": "x"}) for value in ("12", "1.234,5", 7, "")]
    without = make_lead(member.workspace, extra={"free": "x"})
    theirs = make_lead(stranger.workspace, extra={"size": "12"})

    field = define(api, "size", "number")

    assert [extra_of(lead) for lead in leads] == [
        {"size": 12, "free": "x"}, {"size": 1234.5, "free": "x"}, {"size": 7, "free": "x"}, {"free": "x"},
    ]  # fmt: skip
    assert (extra_of(without), extra_of(theirs)) == ({"free": "x"}, {"size": "12"})
    assert {version.pgh_context["act"] for version in LeadVersion.objects.all()} == {f"field:{field['id']}"}
    assert LeadVersion.objects.count() == 3
    assert list(Event.objects.values_list("type", "data")) == [("lead.updated", {"count": 3, "fields": ["extra"]})]


@pytest.mark.parametrize("ask", ["post", "patch"])
def test_a_kind_that_does_not_fit_what_leads_hold_is_refused_with_their_number(api, member, ask):
    for value in ("12", "many", "few", "many"):
        make_lead(member.workspace, extra={"size": value})

    if ask == "post":
        answer = api.post(FIELDS, {"key": "size", "kind": "number"})
    else:
        answer = api.patch(f"{FIELDS}/{define(api, 'size', 'text')['id']}", {"kind": "number"})

    assert (answer.status_code, answer.json()["error"], answer.json()["count"]) == (409, "conflict", 3)
    assert list(CustomField.objects.values_list("kind", flat=True)) == ([] if ask == "post" else ["text"])
    assert not LeadVersion.objects.exists()


def test_choices_that_leads_hold_are_not_taken_away(api, member):
    field = define(api, "level", "choice", choices=["Gold", "Silver"])
    lead = make_lead(member.workspace, extra={"level": "Silver"})

    refused = api.patch(f"{FIELDS}/{field['id']}", {"choices": ["Gold"]})
    renamed = api.patch(f"{FIELDS}/{field['id']}", {"choices": ["Gold", "SILVER"]})

    assert (refused.status_code, refused.json()["count"]) == (409, 1)
    assert (renamed.status_code, extra_of(lead)) == (200, {"level": "SILVER"})


def test_another_kind_needs_no_choices_any_more(api):
    field = define(api, "level", "choice", choices=["Gold"])

    changed = api.patch(f"{FIELDS}/{field['id']}", {"kind": "text"}).json()

    assert (changed["kind"], changed["choices"]) == ("text", [])


def test_deleting_a_definition_leaves_the_values(api, member):
    field = define(api, "size", "number")
    lead = make_lead(member.workspace, extra={"size": 5})

    api.delete(f"{FIELDS}/{field['id']}")

    assert extra_of(lead) == {"size": 5}
    assert api.patch(f"/api/v1/leads/{lead.pk}", {"extra": {"size": "many"}}).json()["extra"] == {"size": "many"}
