"""A workspace's own leads: adding, reading, listing, filtering."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.models import Lead, LeadStatus
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db

EVERY_FIELD = {
    "external_id": "L1",
    "name": "Anna Keller",
    "email": "Anna@Practice.example",
    "phone": "(330) 779-3389",
    "company": "Keller Family Practice",
    "website": "https://keller.example",
    "channel": "fair",
    "owner_phone": "+1 330 779 0000",
    "address": "1 Main St",
    "city": "Akron",
    "state": "OH",
    "zip_code": "44515-1851",
    "country": "US",
    "ein": "12-3456789",
    "npi": "1750675054",
    "entity_type": "Organization",
    "providers": ["Dr. A, MD", "Dr. B"],
    "specialties": ["Family medicine"],
    "is_sole_proprietor": True,
    "status": "CONTACTED",
    "score": 80,
    "needs_action": False,
    "next_action_at": "2026-12-01T09:00:00Z",
    "next_action_description": "Call",
    "last_contact": "2026-11-01T00:00:00Z",
    "disg_type": "D",
    "notes": "Likes tea",
    "tags": ["hot"],
    "extra": {"fax": "1", "nested": {"a": [1, None]}},
    "source": "fair",
}


def ids(answer):
    return [lead["id"] for lead in answer.json()["results"]]


def test_a_lead_comes_back_as_it_was_written(api, member):
    added = api.post("/api/v1/leads", EVERY_FIELD | {"assigned_user_id": member.user.pk})

    read = api.get(f"/api/v1/leads/{added.json()['id']}").json()
    assert added.status_code == 201
    assert added.json() == read
    assert {name: read[name] for name in EVERY_FIELD} == EVERY_FIELD
    assert set(read) == {*Lead.COLUMNS, "practice_name", "owner_name", "practice_phone"}
    assert (read["assigned_user_id"], read["version"], read["email_status"]) == (member.user.pk, 1, "unknown")


def test_aliases_are_read_and_written(api):
    added = api.post("/api/v1/leads", {"practice_name": "Keller", "owner_name": "Anna", "practice_phone": "330 1234"})

    lead = added.json()
    assert (lead["company"], lead["name"], lead["phone"]) == ("Keller", "Anna", "330 1234")
    assert (lead["practice_name"], lead["owner_name"], lead["practice_phone"]) == ("Keller", "Anna", "330 1234")


def test_an_alias_that_contradicts_its_field_is_refused(api):
    answer = api.post("/api/v1/leads", {"practice_name": "Keller", "company": "Brooks"})

    assert answer.json()["fields"] == {"practice_name": ["It differs from company."]}


def test_fields_that_we_keep_ourselves_may_be_sent_along_and_change_nothing(api):
    answer = api.post("/api/v1/leads", {"name": "Anna", "id": 7, "version": 9, "created_at": "2020-01-01"})

    assert answer.status_code == 201
    assert answer.json()["version"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", ["a@b.example"]),
        ("name", {"first": "Anna"}),
        ("name", True),
        ("name", "x" * 501),
        ("name", "a\x00b"),
        ("npi", "123"),
        ("ein", "1-2"),
        ("status", "DONE"),
        ("status", 1),
        ("score", 101),
        ("score", -1),
        ("score", 1.5),
        ("score", True),
        ("score", "many"),
        ("next_action_at", "tomorrow"),
        ("next_action_at", "03/04/2026"),
        ("next_action_at", 5),
        ("last_contact", "9999-99-99"),
        ("disg_type", "X"),
        ("needs_action", "perhaps"),
        ("needs_action", 7),
        ("tags", {"a": 1}),
        ("tags", [["a"]]),
        ("tags", [None]),
        ("tags", ["x"] * 0 + [str(number) for number in range(101)]),
        ("extra", []),
        ("extra", {"a": "b\x00"}),
        ("extra", {"a": "x" * 70_000}),
        ("assigned_user_id", 999_999),
        ("assigned_user_id", "nobody"),
        ("assigned_user_id", 10**30),
        ("phone", "unknown"),
        ("nonsense", 1),
    ],
)
def test_a_field_that_can_not_be_is_named_and_nothing_is_written(api, field, value):
    answer = api.post("/api/v1/leads", {"name": "Anna", field: value})

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert [name.split(".")[0] for name in answer.json()["fields"]] == [field]
    assert Lead.objects.count() == 0


@pytest.mark.parametrize("body", [{}, {"notes": "who?"}, {"name": ""}, {"name": None}, [], "lead", 1, None])
def test_a_lead_that_is_nobody_is_refused(api, body):
    answer = api.post("/api/v1/leads", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


def test_an_external_id_names_one_lead_of_a_workspace(api, stranger):
    make_lead(stranger.workspace, external_id="L1")
    api.post("/api/v1/leads", {"external_id": "L1"})

    answer = api.post("/api/v1/leads", {"external_id": "L1"})

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert Lead.objects.count() == 2


def test_a_lead_can_only_be_given_to_a_member(api, stranger):
    answer = api.post("/api/v1/leads", {"name": "Anna", "assigned_user_id": stranger.user.pk})

    assert list(answer.json()["fields"]) == ["assigned_user_id"]


def test_adding_a_lead_is_told_in_the_event_log(api, member):
    added = api.post("/api/v1/leads", {"name": "Anna"})

    event = Event.objects.get(workspace=member.workspace)
    assert (event.type, event.data["id"]) == ("lead.created", added.json()["id"])


@pytest.mark.parametrize(
    ("fields", "needs_action"),
    [
        ({}, True),
        ({"status": "NEW"}, True),
        ({"status": "NEW", "last_contact": "2999-01-01"}, False),
        ({"last_contact": "2999-01-01"}, True),
        ({"status": "CONTACTED", "last_contact": "2020-01-01"}, True),
        ({"status": "WON", "last_contact": "2020-01-01"}, False),
        ({"status": "WON"}, True),
        ({"needs_action": False}, False),
    ],
)
def test_without_ai_a_rule_says_whether_a_lead_needs_action(api, fields, needs_action):
    added = api.post("/api/v1/leads", {"name": "Anna", **fields})

    assert added.json()["needs_action"] is needs_action


def test_older_pages_add_and_list_leads_in_their_own_shape(api):
    added = api.post("/api/leads/add", {"practice_name": "Keller"})

    listed = api.get("/api/leads/list?limit=1").json()
    assert (added.status_code, added.json()["success"]) == (201, True)
    assert listed == {"success": True, "leads": [added.json()["lead"]], "total": 1, "next": None}


def test_the_newest_leads_are_shown_to_members_and_nothing_to_the_rest_of_the_world(api, anonymous, member):
    leads = [make_lead(member.workspace) for _ in range(21)]

    assert anonymous.get("/api/leads/recent").json() == {"success": True, "leads": []}
    assert [lead["id"] for lead in api.get("/api/leads/recent").json()["leads"]] == [
        lead.pk for lead in reversed(leads[1:])
    ]


def test_a_broken_token_is_refused_even_where_none_is_needed(anonymous):
    answer = anonymous.get("/api/leads/recent", headers={"Authorization": "Bearer broken"})

    assert (answer.status_code, answer.json()["error"]) == (401, "token_invalid")


def test_leads_come_newest_first_in_pages_and_every_lead_once(api, member, stranger):
    leads = [make_lead(member.workspace) for _ in range(5)]
    make_lead(stranger.workspace)

    first = api.get("/api/v1/leads?limit=2&count=true").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    back = api.get(third["previous"]).json()

    pages = [[lead["id"] for lead in page["results"]] for page in (first, second, third)]
    newest_first = [lead.pk for lead in reversed(leads)]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert (first["count"], first["previous"], third["next"]) == (5, None, None)
    assert back["results"] == second["results"]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_page_is_one_query_besides_the_members(api, member, django_assert_num_queries, rows):
    for _ in range(rows):
        make_lead(member.workspace)

    with django_assert_num_queries(2):
        answer = api.get("/api/v1/leads")

    assert len(answer.json()["results"]) == rows


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=WON", ["won"]),
        ("state=oh", ["akron"]),
        ("city=AKRON", ["akron"]),
        ("zip_code=44515", ["akron"]),
        ("tag=hot", ["akron"]),
        ("source=fair", ["won"]),
        ("needs_action=false", ["won"]),
        ("email_status=deliverable", ["won"]),
        ("assigned_to=none", ["akron", "won", "words"]),
        ("assigned_to=me", ["mine"]),
        ("search=kell", ["words"]),
        ("search=KELLER%20dental", ["words"]),
        ("search=anna@praxis.example", ["words"]),
        ("search=tea", ["words"]),
        ("search=keller%20nobody", []),
        ("search=%27%20%26%20%7C%20%21%20%3A%2A%20%5C", []),
        ("created_before=2001-01-01T00:00:00Z", []),
        ("created_after=2001-01-01", ["akron", "mine", "won", "words"]),
        ("import_batch=1", []),
        ("ordering=company", ["akron", "mine", "won", "words"]),
    ],
)
def test_filters_narrow_the_list(api, member, query, found):
    make_lead(member.workspace, company="akron", city="Akron", state="OH", zip_code="44515-1851", tags=["hot"])
    make_lead(member.workspace, company="mine", assigned_user=member.user)
    make_lead(
        member.workspace, company="won", status=LeadStatus.WON, source="fair", needs_action=False,
        email_status="deliverable",
    )  # fmt: skip
    make_lead(member.workspace, company="words", name="Keller Dental", email="anna@praxis.example", notes="likes tea")

    answer = api.get(f"/api/v1/leads?{query}")

    assert sorted(lead["company"] for lead in answer.json()["results"]) == found


@pytest.mark.parametrize(
    "query",
    [
        "status=DONE", "assigned_to=somebody", "assigned_to=99999999999999999999999", "needs_action=perhaps",
        "created_after=yesterday", "import_batch=x", "import_batch=0", "import_batch=99999999999999999999",
        "email_status=great", "ordering=password", "ordering=email", "limit=0", "limit=501", "limit=ten", "limit=-1",
        "limit=99999999999999999999", "cursor=x", "cursor=W10", "cursor=%F0%9F%92%A9", "nonsense=1",
    ],
)  # fmt: skip
def test_a_query_that_can_not_be_is_a_validation_error(api, query):
    answer = api.get(f"/api/v1/leads?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [query.split("=")[0]]


def test_a_nul_in_the_query_or_the_path_is_malformed(api):
    assert api.get("/api/v1/leads?search=%00").json()["error"] == "malformed_request"
    assert api.get("/api/v1/leads/%00").json()["error"] == "malformed_request"


@pytest.mark.parametrize("lead_id", ["0", "999999999", "9" * 40, "-1", "abc"])
def test_a_lead_that_there_is_not_is_not_found(api, lead_id):
    answer = api.get(f"/api/v1/leads/{lead_id}")

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_agents_read_every_lead_of_the_workspace(client_of, member):
    lead = make_lead(member.workspace)
    agent = client_of(make_member(Role.AGENT, member.workspace))

    assert agent.get(f"/api/v1/leads/{lead.pk}").status_code == 200
