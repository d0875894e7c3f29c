"""What a lead's fields may hold, and in which form."""

from datetime import UTC, datetime

import pytest

from leads.values import CLEANERS, email, moment, normalized_phone, zip_code


def refusal(field, written):
    with pytest.raises(ValueError) as error:
        CLEANERS[field](written)
    return str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "ann@practice.example",
        "Ann.Lee@Practice.Example",
        "ann+leads@practice.example",
        "o'neil@practice.example",
        "info@müller.de",
        "info@пример.рф",
        "info@xn--mller-kva.de",
        "x@sub.practice.museum",
    ],
)
def test_addresses_are_kept_as_they_are_written(address):
    assert email(f" {address} ") == address


@pytest.mark.parametrize(
    "address",
    ["ann", "ann@", "@practice.example", "ann@practice", "ann lee@practice.example", "a@b@c.example", "ann@practice..example",
     "ann@practice.example.", "ann@practice.example,", "mailto:ann@practice.example", "Ann <ann@practice.example>",
     "ann@pract_ice.example", "ann@prac\u00adtice.example", "ann@practice\u200b.example", "a" * 400 + "@practice.example"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address):
    assert refusal("email", address) == "This is no e-mail address."


@pytest.mark.parametrize(
    "written",
    [
        "(330) 797-0070",
        "330-797-0070",
        "330.797.0070 ext. 5",
        "330 797 0070 x123",
        "1-330-797-0070",
        "+1 330 797 0070",
        "001 330 797 0070",
        "٣٣٠ ٧٩٧ ٠٠٧٠",
    ],
)
def test_a_us_number_has_one_form_however_it_is_written(written):
    assert normalized_phone(written) == "+13307970070"


@pytest.mark.parametrize(
    ("written", "country", "form"),
    [
        ("030 123456", "DE", "+4930123456"),
        ("030/12 34 56", "Deutschland", "+4930123456"),
        ("(030) 123456", "germany", "+4930123456"),
        ("+49 (0)30 123456", "", "+4930123456"),
        ("0049 30 123456", "", "+4930123456"),
        ("0049 30 123456", "DE", "+4930123456"),
        ("01 234 5678", "AT", "+4312345678"),
        ("044 668 18 00", "Schweiz", "+41446681800"),
        ("020 7946 0958", "United Kingdom", "+442079460958"),
        ("2008675309", "KH", "+8552008675309"),
        ("330 797 0070", "DE", "+493307970070"),
    ],
)
def test_a_number_is_read_as_one_of_its_country(written, country, form):
    assert normalized_phone(written, country) == form


@pytest.mark.parametrize(
    ("written", "digits"),
    [("030 123456", "030123456"), ("911", "911"), ("12345678901234567890", "12345678901234567890"), ("", "")],
)
def test_a_number_that_can_not_be_understood_is_its_digits(written, digits):
    assert normalized_phone(written) == digits


def test_the_default_region_is_a_setting(settings):
    settings.DEFAULT_PHONE_REGION = "DE"

    assert [normalized_phone(written) for written in ("030 123456", "+1 330 797 0070")] == [
        "+4930123456",
        "+13307970070",
    ]


@pytest.mark.parametrize("written", ["-", "none", "12", "+49", "ext. 5"])
def test_less_than_three_digits_are_no_phone_number(written):
    assert refusal("phone", written) == "This is no phone number."


@pytest.mark.parametrize(
    ("written", "state", "country", "form"),
    [
        ("445151851", "OH", "", "44515-1851"),
        ("31011325", "NH", "US", "03101-1325"),
        ("9266012", "PR", "US", "00926-6012"),
        ("2557", "ma", "", "02557"),
        ("603", "PR", "USA", "00603"),
        ("44515", "", "United States", "44515"),
        ("44515-1851", "OH", "US", "44515-1851"),
        ("12", "OH", "US", "12"),
        ("123456", "OH", "US", "123456"),
        ("8001", "ZH", "", "8001"),
        ("8001", "", "CH", "8001"),
        ("1067", "", "", "1067"),
        ("100016", "Beijing", "CN", "100016"),
        ("2557", "MA", "DE", "2557"),
        ("K1A 0B1", "ON", "", "K1A 0B1"),
        ("٤٤٥١", "OH", "US", "٤٤٥١"),
    ],
)
def test_zip_codes_are_touched_in_the_us_alone(written, state, country, form):
    assert zip_code(written, state=state, country=country) == form


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2024-11-20", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20.11.2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("1.2.2024", datetime(2024, 2, 1, tzinfo=UTC)),
        ("11/20/2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20/11/2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("3/3/2024", datetime(2024, 3, 3, tzinfo=UTC)),
        ("2024-11-20T10:30:00Z", datetime(2024, 11, 20, 10, 30, tzinfo=UTC)),
        ("2024-11-20 10:30", datetime(2024, 11, 20, 10, 30, tzinfo=UTC)),
        ("2024-11-20T10:30:00+05:30", datetime(2024, 11, 20, 5, 0, tzinfo=UTC)),
        ("20.11.2024 14:30", datetime(2024, 11, 20, 14, 30, tzinfo=UTC)),
        ("11/20/2024, 14:30:05", datetime(2024, 11, 20, 14, 30, 5, tzinfo=UTC)),
    ],
)
def test_dates_are_read_in_three_ways_and_kept_in_utc(written, at):
    assert moment(written) == at


@pytest.mark.parametrize("written", ["03/04/2024", "12/1/2024"])
def test_a_date_that_could_be_two_days_is_refused(written):
    assert refusal("last_contact", written) == "The day and the month can't be told apart: write it as 2024-11-20."


@pytest.mark.parametrize(
    "written",
    ["9999-99-99", "0000-01-01", "99999-01-01", "31.02.2024", "13/13/2024", "20.11.24", "20241120", "45616", "tomorrow",
     "2024-11-20T25:00", "2024-11-20 at noon", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "١٢"],
)  # fmt: skip
def test_what_is_no_date_is_refused(written):
    assert refusal("last_contact", written) == "No date: write it as 2024-11-20."


@pytest.mark.parametrize(
    ("field", "written", "kept"),
    [
        ("status", "won", "WON"),
        ("status", " Neu ", "NEW"),
        ("status", "offen", "NEW"),
        ("status", "Kontaktiert", "CONTACTED"),
        ("status", "qualifiziert", "QUALIFIED"),
        ("status", "Angebot", "PROPOSAL"),
        ("status", "Gewonnen", "WON"),
        ("status", "verloren", "LOST"),
        ("disg_type", "d", "D"),
        ("score", "0", 0),
        ("score", 100, 100),
        ("score", "85.0", 85),
        ("ein", "123456789", "12-3456789"),
        ("ein", "12-3456789", "12-3456789"),
        ("npi", 1750675054, "1750675054"),
        ("entity_type", "2", "Organization"),
        ("entity_type", "GmbH", "GmbH"),
        ("needs_action", "ja", True),
        ("needs_action", "WAHR", True),
        ("needs_action", "x", True),
        ("needs_action", "Nein", False),
        ("needs_action", False, False),
        ("is_sole_proprietor", "Y", True),
        ("is_sole_proprietor", "N", False),
        ("is_sole_proprietor", "X", None),
        ("tags", "hot; new;; hot", ["hot", "new"]),
        ("tags", "hot, new", ["hot", "new"]),
        ("tags", "a, b; c", ["a, b", "c"]),
        ("tags", ["a", 1], ["a", "1"]),
        ("providers", "Lee, Ann; Poe, Bob", ["Lee, Ann", "Poe, Bob"]),
        ("providers", "Lee, Ann", ["Lee, Ann"]),
        ("name", "  Ann \u00a0", "Ann"),
        ("external_id", 7, "7"),
    ],
)
def test_values_are_kept_in_one_form(field, written, kept):
    assert CLEANERS[field](written) == kept


@pytest.mark.parametrize(
    ("field", "written", "sentence"),
    [
        ("status", "maybe", "One of NEW, CONTACTED, QUALIFIED, PROPOSAL, WON, LOST."),
        ("disg_type", "Z", "One of D, I, S, G."),
        ("score", "101", "A whole number from 0 to 100."),
        ("score", "-1", "A whole number from 0 to 100."),
        ("score", "85.5", "A whole number from 0 to 100."),
        ("score", "٥", "A whole number from 0 to 100."),
        ("ein", "12345678", "An EIN has the form NN-NNNNNNN."),
        ("ein", "123-456789", "An EIN has the form NN-NNNNNNN."),
        ("npi", "175067505", "An NPI has ten digits."),
        ("npi", "1750675054.0", "An NPI has ten digits."),
        ("npi", "١٧٥٠٦٧٥٠٥٤", "An NPI has ten digits."),
        ("needs_action", "perhaps", "Yes or no."),
        ("tags", [["a"]], "A list of texts."),
        ("tags", [None], "A list of texts."),
        ("tags", [str(number) for number in range(101)], "At most 100 entries."),
        ("name", "x" * 501, "At most 500 characters."),
        ("notes", "x" * 20_001, "At most 20000 characters."),
        ("name", "A\x00", "It must not contain NUL characters."),
        ("phone", "1" * 61, "At most 60 characters."),
    ],
)
def test_values_out_of_bounds_are_refused_with_a_sentence(field, written, sentence):
    assert refusal(field, written) == sentence
