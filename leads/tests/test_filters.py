"""The filters of lead lists: several values, custom fields, time; over the workspace's own leads and the catalogue."""

from datetime import UTC, datetime

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from leads.models import CustomField, Lead
from leads.tests.factories import make_catalogue_lead, make_lead

pytestmark = pytest.mark.django_db


def companies(answer):
    assert answer.status_code == 200, answer.content
    return [lead["company"] for lead in answer.json()["results"]]


def define(workspace, key, kind, **more):
    return CustomField.objects.create(workspace=workspace, key=key, label=key, kind=kind, **more)


@pytest.fixture
def colleague(member):
    return make_member(Role.AGENT, member.workspace)


@pytest.fixture
def leads(member, colleague):
    make_lead(
        member.workspace, company="a", status="NEW", state="OH", source="fair", tags=["hot", "a, b"], city="Akron",
        assigned_user=member.user,
    )  # fmt: skip
    make_lead(
        member.workspace, company="b", status="WON", state="pa", source="Fair, Berlin", tags=["cold"], city="Erie",
        assigned_user=colleague.user,
    )  # fmt: skip
    make_lead(member.workspace, company="c", status="LOST", state="NY", source='the "best"', tags=[], zip_code="44515")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=NEW,WON", "ab"),
        ("status=NEW, WON", "ab"),
        ("status=NEW&status=WON", "ab"),
        ("status=NEW,NEW", "a"),
        ("status=NEW,", "a"),
        ("status=", "abc"),
        ("status=,", "abc"),
        ("state=oh,PA", "ab"),
        ("state=oh&city=akron", "a"),
        ("state=oh&city=erie", ""),
        ("source=fair", "a"),
        ("source=fair,nothing", "a"),
        ('source="Fair, Berlin"', "b"),
        ('source="Fair, Berlin",fair', "ab"),
        ('source=the "best"', "c"),
        ("tag=hot,cold", "ab"),
        ('tag=cold,"a, b"', "ab"),
        ("tag=nothing,none", ""),
        ("assigned_to=me", "a"),
        ("assigned_to=me,none", "ac"),
        ("assigned_to=none", "c"),
        ("assigned_to=0", ""),
        ("zip_code=445", "c"),
        ("zip_code=4451%", ""),
        ("zip_code=_4515", ""),
        ("city=%25", ""),
        ("needs_action=TRUE", "abc"),
        ("status=NEW,WON&tag=hot", "a"),
    ],
)
def test_several_values_of_a_filter_are_joined_by_or_and_several_filters_by_and(api, leads, query, found):
    answer = api.get(f"/api/v1/leads?{query}&ordering=company")

    assert companies(answer) == list(found)


def test_somebody_elses_leads_are_asked_for_by_their_ids(api, member, colleague, leads):
    answer = api.get(f"/api/v1/leads?assigned_to={colleague.user_id},me&ordering=company")

    assert companies(answer) == ["a", "b"]


@pytest.mark.parametrize(
    "query",
    [
        "status=NEW,DONE", "status=new", "assigned_to=me,somebody", "assigned_to=-1", "needs_action=true&needs_action=false",
        "city=a&city=b", "created_after=a", "created_after=03/04/2026", "created_before=2026-13-01", "import_batch=-1",
        "import_batch=1&import_batch=2", "extra.size.min=1", "extra.size.max=x", "nonsense=1", "extra=1", "Status=NEW", "view=x",
        f"source={'x' * 501}", "source=" + ",".join(map(str, range(101))), "email_status=risky,unknown", "needs_action=1",
    ],
)  # fmt: skip
def test_a_value_that_can_not_be_is_named(api, query):
    answer = api.get(f"/api/v1/leads?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == [query.split("=")[0]]


def test_every_wrong_value_is_named_at_once(api):
    answer = api.get("/api/v1/leads?status=x&needs_action=x&nonsense=1")

    assert list(answer.json()["fields"]) == ["status", "needs_action", "nonsense"]


@pytest.mark.parametrize(
    ("value", "status"),
    [("%22,", 200), (",%22", 200), ('%22%22,"a""b"', 200), (",,,", 200), ("%22a%0D%0Ab,c", 200), ("a%0Db,c", 400), ("a%0Ab,c", 400)],
)  # fmt: skip
def test_a_list_with_odd_quotes_is_read_and_one_with_lines_is_refused(api, value, status):
    assert api.get(f"/api/v1/leads?tag={value}").status_code == status


# Time


def test_leads_of_a_time_come_latest_first_in_pages_both_ways(api, member):
    for day in (3, 1, 2, 4):
        lead = make_lead(member.workspace, company=str(day))
        Lead.objects.filter(pk=lead.pk).update(created_at=datetime(2026, 1, day, tzinfo=UTC))

    first = api.get("/api/v1/leads?created_before=2026-01-04&limit=2").json()
    second = api.get(first["next"]).json()
    back = api.get(second["previous"]).json()

    pages = [[lead["company"] for lead in page["results"]] for page in (first, second, back)]
    assert pages == [["3", "2"], ["1"], ["3", "2"]]


@pytest.mark.parametrize("after", ["2026-01-02", "2026-01-02T00:00:00Z", "02.01.2026", "2026-01-02T01:00:00+01:00"])
def test_a_time_may_be_written_in_many_ways(api, member, after):
    for day in (1, 2, 3):
        lead = make_lead(member.workspace, company=str(day))
        Lead.objects.filter(pk=lead.pk).update(created_at=datetime(2026, 1, day, tzinfo=UTC))

    answer = api.get("/api/v1/leads", {"created_after": after})

    assert companies(answer) == ["3"]


# Custom fields


@pytest.fixture
def custom(member):
    define(member.workspace, "size", "number")
    define(member.workspace, "since", "date")
    define(member.workspace, "level", "choice", choices=["Gold", "Silver"])
    define(member.workspace, "open", "boolean")
    define(member.workspace, "motto", "text")
    for company, extra in {
        "a": {"size": 5, "since": "2024-01-02", "level": "Gold", "open": True, "motto": "12"},
        "b": {"size": 12.5, "since": "2025-06-30", "level": "Silver", "open": False, "motto": "Hier, da"},
        "c": {"size": "many", "free": 12, "Branche": "Arzt", "nested": {"a": 1}, "yes": True},
        "d": {"free": "12", "list": ["x"]},
    }.items():
        make_lead(member.workspace, company=company, extra=extra)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("extra.size=5", "a"),
        ("extra.size=5.0", "a"),
        ("extra.size=12,5", "b"),
        ("extra.size=5&extra.size=12.5", "ab"),
        ("extra.size.min=5", "ab"),
        ("extra.size.min=5.1", "b"),
        ("extra.size.max=5", "a"),
        ("extra.size.min=-3&extra.size.max=6", "a"),
        ("extra.since=02.01.2024", "a"),
        ("extra.since.min=2024-01-03", "b"),
        ("extra.since.min=2024-01-01&extra.since.max=2025-06-30", "ab"),
        ("extra.level=gold", "a"),
        ("extra.open=yes", "a"),
        ("extra.open=false", "b"),
        ("extra.motto=12", "a"),
        ("extra.motto=Hier, da", "b"),
        ("extra.motto=hier", ""),
        ("extra.free=12", "cd"),
        ("extra.yes=true", "c"),
        ("extra.Branche=Arzt", "c"),
        ("extra.nested=1", ""),
        ("extra.list=x", ""),
        ("extra.unknown=x", ""),
        ("extra.=x", ""),
        ("extra.a.b=x", ""),
        ("extra.free=1e400", ""),
        ("extra.free=99999999999999999999999999", ""),
        ("extra.free=[1]", ""),
        ("extra.size=12,5&status=NEW", "b"),
    ],
)
def test_custom_fields_are_filters_as_their_kind_has_it(api, custom, query, found):
    answer = api.get(f"/api/v1/leads?{query}&ordering=company")

    assert companies(answer) == list(found)


@pytest.mark.parametrize(
    "query",
    [
        "extra.size=many", "extra.since=soon", "extra.level=Bronze", "extra.open=perhaps", "extra.size.min=few",
        "extra.motto.min=1", "extra.level.max=Gold", "extra.free.min=1", "extra.size.min=1&extra.size.min=2",
        "extra.size=99999999999999999999999",
    ],
)  # fmt: skip
def test_a_custom_field_is_not_asked_for_what_it_can_not_hold(api, custom, query):
    answer = api.get(f"/api/v1/leads?{query}")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, [query.split("=")[0]])


def test_custom_fields_of_another_workspace_define_nothing_here(api, member, stranger):
    define(stranger.workspace, "size", "number")
    make_lead(member.workspace, company="a", extra={"size": "many"})

    assert companies(api.get("/api/v1/leads?extra.size=many")) == ["a"]


# The catalogue


def test_the_catalogue_has_the_same_filters_as_far_as_they_give_nothing_away(api):
    make_catalogue_lead(company="a", state="OH", tags=["hot"], extra={"fax": "1"})
    make_catalogue_lead(company="b", state="PA")

    assert companies(api.get("/api/v1/catalogue?state=oh,ny")) == ["a"]
    assert companies(api.get("/api/v1/catalogue?tag=hot")) == ["a"]
    hidden = api.get("/api/v1/catalogue?extra.fax=1")
    assert (hidden.status_code, list(hidden.json()["fields"])) == (400, ["extra.fax"])
    assert list(api.get("/api/v1/catalogue?view=1").json()["fields"]) == ["view"]


# Costs


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("query", "cost"),
    [("state=OH,PA&status=NEW,WON&tag=hot,cold&search=practice", 2), ("extra.size.min=1&extra.size=5", 3)],
)
def test_a_filtered_page_is_one_query_besides_the_member_and_the_definitions(
    api, member, django_assert_num_queries, rows, query, cost
):
    define(member.workspace, "size", "number")
    for _ in range(rows):
        make_lead(member.workspace, state="OH", tags=["hot"], extra={"size": 5})

    with django_assert_num_queries(cost):
        answer = api.get(f"/api/v1/leads?{query}")

    assert len(answer.json()["results"]) == rows
