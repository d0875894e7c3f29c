"""`manage.py report_bounces`: lists of dead addresses."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from leads import exports
from leads.models import Export, Lead, UsageEntry
from leads.tests.factories import make_catalogue_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(tmp_path):
    def run(text, **options):
        """What it says, what it complains of, and its exit code; the file's name is left away."""
        path = tmp_path / "bounces.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        out, err, code = io.StringIO(), io.StringIO(), 0
        try:
            call_command("report_bounces", str(path), stdout=out, stderr=err, **options)
        except SystemExit as end:
            code = end.code
        return [said.getvalue().replace(f"{path}:", "").splitlines() for said in (out, err)], code

    return run


def sold(member, email):
    lead = make_catalogue_lead(email=email)
    exports.export([str(lead.pk)], by=member.user, workspace=member.workspace)
    return lead


def test_each_line_is_told_and_summed_up(report, member):
    sold(member, "dead@practice.example")
    sold(member, "gone@practice.example")

    (said, complaints), code = report(
        "Email,Reason,Date\nDEAD@practice.example,,\nnobody@x.example,,\nno address,,\n"
        "gone@practice.example,undeliverable,\ngone@practice.example,mailbox full,\na@x.example,,yesterday\n"
        "a@x.example,,2999-01-01\na@x.example,,0001-01-01\n"
    )

    assert said == [
        "2: 2 leads, 2 of them marked now, 1 refunded",
        "3: nobody has this address",
        "5: 2 leads, 2 of them marked now, 1 refunded",
        "Marked 4 leads and refunded 2; 1 addresses are nobody's, 5 lines rejected.",
    ]
    assert [line.split(":")[:2] for line in complaints] == [
        ["4", " email"], ["6", " reason"], ["7", " date"], ["8", " date"], ["9", " date"],
    ]  # fmt: skip
    assert code == 1
    assert list(UsageEntry.objects.filter(kind="refund").order_by("reason").values_list("reason", flat=True)) == [
        "hard bounce", "undeliverable",
    ]  # fmt: skip


def test_a_dry_run_writes_nothing(report, member):
    sold(member, "dead@practice.example")

    (said, _complaints), code = report("email\ndead@practice.example\n", dry_run=True)

    assert said[-1] == "Would have marked 2 leads and refunded 1; 0 addresses are nobody's, 0 lines rejected."
    assert code == 0
    assert not UsageEntry.objects.filter(kind="refund").exists()
    assert not Lead.objects.filter(email_status="undeliverable").exists()


def test_the_date_of_the_bounce_counts(report, member):
    sold(member, "dead@practice.example")
    Export.objects.update(created_at=timezone.now() - timedelta(days=20))
    bounced = timezone.now() - timedelta(days=10)

    report(f"email,date\ndead@practice.example,{bounced:%Y-%m-%d}\n")

    assert UsageEntry.objects.filter(kind="refund").count() == 1


def test_an_address_listed_twice_is_refunded_once(report, member):
    sold(member, "dead@practice.example")

    (said, _complaints), code = report("email\ndead@practice.example\nDead@practice.example\n")

    assert said[-1] == "Marked 2 leads and refunded 1; 0 addresses are nobody's, 0 lines rejected."
    assert code == 0


@pytest.mark.parametrize("text", ["", "name\nAda\n", b"\x00\x01\x02", b"PK\x03\x04broken"])
def test_a_file_that_is_no_list_of_bounces_is_refused(report, text):
    with pytest.raises(CommandError, match="can't be read"):
        report(text)


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(CommandError, match="No such file"):
        call_command("report_bounces", "/nowhere/bounces.csv")
