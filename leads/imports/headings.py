"""Which column holds which field: the headings that people and registries use, in English and German."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from leads.values import ALIASES, CLEANERS
from zevix.errors import ValidationFailed

# field → headings. Those in a tuple name a part: where no column holds the whole field, its parts are joined in this order.
_HEADINGS: dict[str, list[str | tuple[str, ...]]] = {
    "external_id": ["id", "lead id", "external id", "external_id", "customer number", "Kundennummer", "Kunden-Nr", "Kundennr.",
                    "Kunden-ID", "Debitorennummer", "record id", "contact id", "Person - ID"],
    "name": [
        "name", "full name", "contact", "contact name", "contact person", "owner", "owner name", "lead name",
        "Ansprechpartner", "Ansprechpartnerin", "Kontakt", "Kontaktperson", "Kontaktname", "Inhaber", "Vollständiger Name",
        "Person - Name", "Name des Ansprechpartners", "Vor- und Nachname", "display name", "Anzeigename",
        ("first name", "given name", "Vorname", "contact first name", "Person - First name", "Person - Vorname",
         "Ansprechpartner Vorname", "Vorname Ansprechpartner", "Provider First Name"),
        ("middle name", "additional name", "Weitere Vornamen", "zweiter Vorname", "Provider Middle Name"),
        ("last name", "surname", "family name", "Nachname", "Familienname", "contact last name", "Person - Last name",
         "Person - Nachname", "Ansprechpartner Nachname", "Nachname Ansprechpartner", "Provider Last Name (Legal Name)"),
        ("Authorized Official First Name",),
        ("Authorized Official Middle Name",),
        ("Authorized Official Last Name",),
    ],
    "email": ["email", "e-mail", "email address", "e-mail address", "mail", "E-Mail-Adresse", "Mailadresse",
              "email 1", "email address 1", "E-mail 1 - Value", "work email", "business email", "primary email", "contact email",
              "Person - Email", "Person - Email - Work", "Person - E-Mail-Adresse", "E-Mail geschäftlich", "Geschäftliche E-Mail",
              "Firmen-E-Mail"],
    "phone": [
        ("phone", "phone number", "telephone", "tel", "tel.", "practice phone", "Telefon", "Telefonnummer", "Rufnummer",
         "phone 1", "Phone 1 - Value", "business phone", "work phone", "office phone", "main phone", "company phone",
         "business telephone", "Person - Phone", "Person - Phone - Work", "Person - Telefon", "Organization - Phone", "Telefon 1",
         "Telefonnr.", "Tel.-Nr.", "Telefon geschäftlich", "Telefon Büro", "Festnetz", "Festnetznummer",
         "Provider Business Practice Location Address Telephone Number",
         "Provider Secondary Practice Location Address - Telephone Number"),
        ("phone extension", "Durchwahl", "Provider Secondary Practice Location Address - Telephone Extension"),
    ],
    "company": [
        "company", "company name", "organization", "organisation", "business name", "practice", "practice name", "account",
        "account name", "organization name", "Organization 1 - Name", "Organization - Name", "Organisation - Name",
        "associated company", "company / account", "Firma/Organisation", "Unternehmensname", "Name des Unternehmens", "Firma 1",
        "Firma", "Firmenname", "Unternehmen", "Praxis", "Praxisname", "Betrieb",
        "Provider Organization Name (Legal Business Name)",
    ],
    "website": ["website", "web site", "url", "web", "homepage", "Webseite", "Internetseite", "Internet",
                "website url", "web page", "Website 1 - Value", "company domain name", "domain", "Webadresse", "Internetadresse",
                "Person - Website", "Organization - Website"],
    "channel": ["channel", "lead channel", "Kanal", "Vertriebskanal"],
    "owner_phone": [
        "owner phone", "owner's phone", "mobile", "mobile phone", "cell", "cell phone", "Mobil", "Handy", "Mobiltelefon",
        "mobile phone number", "mobile number", "cell number", "Person - Phone - Mobile", "Mobilnummer", "Mobilfunk",
        "Mobilfunknummer", "Handynummer", "Telefon mobil", "Mobiltelefonnummer",
        "Authorized Official Telephone Number",
    ],
    "address": [
        ("address", "street", "street address", "address line 1", "address 1", "Adresse", "Anschrift", "Straße", "Strasse",
         "Straße und Hausnummer", "Straße/Hausnummer", "Straße/Hausnr.", "Straße und Nr.", "Straße Nr.", "Str.", "Adresse 1",
         "Adresszeile 1", "Straße geschäftlich", "business street", "mailing street", "billing street", "Address 1 - Street",
         "Organization - Address", "Organisation - Adresse", "Person - Postal address", "street 1",
         "Provider First Line Business Practice Location Address",
         "Provider Secondary Practice Location Address- Address Line 1"),
        ("house number", "house no", "street number", "Hausnummer", "Hausnr.", "HsNr"),
        ("address line 2", "address 2", "suite", "street 2", "business street 2", "Adresszusatz", "Adresszeile 2", "Adresse 2",
         "Address 1 - Extended Address", "Provider Second Line Business Practice Location Address",
         "Provider Secondary Practice Location Address-  Address Line 2"),
    ],
    "city": [
        "city", "town", "Ort", "Stadt", "Wohnort", "business city", "mailing city", "billing city", "Address 1 - City",
        "Ort geschäftlich", "city/town", "Stadt/Ort", "Ort/Stadt",
        "Provider Business Practice Location Address City Name",
        "Provider Secondary Practice Location Address - City Name",
    ],
    "state": [
        "state", "province", "region", "Bundesland", "state/region", "state/province", "business state", "mailing state",
        "mailing state/province", "billing state/province", "Address 1 - Region", "Region geschäftlich", "Kanton", "Bundesland/Kanton",
        "Provider Business Practice Location Address State Name",
        "Provider Secondary Practice Location Address - State Name",
    ],
    "zip_code": [
        "zip", "zip code", "zip_code", "postal code", "postcode", "PLZ", "Postleitzahl",
        "zip/postal code", "business postal code", "mailing zip/postal code", "billing zip/postal code", "Address 1 - Postal Code",
        "Postleitzahl geschäftlich", "zip/postcode",
        "Provider Business Practice Location Address Postal Code", "Provider Secondary Practice Location Address - Postal Code",
    ],
    "country": [
        "country", "country code", "Land", "Staat", "country/region", "business country/region", "mailing country",
        "billing country", "Address 1 - Country", "Land/Region", "Land/Region geschäftlich", "Ländercode", "Länderkürzel",
        "Provider Business Practice Location Address Country Code (If outside U.S.)",
        "Provider Secondary Practice Location Address - Country Code (If outside U.S.)",
    ],
    "ein": ["ein", "employer id", "tax id", "Employer Identification Number (EIN)"],
    "npi": ["npi", "npi number"],
    "entity_type": ["entity type", "entity_type", "Entity Type Code", "Rechtsform"],
    "providers": ["providers", "doctors", "Ärzte", "Behandler"],
    "specialties": [
        "specialties", "specialty", "specialities", "speciality", "taxonomy", "Fachrichtung", "Fachrichtungen", "Fachgebiet",
        *((f"Healthcare Provider Taxonomy Code_{number}",) for number in range(1, 16)),
    ],
    "is_sole_proprietor": ["is sole proprietor", "sole proprietor", "Einzelunternehmer"],
    "status": ["status", "lead status", "stage", "Phase", "contact status", "Lead-Status", "Kontaktstatus"],
    "score": ["score", "lead score", "Bewertung", "Punkte", "Punktzahl", "HubSpot Score", "Scoring"],
    "needs_action": ["needs action", "action needed", "Handlungsbedarf"],
    "next_action_at": ["next action at", "next action date", "next contact", "follow up", "follow-up date", "due",
                       "next activity date", "Person - Next activity date", "Nächste Aktion am", "Nächster Kontakt",
                       "Wiedervorlage", "Wiedervorlage am", "Nächste Aktivität am", "Fällig am"],
    "next_action_description": ["next action", "next action description", "next step", "Nächste Aktion", "Nächster Schritt"],
    "last_contact": ["last contact", "last contacted", "last contact date", "last contacted at", "Letzter Kontakt",
                     "last activity", "last activity date", "Person - Last activity date", "Letzter Kontakt am",
                     "Zuletzt kontaktiert", "Zuletzt kontaktiert am", "Letzte Aktivität", "Letzte Aktivität am"],
    "disg_type": ["disg type", "disg", "disc", "disc type", "DISG-Typ"],
    "notes": ["notes", "note", "comment", "comments", "remarks", "Notiz", "Notizen", "Bemerkung", "Bemerkungen", "Kommentar",
              "description", "Beschreibung", "Anmerkung", "Anmerkungen", "Freitext"],
    "tags": ["tags", "tag", "labels", "label", "categories", "Schlagworte", "Schlagwörter", "Stichworte", "Stichwörter",
             "Kategorien", "Person - Label"],
    "source": ["source", "lead source", "original source", "Quelle", "Herkunft", "Lead-Quelle", "Leadquelle"],
}  # fmt: skip

# one column for two fields: “01067 Dresden”
_ZIP_CODE_AND_CITY = ["PLZ/Ort", "PLZ, Ort", "PLZ und Ort", "Postleitzahl/Ort", "zip/city"]

# how the parts of a field are put together, where not by a blank
JOINTS = {"specialties": ";", "providers": ";", "tags": ";"}
PREFIXES = {("phone", 1): "ext. "}

IGNORED = ""
EXTRA = "extra."
_WHOLE = -1
SPLIT = -2  # what the field is of a cell that holds two
_FIRST_NAME, _LAST_NAME = 0, 2  # parts of the name
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def normal(heading: str) -> str:
    """The heading's letters and digits, so that capitals, blanks and signs don't matter; where it has none of ours, as it is."""
    return re.sub(r"[^0-9a-z]+", "", heading.casefold().translate(_PLAIN)) or heading.strip()


def _known() -> dict[str, tuple[str, int]]:
    """Normalised heading → its field, and which part of it."""
    known: dict[str, tuple[str, int]] = {}
    for field, headings in _HEADINGS.items():
        wholes = [heading for heading in headings if isinstance(heading, str)]
        parts = [heading for heading in headings if isinstance(heading, tuple)]
        known |= {normal(heading): (field, part) for part, names in enumerate(parts) for heading in names}
        known |= {normal(heading): (field, _WHOLE) for heading in wholes}
        known.setdefault(normal(field), (field, _WHOLE))
    return known


_KNOWN = _known()
_HOLDING_TWO = {normal(heading) for heading in _ZIP_CODE_AND_CITY}


@dataclass(frozen=True)
class Mapping:
    """Where each field is found: ``columns[field]`` are indexes, with the part of the field that each one holds.

    ``extra`` are the columns that are no field, with the names that they get among the lead's custom fields.
    """

    header: list[str]
    columns: dict[str, list[tuple[int, int]]]
    extra: list[tuple[int, str]]

    def by_heading(self) -> dict[str, str]:
        """Column → field, as an answer or a caller writes it."""
        return {self.header[index]: field for field, found in self.columns.items() for index, _part in found}


def recognised(header: Sequence[str]) -> int:
    """How many of the headings are known."""
    return sum(normal(heading) in _KNOWN or normal(heading) in _HOLDING_TWO for heading in header)


def match(header: Sequence[str], given: dict[str, str] | None = None) -> Mapping:
    """Find the fields of a header. ``given`` (column → field, ``""`` to leave the column out) comes before what is recognised.

    A field ``extra.budget`` is the custom field of that name. Raises ValidationFailed for a column or a field that there is not.
    """
    given = {column: ALIASES.get(field, field) for column, field in (given or {}).items()}
    _check(header, given)
    columns: dict[str, list[tuple[int, int]]] = {}
    for index, heading in enumerate(header):
        if given.get(heading, IGNORED) != IGNORED and not given[heading].startswith(EXTRA):
            columns.setdefault(given[heading], []).append((index, _WHOLE))
    for (field, part), index in sorted(_recognise(header, given).items()):
        whole_found = columns.get(field, [(0, 0)])[0][1] == _WHOLE
        if not whole_found:
            columns.setdefault(field, []).append((index, part))
    for index, heading in enumerate(header):
        if normal(heading) in _HOLDING_TWO and heading not in given and not {"zip_code", "city"} & set(columns):
            columns |= {"zip_code": [(index, SPLIT)], "city": [(index, SPLIT)]}
    mapped = {index for found in columns.values() for index, _part in found}
    left = [index for index in range(len(header)) if index not in mapped and given.get(header[index]) != IGNORED]
    return Mapping(list(header), columns, _named(left, header, given))


def _recognise(header: Sequence[str], given: dict[str, str]) -> dict[tuple[str, int], int]:
    """(field, part) → column; of two that are the same, the one named exactly as the field, else the first."""
    found: dict[tuple[str, int], int] = {}
    for index, heading in enumerate(header):
        place = _KNOWN.get(normal(heading))
        if place and heading not in given and (place not in found or heading == place[0] != header[found[place]]):
            found[place] = index
    if ("name", _FIRST_NAME) in found and ("name", _LAST_NAME) not in found and ("name", _WHOLE) in found:
        found["name", _LAST_NAME] = found.pop(("name", _WHOLE))  # beside “Vorname”, “Name” is the last name
    return found


def _named(left: list[int], header: Sequence[str], given: dict[str, str]) -> list[tuple[int, str]]:
    """Names for the custom fields: two columns of one heading must not overwrite each other."""
    named: dict[str, int] = {}
    for index in left:
        name = wanted = (given.get(header[index]) or header[index]).removeprefix(EXTRA) or f"column {index + 1}"
        number = 1
        while name in named:
            number += 1
            name = f"{wanted} ({number})"
        named[name] = index
    return [(index, name) for name, index in named.items()]


def _check(header: Sequence[str], given: dict[str, str]) -> None:
    problems = []
    for column, field in given.items():
        if column not in header:
            problems.append(_("There is no column “{column}”.").format(column=column))
        custom = field.startswith(EXTRA) and field != EXTRA and field.isprintable()
        if field != IGNORED and field not in CLEANERS and not custom:
            problems.append(_("There is no field “{field}”.").format(field=field))
    if problems:
        raise ValidationFailed(fields={"mapping": problems})
