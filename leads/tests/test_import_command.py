"""``manage.py import_leads``: what it prints, writes and exits with."""

import io
import os
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Workspace
from accounts.tests.factories import make_workspace
from leads.models import ImportBatch, Lead
from leads.tests.factories import make_lead
from leads.tests.workbooks import workbook
from zevix.models import Event

pytestmark = pytest.mark.django_db

MIXED = "name,email,Room\nAnn,ann@practice.example,1\nBob,nowhere,2\n,,3\n"


@pytest.fixture
def run(member, tmp_path, monkeypatch):
    """Run the command in a folder of its own; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def act(*arguments, workspace=str(member.workspace.pk)):
        out, err = io.StringIO(), io.StringIO()
        target = ["--workspace", workspace] if workspace else []
        try:
            call_command("import_leads", *arguments, *target, stdout=out, stderr=err)
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    return act


def write(name, text):
    Path(name).write_text(text, encoding="utf-8")


def names():
    return list(Lead.objects.order_by("id").values_list("name", flat=True))


def test_a_clean_file_is_summed_up_and_exits_with_0(run):
    write("leads.csv", "external_id,name\n1,Ann\n2,Bob\n1,Anna\n")

    ended = run("leads.csv")

    assert ended == (
        0,
        "leads.csv: imported 2 of 3 rows (2 created, 0 updated, of these 0 unchanged; 1 skipped, 0 rejected)\n",
        "",
    )
    assert ImportBatch.objects.get().file_name == "leads.csv"
    assert os.listdir() == ["leads.csv"]


def test_rejected_rows_are_named_written_beside_the_file_and_exit_with_1(run):
    write("leads.csv", MIXED)

    ended = run("leads.csv")

    assert ended == (
        1,
        "leads.csv: imported 1 of 3 rows (1 created, 0 updated, of these 0 unchanged; 0 skipped, 2 rejected)\n",
        "leads.csv:3: email: This is no e-mail address.\n"
        "leads.csv:4: It does not tell who the lead is.\n"
        "All 2 rejected rows: leads.csv.errors.csv\n",
    )
    assert Path("leads.csv.errors.csv").read_text(encoding="utf-8-sig") == (
        "row,error,name,email,Room\n"
        "3,email: This is no e-mail address.,Bob,nowhere,2\n"
        "4,It does not tell who the lead is.,,,3\n"
    )


def test_a_row_with_two_errors_stands_once_among_the_rejected(run):
    write("leads.csv", "name,email,npi\nBob,nowhere,12\n")

    run("leads.csv")

    assert Path("leads.csv.errors.csv").read_text(encoding="utf-8-sig") == (
        "row,error,name,email,npi\n2,email: This is no e-mail address. npi: An NPI has ten digits.,Bob,nowhere,12\n"
    )


def test_only_the_first_20_errors_are_printed(run):
    write("leads.csv", "name,email\n" + "Ann,x\n" * 30)

    _status, _out, err = run("leads.csv")

    assert err.count("This is no e-mail address.") == 20
    assert err.endswith("All 30 rejected rows: leads.csv.errors.csv\n")


def test_a_list_of_errors_that_can_not_be_written_does_not_undo_the_import(run):
    write("leads.csv", MIXED)
    Path("leads.csv.errors.csv").mkdir()

    status, _out, err = run("leads.csv")

    assert (status, names()) == (1, ["Ann"])
    assert f"Is a directory; the rejected rows are kept with import {ImportBatch.objects.get().pk} alone." in err


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(run):
    write("leads.csv", MIXED)

    status, out, err = run("leads.csv", "--dry-run")

    assert (status, out.startswith("leads.csv: would have imported 1 of 3 rows")) == (1, True)
    assert err.startswith("leads.csv:3: email: This is no e-mail address.\n")
    assert [model.objects.count() for model in (Lead, ImportBatch, Event)] == [0, 0, 0]
    assert os.listdir() == ["leads.csv"]


def test_mapping_mode_delimiter_and_encoding_are_options(run, member):
    make_lead(member.workspace, external_id="1", name="Ann")
    Path("leads.csv").write_bytes("Nr.|Wer|Rest\n1|Änn|x\n2|Bob|y\n".encode("windows-1252"))

    status, out, _err = run(
        "leads.csv", "--mode", "update", "--delimiter", "|", "--encoding", "windows-1252",
        "--mapping", '{"Nr.": "external_id", "Wer": "name", "Rest": ""}',
    )  # fmt: skip

    assert (status, names()) == (0, ["Änn"])
    assert "(0 created, 1 updated, of these 0 unchanged; 1 skipped, 0 rejected)" in out
    assert Lead.objects.get().extra == {}


def test_the_list_of_rejected_rows_is_imported_as_it_is_once_it_is_mended(run):
    write("leads.csv", "name;email;phone;Room\nBob;nowhere;+49 30 123456;=1+1\nCid;;;'-x\n;;;3\n")
    run("leads.csv")

    errors = Path("leads.csv.errors.csv")
    text = errors.read_text(encoding="utf-8-sig")
    errors.write_text(
        "\ufeff" + text.replace("nowhere", "bob@practice.example").replace(";;;3", "Dan;;;3"), encoding="utf-8"
    )
    ended = run("leads.csv.errors.csv")

    assert ended[0] == 0
    assert ";+49 30 123456;'=1+1\n" in text
    assert list(Lead.objects.order_by("id").values_list("name", "email", "phone", "extra")) == [
        ("Cid", "", "", {"Room": "'-x"}),
        ("Bob", "bob@practice.example", "+49 30 123456", {"Room": "=1+1"}),
        ("Dan", "", "", {"Room": "3"}),
    ]


def test_workbooks_tsv_and_json_are_imported_as_well(run):
    Path("a.xlsx").write_bytes(workbook(First=[["name"], ["Ann"]], Second=[["name"], ["Anna"]]))
    write("b.tsv", "name\tcity, state\nBob\tYork\n")
    write("c.json", '[{"name": "Cid"}]')

    run("a.xlsx", "b.tsv", "c.json", "--sheet", "Second")

    assert names() == ["Anna", "Bob", "Cid"]


def test_a_locale_and_the_keys_to_match_on_are_options(run, member):
    make_lead(member.workspace, external_id="1", email="ann@practice.example")
    write("leads.csv", 'external_id,email,last_contact,score\n2,ann@practice.example,03/04/2024,"85,0"\n')

    run("leads.csv", "--locale", "de", "--match-on", "email")

    assert [(lead.external_id, f"{lead.last_contact:%d.%m.}", lead.score) for lead in Lead.objects.all()] == [
        ("2", "03.04.", 85)
    ]


def test_a_mapping_is_remembered_for_the_next_file_with_these_columns(run):
    write("a.csv", "Wer,Rest\nAnn,1\n")
    write("b.csv", "rest,wer\n2,Bob\n")

    run("a.csv", "--mapping", '{"Wer": "name", "Rest": ""}')
    run("b.csv")

    assert list(Lead.objects.order_by("id").values_list("name", "extra")) == [("Ann", {}), ("Bob", {})]


def test_several_files_are_imported_one_after_the_other(run):
    write("a.csv", "external_id,name\n1,Ann\n")
    write("b.csv", "external_id,name\n1,Anna\n2,\n,\nx\n")

    status, out, _err = run("a.csv", "b.csv")

    assert status == 0
    assert [line.split(" (")[0] for line in out.splitlines()] == [
        "a.csv: imported 1 of 1 rows",
        "b.csv: imported 3 of 3 rows",
    ]
    assert ImportBatch.objects.count() == 2


def test_the_exit_status_tells_of_rejected_rows_in_any_of_the_files(run):
    write("a.csv", MIXED)
    write("b.csv", "name\nCid\n")

    assert run("a.csv", "b.csv")[0] == 1
    assert names() == ["Ann", "Cid"]


def test_the_catalogue_is_a_target(run):
    write("leads.csv", "name\nAnn\n")

    run("leads.csv", "--catalogue", workspace=None)

    assert Lead.objects.get().workspace == Workspace.objects.catalogue()


@pytest.mark.parametrize("named", [lambda member: member.workspace.name, lambda member: member.user.email.upper()])
def test_a_workspace_is_named_by_its_name_or_a_members_address(run, member, named):
    write("leads.csv", "name\nAnn\n")

    run("leads.csv", workspace=named(member))

    assert Lead.objects.get().workspace == member.workspace


@pytest.mark.parametrize("named", ["0", "9" * 30, "²", "Nobody's", "nobody@x.example"])
def test_a_workspace_that_there_is_not_is_an_error(run, named):
    write("leads.csv", "name\nAnn\n")

    with pytest.raises(CommandError, match="There is no workspace “"):
        run("leads.csv", workspace=named)


def test_a_name_of_several_workspaces_is_an_error(run):
    for _ in range(2):
        make_workspace(name="Twin")
    write("leads.csv", "name\nAnn\n")

    with pytest.raises(CommandError, match="several workspaces “Twin”"):
        run("leads.csv", workspace="Twin")


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("missing.csv", [], "missing.csv: No such file or directory"),
        (".", [], ".: Is a directory"),
        ("empty.csv", [], "empty.csv: The file can't be read: there is no header in its first line."),
        ("binary.csv", [], "binary.csv: The file can't be read: it is a binary file."),
        ("other.csv", [], "other.csv: None of the columns is a field of a lead."),
        ("leads.csv", ["--mapping", "{"], "--mapping: This is no JSON: "),
        ("leads.csv", ["--mapping", "[1]"], "--mapping: This is no JSON object of columns and fields."),
        ("leads.csv", ["--match-on", "name"], "--match-on: One or more of: external_id, email, npi."),
        ("leads.csv", ["--locale", "fr"], "invalid choice: 'fr'"),
        ("leads.xlsx", ["--sheet", "Nowhere"], "sheet: There is no sheet “Nowhere”, but: Leads."),
        ("leads.csv", ["--mapping", '{"Firma": "company"}'], "There is no column “Firma”."),
        ("leads.csv", ["--encoding", "klingon"], "encoding: There is no such encoding."),
        ("leads.csv", ["--delimiter", "x"], "delimiter: One of: comma, semicolon, tab, pipe."),
        ("leads.csv", ["--mode", "replace"], "invalid choice: 'replace'"),
    ],
)
def test_what_can_not_be_imported_is_an_error_of_one_sentence(run, name, arguments, sentence):
    write("empty.csv", "")
    write("other.csv", "colour\nred\n")
    write("leads.csv", "name\nAnn\n")
    Path("leads.xlsx").write_bytes(workbook(["name"], ["Ann"]))
    Path("binary.csv").write_bytes(bytes(range(256)))

    with pytest.raises(CommandError) as error:
        run(name, *arguments)

    assert sentence in str(error.value)
    assert names() == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("kind", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_progress_is_shown_on_a_terminal_alone(run, monkeypatch, kind, shown):
    screen = kind()
    monkeypatch.setattr(sys, "stderr", screen)
    write("leads.csv", "name\n" + "Ann\n" * 6_000)

    run("leads.csv", "--dry-run")

    assert ("leads.csv:" in screen.getvalue(), "100%" in screen.getvalue()) == (shown, shown)
