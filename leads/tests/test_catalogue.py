"""The catalogue: offered to everyone, masked until exported."""

import pytest

from leads.tests.factories import make_catalogue_lead, make_lead

pytestmark = pytest.mark.django_db

SECRETS = {
    "email": "anna@praxis.example",
    "phone": "(330) 779-3389",
    "owner_phone": "+49 30 123456",
    "address": "1 Main St",
    "notes": "Anna's mobile is 555",
    "extra": {"fax": "12345"},
}


def test_contact_data_is_masked_until_the_lead_is_exported(api):
    make_catalogue_lead(external_id="id1", company="Praxis", city="Akron", **SECRETS)

    (before,) = api.get("/api/v1/catalogue").json()["results"]
    api.post("/zevix/export-lead", {"lead_id": "id1"})
    (after,) = api.get("/api/v1/catalogue").json()["results"]

    assert {name: before[name] for name in SECRETS} == {
        "email": "a•••@p•••.example",
        "phone": "(330) •••-••••",
        "owner_phone": "+49 3• ••••••",
        "address": "••••••••",
        "notes": "",
        "extra": {},
    }
    assert before["practice_phone"] == before["phone"]
    assert (before["company"], before["city"], before["exported"]) == ("Praxis", "Akron", False)
    assert {name: after[name] for name in SECRETS} == SECRETS
    assert after["exported"] is True


def test_an_export_unmasks_for_its_own_workspace_only(api, stranger, client_of):
    make_catalogue_lead(external_id="id1", **SECRETS)

    client_of(stranger).post("/zevix/export-lead", {"lead_id": "id1"})

    (lead,) = api.get("/api/v1/catalogue").json()["results"]
    assert (lead["exported"], lead["email"]) == (False, "a•••@p•••.example")


@pytest.mark.parametrize("guess", ["anna", "anna@praxis.example", "330", "779", "mobile"])
def test_searching_gives_nothing_masked_away(api, guess):
    make_catalogue_lead(company="Praxis", **SECRETS)

    assert api.get("/api/v1/catalogue", {"search": guess}).json()["results"] == []


def test_what_is_shown_can_be_searched_and_filtered(api):
    make_catalogue_lead(company="Praxis Keller", state="OH")
    make_catalogue_lead(company="Brooks", state="PA")

    assert [lead["company"] for lead in api.get("/api/v1/catalogue?search=kell").json()["results"]] == ["Praxis Keller"]
    assert [lead["company"] for lead in api.get("/api/v1/catalogue?state=PA").json()["results"]] == ["Brooks"]


def test_a_lead_of_the_catalogue_is_no_lead_of_the_workspace(api, member):
    lead = make_catalogue_lead()
    own = make_lead(member.workspace)

    assert api.get(f"/api/v1/leads/{lead.pk}").status_code == 404
    assert [found["id"] for found in api.get("/api/v1/leads").json()["results"]] == [own.pk]
    assert [found["id"] for found in api.get("/api/v1/catalogue").json()["results"]] == [lead.pk]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_page_is_two_queries_besides_the_members(api, django_assert_num_queries, rows):
    for _ in range(rows):
        make_catalogue_lead()

    with django_assert_num_queries(3):
        answer = api.get("/api/v1/catalogue")

    assert len(answer.json()["results"]) == rows


def test_strangers_see_nothing(anonymous):
    answer = anonymous.get("/api/v1/catalogue")

    assert (answer.status_code, answer.json()["error"]) == (401, "authentication_required")
    assert answer["WWW-Authenticate"] == "Bearer"
