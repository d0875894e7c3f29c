"""What a lead's fields may hold, and in which form."""

from datetime import UTC, date, datetime

import pytest

from leads.moments import moment
from leads.numbers import LOCALES, Ambiguous, number
from leads.values import CLEANERS, cleaners, email, normalized_phone, zip_code


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
        ("11/20/2024 2:30 PM", datetime(2024, 11, 20, 14, 30, tzinfo=UTC)),
        ("11/20/2024 12:05 a.m.", datetime(2024, 11, 20, 0, 5, tzinfo=UTC)),
        ("20.11.2024 14:30 Uhr", datetime(2024, 11, 20, 14, 30, tzinfo=UTC)),
        ("2024-11-20t10:30:00z", datetime(2024, 11, 20, 10, 30, tzinfo=UTC)),
        ("2024/11/20", datetime(2024, 11, 20, tzinfo=UTC)),
        ("2024.11.20", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20-11-2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20.11.24", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20. 11. 2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("1.2.69", datetime(1969, 2, 1, tzinfo=UTC)),
        ("1.2.68", datetime(2068, 2, 1, tzinfo=UTC)),
        ("11/20/24", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20. November 2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("3. März 2024", datetime(2024, 3, 3, tzinfo=UTC)),
        ("03. MÄR. 2024, 08:15", datetime(2024, 3, 3, 8, 15, tzinfo=UTC)),
        ("1. Mai 24", datetime(2024, 5, 1, tzinfo=UTC)),
        ("31. Dez. 2024", datetime(2024, 12, 31, tzinfo=UTC)),
        ("Nov 20, 2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("November 20th 2024 2:30pm", datetime(2024, 11, 20, 14, 30, tzinfo=UTC)),
        ("20 November 2024", datetime(2024, 11, 20, tzinfo=UTC)),
        ("20-Nov-24", datetime(2024, 11, 20, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_people_write_them_and_kept_in_utc(written, at):
    assert moment(written) == at


@pytest.mark.parametrize("written", ["03/04/2024", "12/1/2024", "3/4/24", "03-04-2024"])
def test_a_date_that_could_be_two_days_is_refused(written):
    assert refusal("last_contact", written) == "The day and the month can't be told apart: write it as 2024-11-20."


@pytest.mark.parametrize(
    "written",
    ["9999-99-99", "0000-01-01", "99999-01-01", "31.02.2024", "13/13/2024", "20-11-24", "20. Smarch 2024", "0. Mai 2024", "13:00 PM", "1.2.2024 13:00 PM", "Mai 2024", "20241120", "45616", "tomorrow",
     "2024-11-20T25:00", "2024-11-20 at noon", "0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "١٢"],
)  # fmt: skip
def test_what_is_no_date_is_refused(written):
    assert refusal("last_contact", written) == "No date: write it as 2024-11-20."


@pytest.mark.parametrize(
    ("locale", "written", "month", "day"),
    [
        ("de", "03/04/2024", 4, 3),
        ("en-GB", "03/04/24", 4, 3),
        ("en-US", "03/04/2024", 3, 4),
        ("en-US", "3-4-2024 2:30 PM", 3, 4),
        ("en-US", "03.04.2024", 4, 3),
    ],
)
def test_a_locale_tells_the_day_from_the_month(locale, written, month, day):
    assert moment(written, locale).date() == date(2024, month, day)


@pytest.mark.parametrize(
    ("locale", "written"), [("en-US", "20/11/2024"), ("de", "11/20/2024"), ("en-GB", "11/20/2024")]
)
def test_a_date_that_is_none_in_the_locale_given_is_refused(locale, written):
    with pytest.raises(ValueError, match="No date"):
        moment(written, locale)


NUMBERS = {
    "85": 85,
    "85,0": 85,
    "85.50": 85.5,
    "-3,5": -3.5,
    "+7": 7,
    "0,125": 0.125,
    "1234.567": 1234.567,
    "1.234,56": 1234.56,
    "1,234.56": 1234.56,
    "1.234.567": 1234567,
    "1,234,567.00": 1234567,
    "1'234.5": 1234.5,
    "1 234,5": 1234.5,
    "1\u00a0234\u202f567": None,
    "1.2.3": None,
    "1,23,456": None,
    "1.234.567.8": None,
    "1,234,567,8": None,
    "12e5": None,
    "٥": None,
    "": None,
    "9" * 41: None,
}


@pytest.mark.parametrize(("written", "value"), NUMBERS.items())
def test_a_number_that_can_be_read_in_one_way_needs_no_locale(written, value):
    if value is None:
        with pytest.raises(ValueError, match="This is no number"):
            number(written)
    else:
        assert (number(written), type(number(written))) == (value, type(value))


@pytest.mark.parametrize("written", ["1,234", "1.234", "12.000", "-123,456"])
def test_a_number_that_could_be_two_needs_a_locale(written):
    with pytest.raises(Ambiguous):
        number(written)

    readings = {locale: number(written, locale) for locale in LOCALES}
    as_thousands, as_decimal = int(written.replace(",", "").replace(".", "")), float(written.replace(",", "."))
    german, english = (as_decimal, as_thousands) if "," in written else (as_thousands, as_decimal)
    assert readings == {"de": german, "en-US": english, "en-GB": english}


@pytest.mark.parametrize(
    ("locale", "written"), [("de", "85.5"), ("en-US", "85,5"), ("de", "1,234.56"), ("en-GB", "1.234,56")]
)
def test_a_number_of_another_locale_is_refused(locale, written):
    with pytest.raises(ValueError, match="This is no number"):
        number(written, locale)


def test_a_locale_is_for_dates_and_numbers_alone():
    german = cleaners("de")

    assert (german["score"]("85,0"), german["last_contact"]("03/04/2024")) == (85, datetime(2024, 4, 3, tzinfo=UTC))
    assert german.keys() == CLEANERS.keys() == cleaners().keys()
    assert {field for field in german if german[field] is not CLEANERS[field]} == {
        "score",
        "last_contact",
        "next_action_at",
    }


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
        ("score", "85,0", 85),
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
