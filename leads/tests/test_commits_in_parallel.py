"""Quotes committed at the same moment, on real transactions: each once, never beyond the limit or the quote, no lead twice."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import IntegrityError, connection

from accounts.tests.factories import make_member
from leads import exports, quotas
from leads.errors import NothingToExport, QuoteUsed
from leads.exports import background, quoting
from leads.exports.quoting import Search
from leads.filters import Asker
from leads.models import Export, ExportedLead, Lead, Usage, UsageEntry
from leads.tests.factories import give_plan, make_catalogue
from leads.tests.test_exports_in_parallel import at_once as at_once_or_refused
from leads.tests.test_exports_in_parallel import receipts

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent
THREADS = 16


def told(act):
    """``act``, with the refusals of quotes as its answers."""

    def run():
        try:
            return act()
        except (QuoteUsed, NothingToExport) as refusal:
            return refusal

    return run


def at_once(acts):
    outcomes = at_once_or_refused([told(act) for act in acts])
    # the constraints are the last resort: whoever waited for the locks never meets them
    assert [outcome for outcome in outcomes if isinstance(outcome, IntegrityError)] == []
    return outcomes


def quoted(member, *numbers):
    by = Asker(member.workspace, member.user_id)
    return quoting.quote_ids([f"id{number}" for number in numbers], by=by)


def all_quoted(member):
    return quoting.quote_search(Search({}), by=Asker(member.workspace, member.user_id))


def committing(quote, member):
    return lambda: exports.commit(quote.pk, by=member.user, workspace=member.workspace)


def exporting(member, *numbers):
    ids = [f"id{number}" for number in numbers]
    return lambda: exports.export(ids, by=member.user, workspace=member.workspace)


def prove_the_books(limit):
    """Each lead was charged once, used is the sum, every receipt says what it charged, and each lead has one copy."""
    charges = list(ExportedLead.objects.values_list("lead", flat=True))
    assert len(charges) == len(set(charges)) == sum(Usage.objects.values_list("used", flat=True)) <= limit
    assert sum(UsageEntry.objects.values_list("leads", flat=True)) == len(charges)
    assert Lead.objects.exclude(catalogue_lead=None).count() == len(charges)
    for export in Export.objects.all():
        assert export.charges.count() == export.new_count
        assert len(export.leads) == len(set(export.leads)) == export.new_count + export.duplicate_count
    return len(charges)


def test_one_quote_committed_many_times_at_once_is_used_once():
    member = make_member()
    make_catalogue(20)
    quote = quoted(member, *range(1, 21))

    outcomes = at_once([committing(quote, member)] * THREADS)

    assert [len(receipt.new_ids) for receipt in receipts(outcomes)] == [20]
    assert sum(isinstance(outcome, QuoteUsed) for outcome in outcomes) == THREADS - 1
    assert prove_the_books(50) == 20


def test_overlapping_quotes_and_batches_never_pass_the_limit_nor_what_was_quoted():
    member = make_member()
    make_catalogue(200)
    give_plan(member.workspace, 100)
    quotes = [quoted(member, *range(start, start + 40)) for start in range(1, 161, 20)]

    outcomes = at_once(
        [committing(quote, member) for quote in quotes]
        + [exporting(member, *range(start, start + 30)) for start in range(1, 161, 20)]
    )

    assert prove_the_books(100) == 100
    assert sum(len(receipt.new_ids) for receipt in receipts(outcomes)) == 100
    for quote in quotes:
        quote.refresh_from_db()
        assert quote.export is None or quote.export.new_count <= quote.cost


def test_at_the_turn_of_the_month_two_quotes_of_a_lead_charge_it_once(monkeypatch):
    """Two months have two locks; here the constraint alone keeps the promise."""
    member = make_member()
    make_catalogue(20)
    quotes = [quoted(member, *range(1, 21)) for _ in range(8)]
    moments = cycle([datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)])
    clock = type("Clock", (), {"now": lambda zone: next(moments)})
    monkeypatch.setattr(quotas, "datetime", clock)

    outcomes = at_once([committing(quote, member) for quote in quotes])

    assert len(receipts(outcomes)) == 8
    assert prove_the_books(100) == 20
    assert [export.duplicate_count + export.new_count for export in Export.objects.all()] == [20] * 8


def test_large_exports_and_batches_at_once_never_pass_the_limit(settings, monkeypatch):
    settings.EXPORT_BATCH_MAX = 30
    monkeypatch.setattr(background, "CHUNK", 7)
    member = make_member()
    make_catalogue(120)
    give_plan(member.workspace, 90)
    large = [committing(all_quoted(member), member)().export_id for _ in range(3)]

    at_once(
        [lambda number=number: background.finish(number, "en") for number in large]
        + [exporting(member, *range(start, start + 10)) for start in range(1, 111, 10)]
    )

    assert prove_the_books(90) == 90
    assert set(Export.objects.filter(pk__in=large).values_list("status", flat=True)) == {"completed"}


def test_two_workers_at_the_same_export_double_nothing(settings, monkeypatch):
    settings.EXPORT_BATCH_MAX = 10
    monkeypatch.setattr(background, "CHUNK", 5)
    member = make_member()
    make_catalogue(50)
    export_id = committing(all_quoted(member), member)().export_id

    at_once([lambda: background.finish(export_id, "en")] * 4)

    assert prove_the_books(50) == 50
    assert Export.objects.get().new_count == 50


def test_a_large_export_whose_worker_is_killed_goes_on_where_it_was(settings):
    settings.EXPORT_BATCH_MAX = 10
    member = make_member()
    make_catalogue(12_000)
    give_plan(member.workspace, 12_000)
    export_id = committing(all_quoted(member), member)().export_id
    url = f"{django_settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "procrastinate", "worker", "--queues", "exports"], cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not Export.objects.get().new_count:
        assert time.monotonic() < end
        time.sleep(0.02)

    worker.send_signal(signal.SIGKILL)
    worker.wait()
    half = Export.objects.get()
    background.finish(export_id, "en")

    assert (half.status, 0 < half.new_count < 12_000) == ("running", True)
    assert prove_the_books(12_000) == 12_000
    assert (Export.objects.get().status, Export.objects.get().new_count) == ("completed", 12_000)
