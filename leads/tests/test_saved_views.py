"""Saved views: whose they are, what they may hold, and what a list shows by one."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.models import CustomField, SavedView
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

VIEWS = "/api/v1/views"


def save(client, name="v", **fields):
    answer = client.post(VIEWS, {"name": name, **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def names(client):
    return [view["name"] for view in client.get(VIEWS).json()["results"]]


def companies(answer):
    assert answer.status_code == 200, answer.content
    return [lead["company"] for lead in answer.json()["results"]]


@pytest.fixture
def agent(member):
    return make_member(Role.AGENT, member.workspace)


@pytest.fixture
def agents_client(agent, client_of):
    return client_of(agent)


def test_a_view_is_saved_read_changed_and_deleted(api, member):
    wanted = {
        "name": "Hot in Ohio", "filters": {"state": "OH", "tag": ["hot", "warm"], "needs_action": True, "extra.size.min": 5},
        "ordering": "-score", "columns": ["company", "practice_phone", "extra.size"], "is_shared": False,
    }  # fmt: skip
    CustomField.objects.create(workspace=member.workspace, key="size", label="Size", kind="number")

    view = save(api, **wanted)

    assert {name: view[name] for name in wanted} == wanted
    assert view["user_id"] == member.user_id
    assert api.get(f"{VIEWS}/{view['id']}").json() == view
    changed = api.patch(f"{VIEWS}/{view['id']}", {"name": "Ohio", "filters": {}, "columns": ["name", "name"]}).json()
    assert (changed["name"], changed["filters"], changed["ordering"], changed["columns"]) == (
        "Ohio",
        {},
        "-score",
        ["name"],
    )
    assert api.delete(f"{VIEWS}/{view['id']}").status_code == 204
    assert api.get(VIEWS).json()["results"] == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["name"]),
        ({"name": " "}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"name": "x" * 101}, ["name"]),
        ({"name": "v", "filters": {"status": "DONE"}}, ["filters.status"]),
        ({"name": "v", "filters": {"nonsense": 1, "status": ""}}, ["filters.status"]),
        ({"name": "v", "filters": {"nonsense": 1}}, ["filters.nonsense"]),
        ({"name": "v", "filters": {"status": []}}, ["filters.status"]),
        ({"name": "v", "filters": {"status": {"a": 1}}}, ["filters.status"]),
        ({"name": "v", "filters": {"status": None}}, ["filters.status"]),
        ({"name": "v", "filters": {"city": ["a", "b"]}}, ["filters.city"]),
        ({"name": "v", "filters": {"city": "a\x00"}}, ["filters.city"]),
        ({"name": "v", "filters": {"extra.a\x00": "b"}}, ["filters.extra.a\x00"]),
        ({"name": "v", "filters": {"extra.size.min": 5}}, ["filters.extra.size.min"]),
        ({"name": "v", "filters": {"created_after": 5}}, ["filters.created_after"]),
        ({"name": "v", "filters": {"limit": 5}}, ["filters.limit"]),
        ({"name": "v", "filters": {f"extra.a{n}": "b" for n in range(101)}}, ["filters"]),
        ({"name": "v", "filters": []}, ["filters"]),
        ({"name": "v", "filters": "status=NEW"}, ["filters"]),
        ({"name": "v", "ordering": "password"}, ["ordering"]),
        ({"name": "v", "ordering": 1}, ["ordering"]),
        ({"name": "v", "columns": ["password"]}, ["columns"]),
        ({"name": "v", "columns": "name"}, ["columns"]),
        ({"name": "v", "columns": [{}]}, ["columns.0"]),
        ({"name": "v", "is_shared": "perhaps"}, ["is_shared"]),
        ({"name": "v", "user_id": 1}, ["user_id"]),
        ([], ["non_field_errors"]),
    ],
)
def test_a_view_that_can_not_be_is_refused_by_name(api, body, named):
    answer = api.post(VIEWS, body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == named
    assert not SavedView.objects.exists()


def test_a_name_is_taken_once_by_each_member(api, agents_client):
    save(api, "Mine")
    save(agents_client, "Mine")
    other = save(api, "Other")

    assert api.post(VIEWS, {"name": "Mine"}).status_code == 409
    renamed = api.patch(f"{VIEWS}/{other['id']}", {"name": "Mine"})
    assert (renamed.status_code, renamed.json()["error"]) == (409, "conflict")


def test_members_see_their_own_and_shared_views(api, agents_client, stranger, client_of):
    save(api, "private")
    save(api, "shared", is_shared=True)
    save(agents_client, "agents")
    save(client_of(stranger), "strangers", is_shared=True)

    assert names(api) == ["private", "shared"]
    assert names(agents_client) == ["shared", "agents"]


def test_what_others_keep_for_themselves_is_not_found(api, agents_client, stranger, client_of):
    for view in (save(agents_client), save(client_of(stranger), is_shared=True)):
        for ask in (api.get, api.patch, api.delete):
            assert ask(f"{VIEWS}/{view['id']}").status_code == 404
        assert api.get(f"/api/v1/leads?view={view['id']}").status_code == 404


def test_shared_views_are_changed_by_their_owner_and_by_managers(api, agents_client, member, client_of):
    admins, agents = save(api, "admins", is_shared=True), save(agents_client, "agents", is_shared=True)
    manager = client_of(make_member(Role.MANAGER, member.workspace))

    refused = agents_client.patch(f"{VIEWS}/{admins['id']}", {"name": "x"})
    assert (refused.status_code, refused.json()["error"]) == (403, "permission_denied")
    assert agents_client.delete(f"{VIEWS}/{admins['id']}").status_code == 403
    assert agents_client.patch(f"{VIEWS}/{agents['id']}", {"name": "y"}).status_code == 200
    assert manager.patch(f"{VIEWS}/{agents['id']}", {"name": "z"}).json()["user_id"] == agents["user_id"]
    assert manager.delete(f"{VIEWS}/{admins['id']}").status_code == 204


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_is_one_query_besides_the_member(api, django_assert_num_queries, rows):
    for number in range(rows):
        save(api, f"v{number}")

    with django_assert_num_queries(2):
        answer = api.get(VIEWS)

    assert len(answer.json()["results"]) == rows


def test_a_repeated_request_saves_once(api):
    first, second = (api.post(VIEWS, {"name": "v"}, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")


# The list by a view


@pytest.fixture
def leads(member):
    make_lead(member.workspace, company="a", status="NEW", state="OH", score=1)
    make_lead(member.workspace, company="b", status="WON", state="OH", score=3, assigned_user=member.user)
    make_lead(member.workspace, company="c", status="WON", state="PA", score=2)


def test_a_view_gives_the_list_its_filters_and_its_order(api, leads):
    view = save(api, filters={"status": ["WON", "LOST"]}, ordering="score")

    assert companies(api.get(f"/api/v1/leads?view={view['id']}")) == ["c", "b"]


def test_what_the_query_says_itself_goes_before_the_view(api, leads):
    view = save(api, filters={"status": "WON"}, ordering="score")

    assert companies(api.get(f"/api/v1/leads?view={view['id']}&status=NEW")) == ["a"]
    assert companies(api.get(f"/api/v1/leads?view={view['id']}&ordering=-score")) == ["b", "c"]
    assert companies(api.get(f"/api/v1/leads?view={view['id']}&state=PA")) == ["c"]


def test_the_pages_of_a_view_follow_one_another(api, leads):
    view = save(api, filters={"status": "WON"}, ordering="score")

    first = api.get(f"/api/v1/leads?view={view['id']}&limit=1")
    second = api.get(first.json()["next"])

    assert companies(first) + companies(second) == ["c", "b"]
    assert second.json()["next"] is None


def test_me_is_whoever_looks(api, agents_client, leads):
    view = save(agents_client, filters={"assigned_to": "me"}, is_shared=True)

    assert companies(api.get(f"/api/v1/leads?view={view['id']}")) == ["b"]
    assert companies(agents_client.get(f"/api/v1/leads?view={view['id']}")) == []


@pytest.mark.parametrize("view", ["x", "-1", "1.5", "9" * 30, "%F0%9F%92%A9"])
def test_what_is_no_id_of_a_view_is_named(api, view):
    answer = api.get(f"/api/v1/leads?view={view}")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["view"])


def test_a_view_that_there_is_not_is_not_found(api):
    assert api.get("/api/v1/leads?view=999999").status_code == 404


def test_a_view_outlives_the_definition_of_its_custom_field(api, member):
    size = api.post("/api/v1/fields", {"key": "size", "kind": "number"}).json()
    make_lead(member.workspace, company="a", extra={"size": 5})
    equal, bounded = save(api, "e", filters={"extra.size": 5}), save(api, "b", filters={"extra.size.min": 1})

    api.delete(f"/api/v1/fields/{size['id']}")

    assert companies(api.get(f"/api/v1/leads?view={equal['id']}")) == ["a"]
    refused = api.get(f"/api/v1/leads?view={bounded['id']}")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["extra.size.min"])
