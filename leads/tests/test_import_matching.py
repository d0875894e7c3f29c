"""Which rows are one lead, and which lead that is: the rules of `leads.imports.matching`, one by one."""

import pytest

from leads.imports import importing, matching
from leads.imports.importing import Options
from leads.imports.reading import ObjectSource
from leads.models import Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

P, Q = "1000000001", "1000000002"


@pytest.fixture(autouse=True, params=["key by key", "in one pass"])
def way(request, monkeypatch):
    """Short files and long ones are looked up in different ways, which must come to the same."""
    monkeypatch.setattr(matching, "_FEW", 0 if request.param == "in one pass" else 1_000_000)


@pytest.fixture
def workspace(member):
    return member.workspace


@pytest.fixture
def run(workspace):
    """Import rows; returns (created, updated, skipped, lines refused)."""

    def act(*rows, **options):
        batch = importing.run(ObjectSource(rows), Options(**options), workspace=workspace)
        refused = [problem.row for problem in batch.rejected]
        return batch.created_count, batch.updated_count, batch.skipped_count, refused

    return act


def stored(*fields):
    return list(Lead.objects.order_by("id").values_list(*fields))


def lead(workspace, **fields):
    return make_lead(workspace, **{"company": "", "email": "", **fields})


# Leads of the workspace -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "row"),
    [
        ({"external_id": "A"}, {"external_id": "A"}),
        ({"email": "Ann@X.example"}, {"email": "aNN@x.EXAMPLE"}),
        ({"npi": P, "address": "606 Black River RD"}, {"npi": P, "address": "606 BLACK  RIVER Rd."}),
        ({"npi": P, "address": ""}, {"npi": P}),
        ({"email": "a@x.example"}, {"external_id": "A", "email": "a@x.example"}),
        (
            {"npi": P, "address": "1 Main St"},
            {"external_id": "A", "email": "a@x.example", "npi": P, "address": "1 Main St"},
        ),
    ],
)
def test_a_row_is_the_lead_that_its_key_names(workspace, run, there, row):
    lead(workspace, **there)

    counts = run({**row, "notes": "seen"})

    assert counts == (0, 1, 0, [])
    assert stored("notes") == [("seen",)]


@pytest.mark.parametrize(
    ("there", "row"),
    [
        ({"external_id": "A"}, {"external_id": "a"}),
        ({"npi": P, "address": "1 Main St"}, {"npi": P, "address": "2 Oak Ave"}),
        ({"npi": P, "address": "1 Main St"}, {"npi": P}),
        ({"npi": P, "address": "1 Main St"}, {"npi": Q, "address": "1 Main St"}),
        ({"name": "Ann"}, {"name": "Ann"}),
    ],
)
def test_a_row_that_no_key_ties_to_a_lead_is_new(workspace, run, there, row):
    lead(workspace, **there)

    assert run(row) == (1, 0, 0, [])


@pytest.mark.parametrize(
    ("there", "row"),
    [
        ({"external_id": "A", "email": "a@x.example"}, {"external_id": "B", "email": "a@x.example"}),
        ({"email": "a@x.example", "npi": P}, {"email": "b@x.example", "npi": P}),
        ({"external_id": "A", "npi": P}, {"external_id": "B", "npi": P}),
    ],
)
def test_a_lead_with_another_stronger_key_is_somebody_else(workspace, run, there, row):
    lead(workspace, **there)

    assert run(row) == (1, 0, 0, [])


@pytest.mark.parametrize(
    "row",
    [
        {"external_id": "A", "email": "b@x.example"},
        {"external_id": "A", "npi": P, "address": "2 Oak Ave"},
        {"email": "a@x.example", "npi": P, "address": "2 Oak Ave"},
    ],
)
def test_a_row_whose_keys_name_two_leads_is_an_error_and_touches_neither(workspace, run, row):
    lead(workspace, external_id="A", email="a@x.example")
    lead(workspace, external_id="B", email="b@x.example", npi=P, address="2 Oak Ave")
    before = stored("id", "version", "external_id", "email")

    counts = run({"name": "First"}, row)

    assert counts == (1, 0, 0, [2])
    assert stored("id", "version", "external_id", "email")[:2] == before


def test_a_key_that_two_leads_have_is_an_error_by_itself(workspace, run):
    lead(workspace, external_id="A", email="shared@x.example")
    lead(workspace, external_id="B", email="shared@x.example")

    assert run({"email": "shared@x.example"}) == (0, 0, 0, [1])


def test_a_key_that_two_leads_have_is_decided_by_another(workspace, run):
    lead(workspace, external_id="A", email="shared@x.example")
    lead(workspace, external_id="B", email="shared@x.example")

    counts = run({"external_id": "B", "email": "shared@x.example", "notes": "seen"})

    assert counts == (0, 1, 0, [])
    assert stored("external_id", "notes") == [("A", ""), ("B", "seen")]


def test_a_lead_that_is_somebody_else_is_none_however_many_keys_it_shares(workspace, run):
    shared = {"email": "shared@x.example", "npi": P, "address": "1 Main St"}
    lead(workspace, external_id="A", **shared)
    lead(workspace, **shared)

    counts = run({"external_id": "B", **shared})

    assert counts == (0, 1, 0, [])
    assert stored("external_id") == [("A",), ("B",)]


def test_one_provider_at_many_addresses_is_many_leads(workspace, run):
    counts = run(
        {"npi": P, "address": "1 Main St", "name": "main"},
        {"npi": P, "address": "2 Oak Ave", "name": "oak"},
        {"npi": P, "name": "nowhere"},
    )

    assert counts == (3, 0, 0, [])
    assert run({"npi": P, "address": "2 OAK AVE.", "name": "Oak"}) == (0, 1, 0, [])
    assert stored("name") == [("main",), ("Oak",), ("nowhere",)]


# Rows of one file -----------------------------------------------------------------------------------------------------------


def test_rows_of_one_lead_collapse_and_of_each_column_the_last_cell_that_is_not_blank_wins(run):
    counts = run(
        {"external_id": "A", "name": "Ann", "city": "York", "tags": ["a"], "score": 1, "Room": "1", "Floor": "1"},
        {"external_id": "B", "name": "Bob"},
        {"external_id": "A", "name": "Anna", "city": "", "tags": [], "score": 0, "Room": "2"},
        {"external_id": "A", "name": "", "tags": ["b", "c"], "needs_action": False},
    )

    assert counts == (2, 0, 2, [])
    assert stored("name", "city", "tags", "score", "extra", "needs_action") == [
        ("Anna", "York", ["b", "c"], 0, {"Room": "2", "Floor": "1"}, False),
        ("Bob", "", [], None, {}, True),
    ]


def test_rows_that_share_the_strongest_key_of_one_of_them_are_one_lead(run):
    counts = run(
        {"npi": P, "address": "1 Main St", "city": "York"},
        {"email": "A@x.example", "npi": P, "address": "1 main st", "state": "PA"},
        {"external_id": "A", "email": "a@x.example", "name": "Ann"},
    )

    assert counts == (1, 0, 2, [])
    assert stored("external_id", "name", "state", "city") == [("A", "Ann", "PA", "York")]


def test_rows_with_stronger_keys_of_their_own_are_leads_of_their_own(run):
    counts = run(
        {"external_id": "A", "email": "shared@x.example"},
        {"external_id": "B", "email": "shared@x.example"},
        {"email": "c@x.example", "npi": P, "address": "1 Main St"},
        {"email": "d@x.example", "npi": P, "address": "1 Main St"},
    )

    assert counts == (4, 0, 0, [])


def test_a_row_whose_key_two_leads_of_the_file_share_is_an_error(run):
    counts = run(
        {"external_id": "A", "email": "shared@x.example"},
        {"external_id": "B", "email": "shared@x.example"},
        {"email": "shared@x.example", "npi": P},
        {"npi": P},
    )

    assert counts == (3, 0, 0, [3])


def test_rows_with_different_keys_that_name_one_lead_are_one(workspace, run):
    lead(workspace, external_id="A", email="a@x.example", npi=P)

    counts = run({"external_id": "A", "name": "1"}, {"email": "a@x.example", "name": "2"}, {"npi": P, "name": "3"})

    assert counts == (0, 1, 2, [])
    assert stored("name", "version") == [("3", 2)]


def test_of_several_that_share_a_lead_by_a_weaker_key_the_first_is_it(workspace, run):
    lead(workspace, email="shared@x.example")

    counts = run(
        {"external_id": "A", "email": "shared@x.example"},
        {"external_id": "B", "email": "shared@x.example"},
    )

    assert counts == (1, 1, 0, [])
    assert stored("external_id", "email") == [("A", "shared@x.example"), ("B", "shared@x.example")]


def test_a_lead_is_theirs_who_name_it_by_their_strongest_key(workspace, run):
    lead(workspace, external_id="A", npi=P)

    counts = run({"email": "a@x.example", "npi": P}, {"external_id": "A", "name": "Ann"})

    assert counts == (1, 1, 0, [])
    assert stored("external_id", "email", "name") == [("A", "", "Ann"), ("", "a@x.example", "")]


def test_rows_of_one_lead_are_looked_up_as_what_they_collapse_into(workspace, run):
    lead(workspace, external_id="A", email="old@x.example", npi=P, address="2 Oak Ave")

    counts = run(
        {"email": "a@x.example", "npi": P, "address": "1 Main St"},
        {"email": "a@x.example", "address": "2 Oak Ave"},
        {"email": "b@x.example"},
        {"external_id": "A", "email": "c@x.example"},
    )

    assert counts == (2, 1, 1, [])
    assert stored("external_id", "email", "address") == [
        ("A", "c@x.example", "2 Oak Ave"),
        ("", "a@x.example", "2 Oak Ave"),
        ("", "b@x.example", ""),
    ]


def test_all_rows_of_a_lead_that_is_two_leads_are_errors(workspace, run):
    lead(workspace, external_id="A")
    lead(workspace, external_id="B", email="b@x.example")

    counts = run({"external_id": "A", "email": "b@x.example"}, {"external_id": "A", "name": "Ann"})

    assert counts == (0, 0, 0, [1, 2])


# Fewer keys -------------------------------------------------------------------------------------------------------------------


def test_an_external_id_that_is_no_key_may_not_be_another_leads(workspace, run):
    lead(workspace, external_id="A", email="a@x.example")
    lead(workspace, external_id="B", email="b@x.example")

    counts = run(
        {"external_id": "B", "email": "a@x.example"},
        {"external_id": "C", "email": "c@x.example"},
        {"external_id": "C", "email": "d@x.example"},
        {"external_id": "D", "email": "b@x.example"},
        match_on=["email"],
    )

    assert counts == (1, 1, 0, [1, 3])
    assert stored("external_id", "email") == [("A", "a@x.example"), ("D", "b@x.example"), ("C", "c@x.example")]


def test_without_any_key_every_row_is_new(workspace, run):
    lead(workspace, name="Ann")

    assert run({"name": "Ann"}, {"name": "Ann"}) == (2, 0, 0, [])


def test_an_error_of_the_database_names_the_row_with_its_cells(workspace, run):
    lead(workspace, email="a@x.example")
    lead(workspace, email="a@x.example")

    run({"name": "First"}, {"name": "Ann", "email": "a@x.example", "tags": ["a"]})

    rejected = workspace.imports.get().row_errors.get()
    assert (rejected.row, rejected.field, rejected.message) == (2, "", "Its keys name more than one lead.")
    assert rejected.cells == ["Ann", "a@x.example", "a"]


def test_several_imports_fit_into_one_transaction(workspace, run):
    assert [run({"external_id": "A", "name": name}) for name in ("Ann", "Anna")] == [(1, 0, 0, []), (0, 1, 0, [])]
