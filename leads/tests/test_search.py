"""The search: words and phone numbers, in a workspace and in the masked catalogue."""

import pytest

from leads.models import Lead
from leads.tests.factories import make_catalogue_lead, make_lead
from leads.values import normalized_phone

pytestmark = pytest.mark.django_db


def with_phone(workspace, phone, country="", **fields):
    return make_lead(
        workspace, phone=phone, country=country, phone_normalized=normalized_phone(phone, country), **fields
    )


def found(client, text, path="/api/v1/leads"):
    answer = client.get(path, {"search": text})
    assert answer.status_code == 200
    return sorted(lead["company"] for lead in answer.json()["results"])


@pytest.mark.parametrize(
    ("text", "companies"),
    [
        ("smith", ["Smith Dental"]),
        ("SMI", ["Smith Dental"]),
        ("dental", ["Müller Dental", "Smith Dental"]),
        ("dental smith", ["Smith Dental"]),
        ("dental nobody", []),
        ("mith", []),
        ("müller", ["Müller Dental"]),
        ("MÜLL", ["Müller Dental"]),
        ("ann", ["Smith Dental"]),
        ("youngs", ["Smith Dental"]),
        ("podiatr", ["Smith Dental"]),
        ("office@smith-dental.example", ["Smith Dental"]),
        ("smith-dental", ["Smith Dental"]),
        ("smith-dental.example", ["Smith Dental"]),
        ("smith-dental.exa", []),
        ("office@smith-den", ["Smith Dental"]),
        ("smith_den", ["Smith Dental"]),
        ("nobody-dental", []),
        ("example office", ["Smith Dental"]),
        ("tea", ["Smith Dental"]),
        ("", ["Müller Dental", "Smith Dental"]),
        ("   ", ["Müller Dental", "Smith Dental"]),
    ],
)
def test_every_word_is_found_as_the_beginning_of_one_in_what_tells_of_a_lead(api, member, text, companies):
    make_lead(
        member.workspace, company="Smith Dental", name="Ann Miller", city="Youngstown", specialties=["Podiatrist"],
        email="office@smith-dental.example", notes="Likes tea",
    )  # fmt: skip
    make_lead(member.workspace, company="Müller Dental", email="")

    assert found(api, text) == companies


@pytest.mark.parametrize(
    ("text", "companies"),
    [
        ("(330) 779-3389", ["Akron"]),
        ("330-779-3389", ["Akron"]),
        ("330.779.3389", ["Akron"]),
        ("3307793389", ["Akron"]),
        ("+1 330 779 3389", ["Akron"]),
        ("+13307793389", ["Akron"]),
        ("001 330 779 3389", ["Akron"]),
        ("1 (330) 779-3389", ["Akron"]),
        ("330 779", ["Akron"]),
        ("330 77", ["Akron"]),
        ("779-3389", ["Akron"]),
        ("akron 330779", ["Akron"]),
        ("330 779 3389 akron", ["Akron"]),
        ("330 779 3388", []),
        ("berlin 330779", []),
        ("0049 30 901820", ["Berlin"]),
        ("+49 30 901820", ["Berlin"]),
        ("+49 (30) 90 18 20", ["Berlin"]),
        ("030 901820", ["Berlin"]),
        ("030/901820", ["Berlin"]),
        ("030 9018", ["Berlin"]),
    ],
)
def test_a_phone_number_is_found_by_its_digits_however_it_is_written(api, member, text, companies):
    with_phone(member.workspace, "(330) 779-3389", company="Akron")
    with_phone(member.workspace, "030 901820", "DE", company="Berlin")

    assert found(api, text) == companies


def test_a_number_that_stands_in_notes_is_found_as_it_stands_there(api, member):
    make_lead(member.workspace, company="Noted", notes="call (330) 779-3389 after five")

    assert found(api, "(330) 779-3389") == ["Noted"]
    assert found(api, "330 779-3389") == ["Noted"]


@pytest.mark.parametrize("text", ["anna", "anna@hidden.example", "hidden", "330", "(330) 779-3389", "tea"])
def test_the_masked_catalogue_is_not_found_by_what_it_hides(api, text):
    make_catalogue_lead(
        company="Keller", email="anna@hidden.example", phone="(330) 779-3389", phone_normalized="+13307793389", notes="tea"
    )  # fmt: skip

    assert found(api, text, "/api/v1/catalogue") == []


@pytest.mark.parametrize("text", ["keller", "Ada", "akron", "podiatr", "keller akron"])
def test_the_masked_catalogue_is_found_by_what_it_shows(api, text):
    make_catalogue_lead(company="Keller", name="Ada Lang", city="Akron", specialties=["Podiatrist"])

    assert found(api, text, "/api/v1/catalogue") == ["Keller"]


@pytest.mark.parametrize(
    "text",
    [
        "'", "''", "\\", "\\'", "a\\", "'a' | 'b'", "!keller", "&", "|", "( )", ":*", "a:*", "<->", "keller <-> x", "%", "_",
        "*", "\"", "`", ";--", "🦷", "￿", "‮abc", "á", "(((((((((", "+", "+++", "0", "00000", "000 000 000", "+0 0 0 0",
        "-1-1-1-1", "(1)(2)(3)", "1./1./1./1",
    ],
)  # fmt: skip
def test_no_text_breaks_the_search(api, member, text):
    make_lead(member.workspace)

    answer = api.get("/api/v1/leads", {"search": text})

    assert answer.status_code == 200


def test_only_the_first_16_words_count(api, member):
    make_lead(member.workspace, company="Keller", notes=" ".join(f"word{number}" for number in range(16)))

    all_there = " ".join(f"word{number}" for number in range(16))
    assert found(api, f"{all_there} nobody") == ["Keller"]
    assert found(api, f"nobody {all_there}") == []


def test_a_search_is_as_long_as_any_filter_at_most(api):
    answer = api.get("/api/v1/leads", {"search": "x" * 501})

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["search"])


def test_other_workspaces_are_not_searched(api, stranger):
    make_lead(stranger.workspace, company="Keller")

    assert found(api, "keller") == []


def test_a_deleted_lead_is_not_found(api, member):
    make_lead(member.workspace, company="Keller")
    Lead.objects.all().delete()

    assert found(api, "keller") == []
