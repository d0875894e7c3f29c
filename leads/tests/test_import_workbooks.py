"""Excel workbooks: which sheet, which rows, what its cells are; and those that were made to do harm."""

import io
import time
import zipfile
from datetime import date, datetime
from datetime import time as clock
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.utils import get_column_letter

from leads.errors import UnreadableFile
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource, Incoming, SheetSource, Unreadable
from leads.models import Lead
from leads.tests.workbooks import handmade, saved, workbook
from zevix.errors import Refusal, ValidationFailed


def read(content, **options):
    return SheetSource(io.BytesIO(content), **options)


def cells(source):
    return [(record.row, record.cells) for record in source.records()]


def texts(*cells):
    return "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)


HEADER = f"<row>{texts('name', 'score')}</row>"


# Sheets and rows ----------------------------------------------------------------------------------------------------------------


def test_a_workbook_is_read_as_a_table():
    source = read(workbook(["name", " City "], ["Ann", "York"], ["Bob", None]))

    assert (source.header, source.found) == (["name", "City"], {"sheet": "Leads"})
    assert cells(source) == cells(source) == [(2, ["Ann", "York"]), (3, ["Bob", ""])]


def test_it_can_be_read_more_than_once_and_tells_how_far_it_is():
    source = read(workbook(["name"], *([f"Ann {number}"] for number in range(5_000))))

    seen = [source.fraction for _record in source.records()]

    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.5 < seen[-1]
    assert source.fraction == 1


def test_the_first_sheet_that_is_not_hidden_is_read_or_the_one_named():
    book = Workbook()
    book.active.title = "Notes"
    book.active.append(["nothing"])
    book.active.sheet_state = "hidden"
    book.create_chartsheet("Chart")
    for name in ("Clinics", "Lists"):
        book.create_sheet(name).append(["name", name])
    book["Lists"].sheet_state = "veryHidden"

    found = [read(saved(book), sheet=name).header for name in ("", "Clinics", "Lists", "Notes")]

    assert found == [["name", "Clinics"], ["name", "Clinics"], ["name", "Lists"], ["nothing"]]


def test_a_sheet_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ValidationFailed) as refusal:
        read(workbook(A=[["name"]], B=[["name"]]), sheet="C")

    assert refusal.value.fields == {"sheet": ["There is no sheet “C”, but: A, B."]}


def test_lines_are_those_of_the_sheet_and_the_header_is_its_first_row_that_is_not_blank():
    source = read(workbook([], [" "], ["name", "city"], [], ["Ann"], [None, " "], ["Bob", "York"]))

    assert source.header == ["name", "city"]
    assert cells(source) == [(5, ["Ann", ""]), (7, ["Bob", "York"])]


def test_a_cell_beyond_the_header_is_a_problem_of_its_row():
    source = read(workbook(["name"], ["Ann", None, "x"], ["Bob", None, " "]))

    assert [(record.row, record.problem) for record in source.records()] == [
        (2, "It has 3 cells, the header 1."),
        (3, ""),
    ]


def test_merged_cells_hold_their_value_once():
    book = Workbook()
    for row in (["name", "city"], ["Ann", "York"], ["Bob", "gone"]):
        book.active.append(row)
    book.active.merge_cells("B2:B3")

    assert cells(read(saved(book))) == [(2, ["Ann", "York"]), (3, ["Bob", ""])]


def test_rows_and_cells_without_a_reference_follow_one_another():
    rows = f'{HEADER}<row r="4">{texts("Ann")}<c r="B4"><v>5</v></c></row><row>{texts("Bob")}<c><v>6</v></c></row>'

    assert cells(read(handmade(rows))) == [(4, ["Ann", 5]), (5, ["Bob", 6])]


def test_prefixes_of_a_namespace_and_absolute_paths_do_not_matter():
    sheet = '<x:worksheet xmlns:x="urn:x"><x:sheetData><x:row><x:c t="s"><x:v>0</x:v></x:c></x:row></x:sheetData></x:worksheet>'

    assert read(handmade(sheet=sheet, texts="<si><t>name</t></si>")).header == ["name"]


# Cells ----------------------------------------------------------------------------------------------------------------------------

SHOWN = {
    "text": ("Ann", "Ann"),
    "whole number": (44512, 44512),
    "whole number as a fraction": (44512.0, 44512),
    "fraction": (85.5, 85.5),
    "sum of fractions": (0.1 + 0.2, 0.3),
    "NPI": (1518960624, 1518960624),
    "large": (1e20, 1e20),
    "negative": (-3, -3),
    "true": (True, "true"),
    "false": (False, "false"),
    "date": (date(2024, 11, 20), "2024-11-20"),
    "moment": (datetime(2024, 11, 20, 14, 30, 5), "2024-11-20 14:30:05"),
    "last moment of a day": (datetime(2024, 11, 20, 23, 59, 59), "2024-11-20 23:59:59"),
    "time of day": (clock(9, 5), "09:05:00"),
    "error": ("#N/A", ""),
    "line break": ("one\ntwo", "one\ntwo"),
    "markup": ("<b>&amp;</b>", "<b>&amp;</b>"),
    "blanks": ("  ", ""),
}


@pytest.mark.parametrize(("kept", "shown"), SHOWN.values(), ids=SHOWN)
def test_cells_are_what_they_are_kept_as(kept, shown):
    ((_row, (found, _last)),) = cells(read(workbook(["a", "b"], [kept, "x"])))

    assert (found, type(found)) == (shown, type(shown))


STYLES = (
    '<numFmts><numFmt numFmtId="200" formatCode="00000"/><numFmt numFmtId="201" formatCode="[h]:mm"/>'
    '<numFmt numFmtId="202" formatCode="dd/mm/yyyy;@"/><numFmt numFmtId="203" formatCode="#,##0 &quot;days&quot;"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="200"/><xf numFmtId="201"/><xf numFmtId="202"/><xf numFmtId="203"/></cellXfs>'
)


@pytest.mark.parametrize(
    ("style", "written", "shown"),
    [
        (0, "45616", 45616),
        (1, "2557", "02557"),
        (1, "123456", 123456),
        (2, "1.5", 1.5),
        (3, "45616", "2024-11-20"),
        (3, "1", "1900-01-01"),
        (4, "12", 12),
        (9, "7", 7),
    ],
)
def test_a_number_is_a_date_or_has_leading_zeros_where_its_format_says_so(style, written, shown):
    rows = f'{HEADER}<row>{texts("Ann")}<c s="{style}"><v>{written}</v></c></row>'

    assert cells(read(handmade(rows, styles=STYLES))) == [(2, ["Ann", shown])]


def test_dates_of_a_workbook_that_counts_from_1904():
    book = Workbook()
    book.epoch = datetime(1904, 1, 1)
    for row in (["name", "when"], ["Ann", datetime(2024, 11, 20)]):
        book.active.append(row)

    assert cells(read(saved(book))) == [(2, ["Ann", "2024-11-20"])]


@pytest.mark.parametrize("written", ["3000000000", "-99999999", "1e300"])
def test_a_date_that_is_none_is_a_problem_of_its_cell(written):
    source = read(handmade(f'{HEADER}<row>{texts("Ann")}<c s="3"><v>{written}</v></c></row>', styles=STYLES))

    ((_row, (_name, found)),) = cells(source)
    assert (type(found), found.reason) == (Unreadable, "This is no date.")


def test_shared_texts_are_put_together_without_how_they_are_pronounced():
    shared = (
        "<si><t>name</t></si><si><r><t>Ann </t></r><r><rPr><b/></rPr><t>Lee</t></r><rPh><t>an</t></rPh></si>"
        "<si/><si><t>M\u00fcller &amp; S\u00f6hne</t></si><si><t>a_x000D_b_x00e4_ _x</t></si>"
    )
    rows = "".join(f'<row><c t="s"><v>{number}</v></c></row>' for number in range(5))

    source = read(handmade(rows, texts=shared))

    assert cells(source) == [(2, ["Ann Lee"]), (4, ["Müller & Söhne"]), (5, ["a\rbä _x"])]


def test_formulas_are_their_values_as_last_saved():
    rows = (
        f"{HEADER}<row>{texts('Ann')}<c><f>40+2</f><v>42</v></c></row>"
        f'<row>{texts("Bob")}<c t="str"><f>A1&amp;""</f><v></v></c></row>'
        f'<row>{texts("Cid")}<c t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
    )

    assert cells(read(handmade(rows))) == [(2, ["Ann", 42]), (3, ["Bob", ""]), (4, ["Cid", ""])]


@pytest.mark.django_db
@pytest.mark.parametrize(("heading", "field"), [("score", "score"), ("Room", "extra.Room")])
def test_a_formula_that_was_never_computed_is_an_error_of_its_cell(member, heading, field):
    source = read(workbook(["name", heading], ["Ann", "=40+2"], ["Bob", 7]))

    batch = importing.run(source, Options(), workspace=member.workspace)

    ((row, where, message),) = [(error.row, error.field, error.message) for error in batch.rejected]
    assert (row, where) == (2, field)
    assert message == "This formula has no value: open the workbook in Excel, and save it."
    assert batch.row_errors.get().cells == ["Ann", "=40+2"]
    assert list(Lead.objects.values_list("name", flat=True)) == ["Bob"]


@pytest.mark.django_db
@pytest.mark.parametrize("locale", ["", "de", "en-US"])
def test_a_workbook_becomes_leads_whatever_the_locale(member, locale):
    source = read(
        workbook(
            ["Kundennr.", "Firma", "PLZ", "State", "Telefon", "NPI", "Letzter Kontakt", "Bewertung", "Kunde", "Umsatz", "Handlungsbedarf"],
            [7, "Praxis Müller", 2557, "MA", 3307970070, 1518960624, datetime(2024, 3, 4, 14, 30), 85.0, True, 1.234, True],
        )
    )  # fmt: skip

    batch = importing.run(source, Options(locale=locale), workspace=member.workspace)

    assert [error.message for error in batch.rejected] == []
    lead = Lead.objects.get()
    assert (lead.external_id, lead.company, lead.zip_code, lead.phone, lead.npi, lead.score, lead.needs_action) == (
        "7", "Praxis Müller", "02557", "3307970070", "1518960624", 85, True,
    )  # fmt: skip
    assert lead.last_contact.isoformat() == "2024-03-04T14:30:00+00:00"
    assert lead.extra == {"Kunde": "true", "Umsatz": 1.234}


plain = st.none() | st.integers(-(10**14), 10**14) | st.booleans() | st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn", "Co"]), max_size=8
).filter(lambda text: not text.startswith(("=", "#")))  # fmt: skip


@given(table=st.lists(st.lists(plain, min_size=1, max_size=5), min_size=1, max_size=5))
@settings(deadline=None, database=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cells_are_read_as_openpyxl_reads_them(table):
    content = workbook(["first", *"bcde"], *table)
    sheet = load_workbook(io.BytesIO(content), read_only=True, data_only=True).worksheets[0]

    def shown(value):
        blank = value is None or (isinstance(value, str) and not value.strip())
        return "" if blank else str(value).lower() if isinstance(value, bool) else value

    theirs = [[shown(value) for value in row] for row in sheet.iter_rows(values_only=True, max_col=5, min_row=2)]

    ours = {record.row: record.cells for record in read(content).records()}

    assert [ours.get(row, [""] * 5) for row, _cells in enumerate(theirs, start=2)] == theirs


# What is no workbook, and what would do harm --------------------------------------------------------------------------------------


def zipped(**parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def changed(content, old, new):
    assert old in content
    return content.replace(old, new)


GOOD = workbook(["name"], ["Ann"])
NO_WORKBOOK = {
    "an archive": zipped(leads="name\nAnn\n"),
    "an OpenDocument sheet": zipped(mimetype="application/vnd.oasis.opendocument.spreadsheet", content="<a/>"),
    "a binary workbook": handmade(parts={"xl/workbook.xml": None, "xl/workbook.bin": b"\x00"}),
    "cut in half": GOOD[: len(GOOD) // 2],
    "its end alone missing": GOOD[:-30],
    "a part damaged": changed(GOOD, b"PK\x01\x02", b"PK\x01\x03"),
    "no sheet": handmade(parts={"xl/worksheets/sheet1.xml": None}),
    "no sheets at all": handmade(parts={"xl/workbook.xml": "<workbook/>"}),
    "no XML": handmade(sheet="name,email"),
    "XML cut short": handmade(sheet=f"<worksheet><sheetData>{HEADER}<row>"),
    "blank": handmade("<row/>"),
    "headings of blanks": handmade(f"<row>{texts(' ', ' ')}</row>"),
    "a text that there is not": handmade('<row><c t="s"><v>7</v></c></row>', texts="<si><t>name</t></si>"),
    "a text before the first": handmade('<row><c t="s"><v>-1</v></c></row>', texts="<si><t>name</t></si>"),
    "a number that is none": handmade(f"{HEADER}<row><c><v>many</v></c></row>"),
    "a column beyond the last": handmade('<row><c r="AAAA1"><v>1</v></c></row>'),
    "a column named by digits": handmade('<row><c r="11"><v>1</v></c></row>'),
    "2,001 columns": handmade(f'<row><c r="{get_column_letter(2_001)}1"><v>1</v></c></row>'),
    "a row beyond the last": handmade(f'{HEADER}<row r="1048577">{texts("Ann")}</row>'),
    "a row far beyond the last": handmade(f'{HEADER}<row r="99999999999999999999">{texts("Ann")}</row>'),
    "a row twice": handmade(f'{HEADER}<row r="2">{texts("Ann")}</row><row r="2">{texts("Bob")}</row>'),
    "row 0": handmade(f'<row r="0">{texts("name")}</row>'),
    "a document type": handmade(sheet=f"<!DOCTYPE a><worksheet><sheetData>{HEADER}</sheetData></worksheet>"),
    "entities that swell": handmade(
        sheet="<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]>"
        f"<worksheet><sheetData><row>{texts('name')}</row><row>{texts('&c;')}</row></sheetData></worksheet>"
    ),
    "an entity that is a file": handmade(
        sheet="<!DOCTYPE a [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
        f"<worksheet><sheetData><row>{texts('name')}</row><row>{texts('&a;')}</row></sheetData></worksheet>"
    ),
    "entities among the texts": handmade(HEADER, texts="<si><t>&a;</t></si>"),
    "a path out of the archive": handmade(
        parts={
            "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="s" Type="/worksheet" Target="../../../etc/passwd"/></Relationships>'
        }
    ),
    "a style that is no number": handmade(f'{HEADER}<row>{texts("Ann")}<c s="x"><v>1</v></c></row>'),
}  # fmt: skip


@pytest.mark.parametrize("content", NO_WORKBOOK.values(), ids=NO_WORKBOOK)
def test_what_is_no_workbook_is_refused_with_a_sentence(content):
    with pytest.raises(UnreadableFile) as refusal:
        list(read(content).records())

    assert (refusal.value.code, str(refusal.value)[:24]) == ("malformed_request", "The file can't be read: ")


@pytest.mark.parametrize(
    ("name", "content"), [("leads.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)), ("leads.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")]
)  # fmt: skip
def test_old_and_protected_workbooks_are_told_apart_from_the_rest(name, content):
    with pytest.raises(UnreadableFile, match=r"protected by a password or of an old kind \(\.xls\)"):
        Incoming(io.BytesIO(content), name).table()


def test_an_archive_with_a_password_is_refused():
    content = bytearray(GOOD)
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        content[start + 8] |= 1
        start += 4

    with pytest.raises(UnreadableFile, match="packed in a way that no workbook is"):
        read(bytes(content))


def seconds_and_memory(act):
    import tracemalloc

    tracemalloc.start()
    begun = time.perf_counter()
    with pytest.raises(UnreadableFile, match="unpacked it would be too large"):
        act()
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return time.perf_counter() - begun, peak / 1024 / 1024


BOMBS = {
    "a sheet": lambda: handmade(f"{HEADER}<row>" + "<c><v>1</v></c>" * 5_000_000),
    "shared texts": lambda: handmade(HEADER, texts="<si><t>a</t></si>" * 5_000_000),
    "styles": lambda: handmade(HEADER, styles="<cellXfs>" + "<xf/>" * 15_000_000),
    "one cell": lambda: handmade(f"{HEADER}<row><c t='str'><v>" + "a" * 15_000_000),
    "one tag": lambda: handmade(f"{HEADER}<row a='" + "a" * 15_000_000),
    "one shared text": lambda: handmade(HEADER, texts="<si><t>" + "a" * 15_000_000),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_what_is_small_when_packed_and_huge_unpacked_is_refused_at_once(make):
    content = make()
    assert len(content) < 300_000

    seconds, mebibytes = seconds_and_memory(lambda: list(read(content).records()))

    assert (seconds < 2, mebibytes < 20) == (True, True)


def test_a_sheet_beyond_the_limit_is_refused(settings):
    settings.IMPORT_MAX_UNPACKED_BYTES = 10_000

    read(workbook(["name"]))
    with pytest.raises(UnreadableFile, match="unpacked it would be too large"):
        list(read(workbook(["name"], *([f"Ann {number}"] for number in range(300)))).records())


def test_an_archive_of_a_hundred_thousand_parts_is_not_opened():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}" + "x" * 50, b"")

    with pytest.raises(UnreadableFile, match="unpacked it would be too large"):
        read(file.getvalue())


def test_a_million_blank_rows_are_nothing():
    rows = (
        HEADER
        + "".join(f'<row r="{number}" ht="15"/>' for number in range(2, 300_000))
        + f'<row r="1048576">{texts("Ann")}</row>'
    )
    begun = time.perf_counter()

    found = cells(read(handmade(rows)))

    assert found == [(1_048_576, ["Ann", ""])]
    assert time.perf_counter() - begun < 5


def test_a_dimension_that_lies_does_not_matter():
    sheet = f'<worksheet><dimension ref="A1:XFD1048576"/><sheetData>{HEADER}<row>{texts("Ann")}</row></sheetData></worksheet>'

    assert cells(read(handmade(sheet=sheet))) == [(2, ["Ann", ""])]


@given(
    st.binary(max_size=80)
    | st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)).map(lambda at: GOOD[: at[0]] + bytes([at[1]]) + GOOD[at[0] + 1 :])
    | st.integers(0, len(GOOD)).map(lambda end: GOOD[:end])
)  # fmt: skip
@settings(deadline=None, database=None, max_examples=400)
def test_any_bytes_are_a_table_or_refused(content):
    try:
        list(Incoming(io.BytesIO(b"PK\x03\x04" + content[4:])).table().records())
    except Refusal:
        pass


# Other kinds ----------------------------------------------------------------------------------------------------------------------


def test_a_file_is_what_it_holds_whatever_it_is_called():
    kinds = [
        type(Incoming(io.BytesIO(content), name).table())
        for name, content in [("a.csv", GOOD), ("a.xlsx", b"name\nAnn\n"), ("", GOOD), ("", b"name\n")]
    ]

    assert kinds == [SheetSource, CsvSource, SheetSource, CsvSource]


@pytest.mark.parametrize("name", ["leads.tsv", "LEADS.TSV", "leads.tab"])
def test_the_cells_of_a_tsv_file_are_parted_by_tabs(name):
    source = Incoming(io.BytesIO(b"a;b;c\tname\n1\tAnn, Lee\n"), name).table()

    assert (source.header, source.found["delimiter"]) == (["a;b;c", "name"], "\t")


def test_the_delimiter_given_comes_before_the_name():
    assert Incoming(io.BytesIO(b"name;b\n"), "leads.tsv", delimiter=";").table().header == ["name", "b"]


def test_a_json_file_is_a_table():
    source = Incoming(io.BytesIO(b'[{"name": "Ann"}]'), "leads.json").table()

    assert cells(source) == [(1, ["Ann"])]


def test_the_registrys_file_is_the_same_as_a_workbook(tmp_path):
    table = CsvSource(io.BytesIO((Path(__file__).parent / "data" / "practices.csv").read_bytes()))
    as_workbook = read(workbook(table.header, *(record.cells for record in table.records())))

    assert as_workbook.header == table.header
    assert [record.cells for record in as_workbook.records()] == [
        [cell if cell.strip() else "" for cell in record.cells] for record in table.records()
    ]
