"""What a file is read as: encodings, delimiters, headings, lines; and the registry's own files."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leads.errors import UnreadableFile
from leads.imports import headings, importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource
from leads.models import CustomField, Lead
from zevix.errors import ValidationFailed

DATA = Path(__file__).parent / "data"


def read(text, encoding="utf-8", **options):
    return CsvSource(io.BytesIO(text.encode(encoding) if isinstance(text, str) else text), **options)


def cells(source):
    return [(record.row, record.cells) for record in source.records()]


# Encodings and delimiters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", ""),
        ("utf-8", "\ufeff"),
        ("utf-16", ""),
        ("utf-16-le", "\ufeff"),
        ("utf-16-be", "\ufeff"),
        ("utf-16-le", ""),
        ("utf-16-be", ""),
        ("windows-1252", ""),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_newlines_are_found_out(encoding, bom, delimiter, newline):
    text = newline.join([delimiter.join(row) for row in (["Firma", "Straße"], ["Müller & Söhne", "Köln"])])

    source = read(bom + text, encoding)

    assert source.header == ["Firma", "Straße"]
    assert cells(source) == [(2, ["Müller & Söhne", "Köln"])]


@pytest.mark.parametrize("given", ["utf-8", "UTF8", "utf-8-sig"])
def test_a_bom_is_no_part_of_the_first_heading_whatever_encoding_is_given(given):
    assert read("\ufeffname\nAnn\n", encoding=given).header == ["name"]


def test_a_bom_is_no_part_of_the_first_heading_in_utf_16_given_without_one():
    assert CsvSource(io.BytesIO("\ufeffname\nAnn\n".encode("utf-16-le")), encoding="utf-16-le").header == ["name"]


def test_a_letter_cut_by_a_piece_of_the_file_is_still_utf_8():
    text = "name\n" + "ü" * 700_000 + "\n"

    assert CsvSource(io.BytesIO(text.encode())).encoding == "utf-8"


def test_windows_1252_is_found_out_however_late_the_first_umlaut_comes():
    body = b"name\n" + (b"A" * 400 + b"\n") * 5_000 + "Jörg\n".encode("windows-1252")

    *_others, last = CsvSource(io.BytesIO(body)).records()

    assert (last.row, last.cells) == (5_002, ["Jörg"])


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("name;address, city;email", ";"),
        ("name,a;b;c;d", ","),
        ("a;b", ";"),
        ('"name, first";email', ";"),
        ('name;"a,b";email', ";"),
        ('name;a,"b;email', ";"),
        ("email", ","),
    ],
)
def test_the_delimiter_is_the_one_that_makes_most_known_headings_then_most_columns(line, delimiter):
    assert read(line + "\n").delimiter == delimiter


# Records ----------------------------------------------------------------------------------------------------------------------


def test_lines_are_counted_as_a_spreadsheet_shows_them():
    source = read('name,notes\nAnn,\n\n"B\nb","one\r\ntwo"\n,\n  ,\nCid,"x, ""y"""\n')

    assert cells(source) == [(2, ["Ann", ""]), (4, ["B\nb", "one\r\ntwo"]), (7, ["Cid", 'x, "y"'])]


def test_short_rows_are_filled_and_blank_cells_beyond_the_header_are_dropped():
    source = read("name,email,city\nAnn\nBob,,York,,\n")

    assert cells(source) == [(2, ["Ann", "", ""]), (3, ["Bob", "", "York"])]


def test_a_row_with_more_cells_than_the_header_is_a_problem_of_its_own():
    source = read("name,city\nAnn,York,US\nBob,Rome\n")

    assert [(record.row, record.problem) for record in source.records()] == [
        (2, "It has 3 cells, the header 2."),
        (3, ""),
    ]


def test_a_stray_quotation_mark_spoils_its_row_alone():
    source = read('name,city\n"Ann" Lee,York\nBob,5" pipe\n"Cid",Rome\n')

    assert [(record.row, record.cells, bool(record.problem)) for record in source.records()] == [
        (2, ['"Ann" Lee', "York"], True),
        (3, ["Bob", '5" pipe'], False),
        (4, ["Cid", "Rome"], False),
    ]


def test_a_quotation_mark_that_is_never_closed_is_named_with_its_row():
    source = read('name,city\nAnn,York\n"Bob,Rome\nCid,Oslo\n')

    with pytest.raises(UnreadableFile, match="opened in row 3 is never closed"):
        list(source.records())


def test_a_file_can_be_read_more_than_once_and_stays_open():
    source = read("name\nAnn\n")

    assert cells(source) == cells(source) == [(2, ["Ann"])]
    assert not source.file.closed


def test_how_much_has_been_read_is_told_while_reading():
    source = read("name\n" + "Ann\n" * 12_000)

    seen = [source.fraction for _record in source.records()]

    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.5 < seen[9_000] < seen[-1] == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("hint", ["sep=;", "SEP=;", '"sep=;"'])
def test_excels_hint_of_the_delimiter_is_obeyed_and_no_line(hint, newline):
    source = read(newline.join([hint, "name,a;b", "Ann;x,y"]))

    assert (source.delimiter, source.header) == (";", ["name,a", "b"])
    assert cells(source) == [(2, ["Ann", "x,y"])]


# Headings -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("Firma;Ansprechpartner;E-Mail;Telefon;PLZ;Ort;Letzter Kontakt", "company;name;email;phone;zip_code;city;last_contact"),
        ("FIRMA;e-mail;straße;Bundesland;Land", "company;email;address;state;country"),
        ("Unternehmen;Mobil;Webseite;Notizen;Schlagwörter", "company;owner_phone;website;notes;tags"),
        ("Kunden-Nr.;Fachrichtung;Wiedervorlage;Nächster Schritt;Quelle",
         "external_id;specialties;next_action_at;next_action_description;source"),
        ("id;practice_name;owner_name;practice_phone;zip_code", "external_id;company;name;phone;zip_code"),
        ("E-Mail Address;Phone Number;ZIP Code;Lead Status;Last Contact Date", "email;phone;zip_code;status;last_contact"),
        ("NPI;Employer Identification Number (EIN);Entity Type Code;Is Sole Proprietor", "npi;ein;entity_type;is_sole_proprietor"),
    ],
)  # fmt: skip
def test_headings_are_known_in_english_german_and_the_registrys_words(header, fields):
    names = header.split(";")

    mapping = headings.match(names)

    assert mapping.by_heading() == dict(zip(names, fields.split(";"), strict=True))
    assert mapping.extra == []


EXPORTS = {
    "HubSpot": (
        "Record ID|First Name|Last Name|Email|Phone Number|Mobile Phone Number|Company Name|Website URL|Street Address|City|"
        "State/Region|Postal Code|Country/Region|Lead Status|Last Contacted|HubSpot Score|Contact owner",
        "external_id name name email phone owner_phone company website address city state zip_code country status last_contact score",
    ),
    "Pipedrive": (
        "Person - Name|Person - Label|Person - Email - Work|Person - Phone - Work|Person - Phone - Mobile|Organization - Name|"
        "Organization - Address|Person - Next activity date|Person - Last activity date|Person - Owner",
        "name tags email phone owner_phone company address next_action_at last_contact",
    ),
    "Salesforce": (
        "First Name|Last Name|Account Name|Mailing Street|Mailing City|Mailing State/Province|Mailing Zip/Postal Code|"
        "Mailing Country|Phone|Mobile|Email|Lead Source|Last Activity|Account Owner",
        "name name company address city state zip_code country phone owner_phone email source last_contact",
    ),
    "Outlook": (
        "First Name|Middle Name|Last Name|Company|Business Street|Business City|Business State|Business Postal Code|"
        "Business Country/Region|Business Phone|Mobile Phone|E-mail Address|Web Page|Notes|Categories|Job Title",
        "name name name company address city state zip_code country phone owner_phone email website notes tags",
    ),
    "Outlook in German": (
        "Vorname|Weitere Vornamen|Nachname|Firma|Straße geschäftlich|Ort geschäftlich|Region geschäftlich|"
        "Postleitzahl geschäftlich|Land/Region geschäftlich|Telefon geschäftlich|Mobiltelefon|E-Mail-Adresse|Webseite|Notizen|"
        "Kategorien|Position",
        "name name name company address city state zip_code country phone owner_phone email website notes tags",
    ),
    "Google": (
        "First Name|Middle Name|Last Name|Organization Name|Labels|E-mail 1 - Value|Phone 1 - Value|Address 1 - Street|"
        "Address 1 - City|Address 1 - Region|Address 1 - Postal Code|Address 1 - Country|Website 1 - Value|E-mail 2 - Value",
        "name name name company tags email phone address city state zip_code country website",
    ),
    "sevDesk": (
        "Kundennummer|Vorname|Nachname|Organisation|Straße|PLZ|Ort|Land|Telefon|Mobil|E-Mail|Webseite|Beschreibung|Titel",
        "external_id name name company address zip_code city country phone owner_phone email website notes",
    ),
    "Lexware": (
        "Kundennummer|Firmenname|Vorname|Nachname|Straße|Adresszusatz|PLZ|Ort|Länderkürzel|E-Mail 1|Telefon 1|Mobiltelefonnummer|Anrede",
        "external_id company name name address address zip_code city country email phone owner_phone",
    ),
    "by hand": (
        "Firma/Organisation|Vor- und Nachname|Str.|Hausnr.|Bundesland/Kanton|Tel.-Nr.|Handynummer|Bemerkungen|Wiedervorlage am|"
        "Zuletzt kontaktiert am|Lead-Quelle|Lead-Status|Punkte|Umsatz",
        "company name address address state phone owner_phone notes next_action_at last_contact source status score",
    ),
}


@pytest.mark.parametrize(("header", "fields"), EXPORTS.values(), ids=EXPORTS)
def test_the_exports_of_other_programs_are_known(header, fields):
    names, known = header.split("|"), fields.split()
    alone = names[len(known) :]

    mapping = headings.match(names)

    assert mapping.by_heading() == dict(zip(names, known, strict=False))
    assert [name for _index, name in mapping.extra] == alone


@pytest.mark.parametrize("heading", ["PLZ/Ort", "PLZ Ort", "Postleitzahl / Ort"])
@pytest.mark.django_db
def test_one_column_of_zip_code_and_city_is_two_fields(member, heading):
    cells = ["01067 Dresden", "D-10115 Berlin, Mitte", "8001  Zürich", "44515-1851 York", "Bonn", ""]

    importing.run(
        read(f"Name;{heading}\n" + "".join(f"A;{cell}\n" for cell in cells)), Options(), workspace=member.workspace
    )

    assert list(Lead.objects.order_by("id").values_list("zip_code", "city")) == [
        ("01067", "Dresden"), ("D-10115", "Berlin, Mitte"), ("8001", "Zürich"), ("44515-1851", "York"), ("", "Bonn"), ("", ""),
    ]  # fmt: skip


def test_a_column_of_its_own_comes_before_the_one_for_two():
    assert headings.match(["name", "PLZ/Ort", "PLZ"]).by_heading() == {"name": "name", "PLZ": "zip_code"}


@pytest.fixture
def definitions(member):
    for position, (key, label, kind, choices) in enumerate(
        [
            ("budget", "Budget in EUR", "number", []),
            ("since", "Kunde seit", "date", []),
            ("size", "Size", "choice", ["Small", "Large"]),
            ("active", "Active", "boolean", []),
        ]
    ):
        CustomField.objects.create(
            workspace=member.workspace, key=key, label=label, kind=kind, choices=choices, position=position
        )


@pytest.mark.django_db
def test_custom_fields_are_found_by_key_or_label_and_kept_as_their_kind_has_them(member, definitions):
    text = "name;BUDGET in eur;Kunde seit;size;Active;Other\nAnn;1.234,5;03/04/2024;large;ja;x\nBob;-;;;;\n"

    importing.run(read(text), Options(locale="de"), workspace=member.workspace)

    assert list(Lead.objects.order_by("id").values_list("extra", flat=True)) == [
        {"budget": 1234.5, "since": "2024-04-03", "size": "Large", "active": True, "Other": "x"},
        {},
    ]


@pytest.mark.django_db
def test_a_custom_field_that_can_not_be_is_an_error_that_names_it(member, definitions):
    text = "name;budget;since;size\nAnn;much;soon;Huge\nBob;1.234;;\n"

    batch = importing.run(read(text), Options(), workspace=member.workspace)

    assert [(error.row, error.field) for error in batch.rejected] == [
        (2, "extra.budget"), (2, "extra.since"), (2, "extra.size"), (3, "extra.budget"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_mapping_may_name_a_custom_field(member, definitions):
    given = {"Umsatz": "extra.budget", "city": "extra.Raum"}

    importing.run(read("name;Umsatz;city\nAnn;7;x\n"), Options(mapping=given), workspace=member.workspace)

    assert list(Lead.objects.values_list("extra", "city")) == [({"budget": 7, "Raum": "x"}, "")]


@pytest.mark.django_db
def test_of_two_columns_for_one_custom_field_the_one_named_by_its_key_has_it(member, definitions):
    text = "name;Budget in EUR;budget;BUDGET\nAnn;a lot;7;8\n"

    importing.run(read(text), Options(), workspace=member.workspace)

    assert Lead.objects.get().extra == {"Budget in EUR": "a lot", "budget": 7, "BUDGET": "8"}


@pytest.mark.parametrize("field", ["extra.", "extra.\x00", "extra", "extra.a\nb"])
def test_a_custom_field_without_a_name_is_refused(field):
    with pytest.raises(ValidationFailed):
        headings.match(["name"], {"name": field})


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("Vorname;Nachname", "Ann;Lee", "Ann Lee"),
        ("Name;Vorname", "Lee;Ann", "Ann Lee"),
        ("Last Name;First Name;Middle Name", "Lee;Ann;Bo", "Ann Bo Lee"),
        ("Ansprechpartner;Vorname;Nachname", "Dr. Lee;Ann;Lee", "Dr. Lee"),
        ("Authorized Official Last Name;Authorized Official First Name", "LEE;ANN", "ANN LEE"),
    ],
)
@pytest.mark.django_db
def test_a_name_in_parts_is_put_together(member, header, row, name):
    importing.run(read(f"{header}\n{row}\n"), Options(), workspace=member.workspace)

    assert Lead.objects.get().name == name


@pytest.mark.django_db
def test_an_address_in_parts_is_put_together_and_an_extension_joins_its_number(member):
    text = (
        "Name;Straße;Hausnummer;Adresszusatz;Telefon;Durchwahl\nAnn;Hauptstr.;1;Hof;030 123456;7\nBob;Am Markt;;;;8\n"
    )

    importing.run(read(text), Options(), workspace=member.workspace)

    assert list(Lead.objects.order_by("id").values_list("address", "phone")) == [
        ("Hauptstr. 1 Hof", "030 123456 ext. 7"),
        ("Am Markt", ""),
    ]


def test_of_two_columns_for_one_field_the_one_named_as_the_field_is_taken_else_the_first():
    assert headings.match(["id", "external_id", "Mail", "E-Mail"]).by_heading() == {
        "external_id": "external_id",
        "Mail": "email",
    }


def test_a_mapping_of_unknown_columns_and_fields_is_refused_with_a_sentence_for_each():
    with pytest.raises(ValidationFailed) as refusal:
        headings.match(["name"], {"Firma": "company", "name": "nickname"})

    assert refusal.value.fields == {"mapping": ["There is no column “Firma”.", "There is no field “nickname”."]}


@pytest.mark.django_db
def test_a_german_spreadsheet_goes_in_as_it_is(member):
    text = (
        "Firma;Ansprechpartner;E-Mail;Telefon;Straße;PLZ;Ort;Land;Status;Letzter Kontakt;Bewertung;Parkplatz\r\n"
        "Zahnarztpraxis Müller;Dr. Jörg Müller;info@müller.example.de;030 123456;Hauptstr. 1;01067;Dresden;Deutschland;"
        "Kontaktiert;20.11.2024;85;ja\r\n"
    )

    importing.run(read(text, "windows-1252"), Options(), workspace=member.workspace)

    assert list(
        Lead.objects.values_list(
            "company", "name", "email", "phone", "phone_normalized", "zip_code", "country", "status", "last_contact", "score",
            "extra",
        )
    ) == [
        ("Zahnarztpraxis Müller", "Dr. Jörg Müller", "info@müller.example.de", "030 123456", "+4930123456", "01067",
         "Deutschland", "CONTACTED", datetime(2024, 11, 20, tzinfo=UTC), 85, {"Parkplatz": "ja"})
    ]  # fmt: skip


# The registry's files -----------------------------------------------------------------------------------------------------------


def import_file(name, workspace):
    with (DATA / name).open("rb") as file:
        batch = importing.run(CsvSource(file), Options(), workspace=workspace)
    assert batch.total_rows == batch.imported_count + batch.skipped_count + batch.error_count
    return batch.created_count, batch.updated_count, batch.unchanged_count, batch.skipped_count, batch.error_count


PRACTICES, ORGANIZATIONS, LOCATIONS = "practices.csv", "nppes_organizations.csv", "nppes_practice_locations.csv"


@pytest.mark.parametrize(
    ("name", "created", "collapsed"), [(PRACTICES, 13, 3), (ORGANIZATIONS, 15, 0), (LOCATIONS, 18, 3)]
)
@pytest.mark.django_db
def test_the_registrys_files_go_in_with_nothing_configured_and_again_without_a_change(member, name, created, collapsed):
    first = import_file(name, member.workspace)
    again = import_file(name, member.workspace)

    assert first == (created, 0, 0, collapsed, 0)
    assert again == (0, created, created, collapsed, 0)


@pytest.mark.parametrize("order", [(PRACTICES, LOCATIONS), (LOCATIONS, PRACTICES)])
@pytest.mark.django_db
def test_the_registrys_files_meet_at_a_providers_address_in_either_order(member, order):
    counts = [import_file(name, member.workspace)[:2] for name in order]

    assert counts[1][1] == 6
    assert Lead.objects.count() == counts[0][0] + counts[1][0] == 25


@pytest.mark.django_db
def test_an_organization_of_the_registry_is_read_whole(member):
    import_file(ORGANIZATIONS, member.workspace)

    lead = json.loads(Lead.objects.flat().get(npi="1518960624"))
    shown = {field: value for field, value in lead.items() if value and field not in {"id", "created_at", "updated_at"}}
    extra = shown.pop("extra")
    assert shown == {
        "company": "FARMACIA M&F",
        "practice_name": "FARMACIA M&F",
        "phone": "7878648060",
        "practice_phone": "7878648060",
        "address": "CARR #3 KM 149.9 BO PUENTE DE JOBOS",
        "city": "GUAYAMA",
        "state": "PR",
        "zip_code": "00784",
        "country": "US",
        "npi": "1518960624",
        "entity_type": "Organization",
        "specialties": ["333600000X"],
        "status": "NEW",
        "needs_action": True,
        "email_status": "unknown",
        "source": "import",
        "import_batch_id": member.workspace.imports.get().pk,
        "version": 1,
    }
    assert "<UNAVAIL>" not in extra.values()
    assert extra["Provider Business Mailing Address City Name"] == "GUAYAMA"


@pytest.mark.django_db
def test_zip_codes_of_the_registry_get_their_usual_form_in_the_us_alone(member):
    import_file(ORGANIZATIONS, member.workspace)
    import_file(LOCATIONS, member.workspace)

    codes = dict(Lead.objects.values_list("npi", "zip_code"))
    assert {
        npi: codes[npi] for npi in ("1083617013", "1720081912", "1609879857", "1548537723", "1861184681", "1265882203")
    } == {
        "1083617013": "03101-1325",
        "1720081912": "02557",
        "1609879857": "00926-6012",
        "1548537723": "00000",
        "1861184681": "100016",
        "1265882203": "66849",
    }


@pytest.mark.django_db
def test_second_lines_and_extensions_of_the_registry_are_joined(member):
    import_file(LOCATIONS, member.workspace)

    found = Lead.objects.filter(npi__in=["1649664418", "1245274463", "1912642562"]).order_by("npi", "address")
    assert list(found.values_list("address", "phone", "phone_normalized")) == [
        ("7980 N Main St.", "9372804988 ext. 104", "+19372804988"),
        ("315 Medical Park Dr Suite 204", "7044036965", "+17044036965"),
        ("1001 Kamokila Blvd Ste 210", "", ""),
        ("1001 Kamokila Blvd. Suite 210", "", ""),
    ]
